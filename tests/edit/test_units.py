"""Which of a person's footage says new words, and where it is cut."""

import itertools
import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.edit import cuts, footage, tone
from tasks.edit.changes import Change, words_of
from tasks.edit.speech import Speech
from tasks.edit.units import Footage, Wanted
from tasks.media.native_rate import SoundFormat
from tasks.words.align import Aligner, Phone, Word

pytest.importorskip("pocketsphinx")
RATE_HZ = 16_000
LIKE = SoundFormat(RATE_HZ, "mono", 0.0)


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


@dataclass
class Said:
    """A clip in memory: its words are 0.3 s long, their phones equally long."""

    text: str
    aligner: Aligner
    confidence: float = 0.9
    speech: Speech = field(default_factory=lambda: tone.of_sound(np.full((1, 10 * RATE_HZ), 1e-3, np.float32), RATE_HZ))

    @property
    def said(self):
        return [word.said for word in words_of(self.text)]

    @property
    def words(self):
        return [self._word(word, 1 + 0.3 * at) for at, word in enumerate(self.said)]

    def with_phones(self):
        return self.words

    def _word(self, word, start_s):
        names = self.aligner.phones_of(word)
        edges = np.linspace(start_s, start_s + 0.3, len(names) + 1)
        phones = tuple(Phone(name, *span) for name, span in zip(names, itertools.pairwise(edges), strict=True))
        return Word(word, start_s, start_s + 0.3, self.confidence, phones)


def find(aligner, clips, words, before="", after=""):
    return Footage(clips, aligner).find(Wanted(tuple(words.split()), before, after))


def test_words_that_one_clip_says_in_a_row_are_one_stretch(aligner):
    clips = [Said("blue by four", aligner), Said("lay green with two soon", aligner), Said("with green two", aligner)]
    [run] = find(aligner, clips, "green with two")
    assert run.clip is clips[1] and (run.left.best_s, run.right.best_s) == pytest.approx((1.3, 2.2))


def test_of_two_places_the_one_with_the_wanted_neighbours_is_taken(aligner):
    clips = [Said("bin red by two", aligner), Said("set red at two", aligner)]
    assert find(aligner, clips, "red", "set", "at")[0].clip is clips[1]
    assert find(aligner, clips, "red", "bin", "by")[0].clip is clips[0]


def test_a_word_of_low_confidence_is_passed_over(aligner):
    clips = [Said("bin red by two", aligner, 0.1), Said("lay red with two", aligner)]
    assert find(aligner, clips, "red", "bin", "with")[0].clip is clips[1]


def test_a_word_that_nobody_says_is_made_of_long_runs_of_phones_or_not_at_all(aligner):
    clips = [Said("two blue cats", aligner), Said("lay green plans", aligner)]
    runs = find(aligner, clips, "bleeding")  # B L, IY, D and IH NG do not lie here
    assert runs is None
    [first, other] = find(aligner, clips, "clans")  # K of cats, L AE N Z of plans: too short a run in one of them
    assert first.clip is clips[0] and other.clip is clips[1]
    assert find(aligner, clips, "xyzzyx") is None


def test_a_whole_word_is_preferred_to_its_phones(aligner):
    clips = [Said("blue tomato plans", aligner), Said("plan", aligner)]
    [run] = find(aligner, clips, "plan", "tomato", "z")
    assert run.clip is clips[1]


