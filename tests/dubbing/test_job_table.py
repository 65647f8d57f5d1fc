"""Job lists as editors and spreadsheets write them; spans as people type them."""

import codecs
import os
import re
from pathlib import Path

import pytest

from tasks.core.errors import UserError
from tasks.dubbing import batch, job_table, spans
from tasks.dubbing.options import Options
from tasks.dubbing.spans import Span

CASES = Path(__file__).parents[2].parent / "shared/cases"
JOBS = [{"face": "müller.mp4", "audio": "my line.wav", "out": "out/a.mp4", "speaker": "640,200@62"}]
LINES = {
    ",": 'face,audio,out,speaker\nmüller.mp4,my line.wav,out/a.mp4,"640,200@62"\n',
    ";": "face;audio;out;speaker\nmüller.mp4;my line.wav;out/a.mp4;640,200@62\n",
    "\t": "face\taudio\tout\tspeaker\nmüller.mp4\tmy line.wav\tout/a.mp4\t640,200@62\n",
    "|": "face|audio|out|speaker\nmüller.mp4|my line.wav|out/a.mp4|640,200@62\n",
}
ENCODINGS = {
    "utf-8": b"", "utf-8 ": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE, "cp1252": b"",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(content):
    Path("jobs.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return [job.cells for job in batch.read(Path("jobs.csv"))]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old Macintosh"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", LINES, ids=["comma", "semicolon", "tab", "bar"])
def test_a_list_is_read_as_a_spreadsheet_writes_it(separator, encoding, ends):
    text = LINES[separator].replace("\n", ends)
    assert read(ENCODINGS[encoding] + text.encode(encoding.strip())) == JOBS


def test_the_example_of_the_module_is_a_list_of_jobs():
    example = re.findall(r"^    (.+)$", batch.__doc__, re.MULTILINE)
    jobs = read("\n".join(example))
    assert jobs[1]["speaker"] == "640,200@62"
    assert spans.several(jobs[1]["audio"]) == [Span(62.5, "a.wav"), Span(69.0, "b.wav")]
    assert "speaker" not in jobs[0]


def test_the_four_numbers_of_a_box_need_no_quotes():
    [job] = read("face,box,text,out\np.png,1,2,30,40,Good morning.,a.mp4\n")
    assert Options.from_mapping({"box": job["box"]}).box == (1, 2, 30, 40)
    assert job["text"] == "Good morning."


def test_excels_first_line_and_empty_rows_and_columns_are_no_jobs():
    assert read("sep=;\r\nface;audio;out;;\r\na;b;c;;\r\n;;;;\r\n\r\nd;e;f;;\r\n") == [
        {"face": "a", "audio": "b", "out": "c"},
        {"face": "d", "audio": "e", "out": "f"},
    ]


@pytest.mark.parametrize("first", ["\n\r\n", ";;\r\n", " , \n\t\t\n", '"";""\n'])
def test_empty_lines_before_the_names_of_the_columns_are_passed_over(first):
    assert read(f"{first}face;audio;out\na;b;c\n") == [{"face": "a", "audio": "b", "out": "c"}]


def test_a_quoted_cell_may_begin_with_a_space():
    assert read('face, audio, out\na, "b, c", "d"\n') == [{"face": "a", "audio": "b, c", "out": "d"}]


def test_a_cell_that_is_too_long_for_a_name_is_a_text_or_a_list_of_files():
    text = "é" * 300
    assert read(f"face;text;out\na;{text};c\n".encode("cp1252")) == [{"face": "a", "text": text, "out": "c"}]
    many = [f"videos/{number:03d}.mp4" for number in range(300)]
    assert spans.paths(" ".join(many)) == tuple(many)
    assert spans.several(f"1='{text}' 2=b.wav") == [Span(1.0, text), Span(2.0, "b.wav")]


def test_a_name_that_is_not_utf_8_is_found_by_its_bytes():
    name = os.fsdecode(b"caf\xe9.mp4")
    Path(name).touch()
    assert read(b"face,audio,out\ncaf\xe9.mp4,a.wav,b.mp4\n")[0]["face"] == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("face,audio,out\na,b, well,c\n", "job 1 has 4 cells, the first line names 3 columns; put a cell"),
        ('face,audio,out\n"a,b,c\n', "not a table of jobs"),
        ("face,face,out\na,b,c\n", "two columns are named face"),
        ("face;sound;out\na;b;c\n", "'sound' is not a column; known: face, audio, out"),
    ],
)
def test_what_is_no_table_of_jobs_is_one_line(text, message):
    with pytest.raises(UserError, match=message):
        read(text)


def test_a_missing_list_is_one_line():
    with pytest.raises(UserError, match=r"none\.csv: cannot be read: No such file"):
        job_table.read(Path("none.csv"), ("face",))


@pytest.mark.skipif(not CASES.is_dir(), reason="the files of ../shared/cases are not here")
@pytest.mark.parametrize("name", ["jobs-excel-semicolons.csv", "jobs-excel-utf8-bom.csv"])
def test_the_lists_of_the_cases_are_read(name):
    [job] = batch.read(CASES / name)
    assert job.cells["face"] == "out/demo-face.mp4"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0.5=my line.wav", (0.5, "my line.wav")), ("0.5='my line.wav'", (0.5, "my line.wav")),
        ('00:01:02,5="a b.wav"', (62.5, "a b.wav")), ("1:09=x=y.wav", (69.0, "x=y.wav")),
        ("2=line\nbreak.wav", (2.0, "line\nbreak.wav")), ("2=it's.wav", (2.0, "it's.wav")), ("2=-.wav", (2.0, "-.wav")),
    ],
)  # fmt: skip
def test_a_span_may_have_spaces_quotes_and_a_comma(text, span):
    assert spans.one(text) == Span(*span)


def test_quotes_that_are_part_of_a_name_are_kept():
    Path("'a'.wav").touch()
    assert spans.one("1='a'.wav") == Span(1.0, "'a'.wav")
    Path("'b'").touch()
    assert spans.one("1='b'") == Span(1.0, "'b'")


def test_a_cell_holds_several_spans_or_a_path():
    cell = "0.2=my line.wav 00:01:09='a 3=b.wav' 70=\"it's.wav\""
    assert spans.several(cell) == [
        Span(0.2, "my line.wav"), Span(69.0, "a 3=b.wav"), Span(70.0, "it's.wav")
    ]  # fmt: skip
    assert spans.several("speech one.wav") == spans.several("") == []
    with pytest.raises(UserError, match=r"--span 1m=a.wav: wanted \[HH:MM:\]SS=SOUND"):
        spans.one("1m=a.wav")


def test_library_videos_may_have_spaces():
    assert spans.paths('a.mp4 "b c.mp4" d.mp4') == ("a.mp4", "b c.mp4", "d.mp4")
    Path("one video.mp4").touch()
    assert spans.paths("one video.mp4") == ("one video.mp4",)
