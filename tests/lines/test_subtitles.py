"""Subtitles as people's programs write them, and every way in which a cue can be broken: one line with its number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tasks.lines import subtitles
from tasks.lines.subtitles import Cue

SRT = """1
00:00:01,000 --> 00:00:02,500
Anna: Good <i>morning</i>,
everybody.

2
00:00:03,000 --> 00:00:04,000
{\\an8}[a door slams]
- Who is there?
"""
VTT = """WEBVTT - a film

STYLE
::cue { color: lime }

NOTE 00:00 is the start

intro
00:01.000 --> 00:02.500 align:start
<v.loud Anna>Good <b>morning</b> &amp; welcome</v>

01:00:03.000 --> 01:00:05.000
<v Anna>Yes<v Ben>No!
"""


def read(tmp_path, content, encoding="utf-8"):
    path = tmp_path / "film.srt"
    path.write_bytes(content.encode(encoding))
    return subtitles.read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_an_srt_is_read_with_any_line_ends_and_marks(tmp_path, encoding, ends):
    assert read(tmp_path, SRT.replace("\n", ends), encoding) == [
        Cue(1, 1.0, 2.5, "Anna", "Good morning, everybody."),
        Cue(2, 3.0, 4.0, None, "Who is there?"),
    ]


def test_a_vtt_is_read_and_a_cue_of_two_voices_is_shared_by_their_words(tmp_path):
    first, yes, no = read(tmp_path, VTT)
    assert first == Cue(1, 1.0, 2.5, "Anna", "Good morning & welcome")
    assert (yes.name, yes.text, no.name, no.text) == ("Anna", "Yes", "Ben", "No!")
    assert yes.number == no.number == 2 and yes.start_s == 3603 and yes.end_s == no.start_s == 3604 and no.end_s == 3605


def test_each_line_of_a_dialogue_has_its_own_speaker():
    (anna, ben), problems = subtitles.parse(
        "1\n00:00:00,000 --> 00:00:02,000\n- ANNA: Well\nsaid.\n- Ben Smith: So it is!"
    )
    assert not problems
    assert [(cue.name, cue.text) for cue in (anna, ben)] == [("ANNA", "Well said."), ("Ben Smith", "So it is!")]
    assert anna.end_s == ben.start_s


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It is 12:30 now.", None),
        ("we say: no", None),
        ("Dr. O'Neill: Yes", "Dr. O'Neill"),
        ("A b c d: e", None),
        ("安娜\uff1a 你好", "安娜"),
    ],
)
def test_a_name_is_up_to_three_words_before_a_colon_and_a_space(text, name):
    [cue], _ = subtitles.parse(f"1\n00:00:00,000 --> 00:00:02,000\n{text}")
    assert cue.name == name and cue.text == (text if name is None else text.split(" ", 1 + name.count(" "))[-1])


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ("7\n00:00:01,000 --> 00:00:02,000", "cue 7 (00:00:01.000): it is empty"),
        ("7\n00:00:01,000 -> 00:00:02,000\nHello", "cue 1: no times in it"),
        ("7\n00:00:01,000 --> 00:99:02,000\nHello", "cue 7: broken times"),
        ("7\n00:00:03,000 --> 00:00:02,000\nHello", "cue 7: it ends at 00:00:02.000, which is not after its start"),
        ("7\n00:00:01,000 --> 00:00:02,000\nA\n8\n00:00:03,000 --> 00:00:04,000\nB", "cue 7: no empty line before"),
        ("Hello", "cue 1: no times in it"),
    ],
)
def test_a_broken_cue_is_one_line_with_its_number(tmp_path, block, wanted):
    with pytest.raises(UserError) as refused:
        read(tmp_path, block)
    assert wanted in str(refused.value) and "\n" not in str(refused.value)


def test_every_broken_cue_is_said_on_a_line_of_its_own(tmp_path, capsys):
    with pytest.raises(UserError, match=r"cue 1: no times.*\(and 2 more, listed above\)"):
        read(tmp_path, "one\n\ntwo\n\nthree")
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["cue 2", "cue 3"]


@pytest.mark.parametrize(
    "content", [b"", b"WEBVTT\n", b"\xff\xfe\xfa\x00\x01", b"1\n00:00:01,000 --> 00:00:02,000\n\xe9"]
)
def test_a_file_that_is_no_subtitles_is_refused(tmp_path, content):
    (tmp_path / "film.srt").write_bytes(content)
    with pytest.raises(UserError, match=r"film\.srt"):
        subtitles.read(tmp_path / "film.srt")


def test_sound_effects_and_songs_are_not_spoken():
    cues, problems = subtitles.parse(
        "1\n00:00:00,000 --> 00:00:02,000\n[thunder] ♪ la la ♪\n\n2\n00:00:03,000 --> 00:00:04,000\nHi [waves]"
    )
    assert not problems and [(cue.number, cue.text) for cue in cues] == [(2, "Hi")]


@given(st.text(st.sampled_from("0123456789:,.->\n <v>/WEBTVANOTEab{}[]&;\r\t"), max_size=120))
def test_any_text_is_cues_in_order_or_problems_and_no_failure(text):
    cues, problems = subtitles.parse(text)
    assert all(cue.start_s < cue.end_s and cue.text for cue in cues)
    assert [cue.start_s for cue in cues] == sorted(cue.start_s for cue in cues)
    assert all(problem.startswith("cue ") and "\n" not in problem for problem in problems)