def test_transcripts_beside_videos_are_read_as_they_are(tmp_path, aligner):
    for name in "abcd":
        (tmp_path / f"{name}.mpg").write_bytes(b"x")
    (tmp_path / "a.txt").write_text("Good evening, 2!")
    (tmp_path / "b.align").write_text("0 23750 sil\n23750 29500 bin\n29500 53000 blue\n53000 74500 sil\n")
    word = {"word": "good", "start_s": 0.1, "end_s": 0.3, "confidence": 0.9, "phones": []}
    (tmp_path / "c.mpg.json").write_text(json.dumps({"words": [word]}))
    clips = footage.library([tmp_path / f"{name}.mpg" for name in "abc"], LIKE, aligner)
    assert [clip.said for clip in clips] == [["good", "evening", "two"], ["bin", "blue"], ["good"]]
    with pytest.raises(UserError, match=r"d\.mpg: no transcript"):
        footage.library([tmp_path / "d.mpg"], LIKE, aligner)
    with pytest.raises(UserError, match=r"--library .*none\.mpg: no such file"):
        footage.library([tmp_path / "none.mpg"], LIKE, aligner)
    for ending, content in ((".json", '{"words": [{}]}'), (".json", "{"), (".align", "0 x bin")):
        (tmp_path / "d").with_suffix(ending).write_text(content)
        with pytest.raises(UserError, match="not a transcript that can be read"):
            footage.library([tmp_path / "d.mpg"], LIKE, aligner)
        (tmp_path / "d").with_suffix(ending).unlink()


def words(*spans):
    return [Word(word, start_s, end_s, 0.9, ()) for word, start_s, end_s in spans]


SAID = words(("one", 0.5, 0.9), ("two", 1.0, 1.4), ("three", 1.9, 2.3), ("four", 2.3, 2.7))


def cut(change, new="one two three four"):
    return cuts.of_change(Change(*change), SAID, 3.2, words_of(new))


def test_of_two_pauses_beside_deleted_words_the_longer_one_stays():
    two, three = cut((1, 2, 1, 1)), cut((2, 3, 2, 2))
    assert (two.left.best_s, two.right.best_s) == (0.9, 1.4)  # the pause after it
    assert (three.left.best_s, three.right.best_s) == (1.9, 2.3)  # the pause before it


def test_the_first_and_last_words_are_deleted_and_the_silence_around_stays():
    first, last = cut((0, 1, 0, 0)), cut((3, 4, 3, 3))
    assert (first.left.best_s, first.right.best_s) == (0.5, 1.0)
    assert (last.left.best_s, last.right.best_s) == (2.3, 2.7)


def test_changed_words_leave_both_pauses():
    changed = cut((1, 2, 1, 2))
    assert (changed.left.best_s, changed.right.best_s) == (1.0, 1.4)
    assert changed.pause_before_s == changed.pause_after_s == 0


@pytest.mark.parametrize(
    ("new", "at_s", "pauses"),
    [
        ("one two. new three four", 1.9, (0, 0)),  # after the pause that is there
        ("one two new. three four", 1.4, (0, 0)),  # before it
        ("one two. new. three four", 1.9, (0, 0.5)),  # one more pause
        ("one two new three four", 1.9, (0, 0)),
    ],
)
def test_punctuation_says_on_which_side_of_a_pause_new_words_go(new, at_s, pauses):
    inserted = cut((2, 2, 2, 3), new)
    assert inserted.left == inserted.right and inserted.left.best_s == at_s
    assert (inserted.pause_before_s, inserted.pause_after_s) == pytest.approx(pauses)


def test_new_sentences_at_the_ends_use_the_silence_there_as_pause():
    assert cut((0, 0, 0, 1), "new. one two three four").left.best_s == pytest.approx(0.25)
    assert cut((4, 4, 4, 5), "one two three four. new").left.best_s == pytest.approx(2.95)
    assert cut((0, 0, 0, 1), "new one two three four").left.best_s == 0.5
    assert cut((4, 4, 4, 5), "one two three four new").left.best_s == 2.7


def test_a_cut_stays_out_of_the_words_beside_it():
    for change in ((1, 2, 1, 1), (2, 3, 2, 2), (1, 3, 1, 2), (3, 4, 3, 3)):
        one = cut(change)
        before, after = SAID[change[0] - 1], SAID[change[1]] if change[1] < 4 else None
        assert one.left.low_s >= before.end_s - 0.06
        assert after is None or one.right.high_s <= after.start_s + 0.06
