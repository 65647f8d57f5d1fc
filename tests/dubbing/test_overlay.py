import cv2
import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.dubbing import overlay

SENTENCE = "This video was dubbed with artificial intelligence; the words were never spoken by the person shown."


def grey(height, width):
    return np.full((height, width, 3), 150, np.uint8)


@pytest.mark.parametrize("size", [(160, 160), (720, 1280), (1280, 720), (240, 320)])
@pytest.mark.parametrize(
    "label", ["AI dubbed", SENTENCE, "由人工智能生成" * 6, "généré par l'IA", "one\ntwo", "x" * 60]
)
def test_a_label_is_inside_the_frame_and_no_letter_is_lost(label, size):
    lines, scale = overlay.laid_out(label, *size)
    assert "".join("".join(lines).split()) == "".join(label.split())
    for line in lines:
        (width, _), _, margin, _ = overlay.measured(line, scale)
        assert width + 2 * margin <= size[1]
    changed = np.argwhere(overlay.labelled(grey(*size), label)[..., 0] != 150)
    assert changed[:, 0].min() >= size[0] * (1 - overlay.MOST_HEIGHT)
    assert changed[:, 0].max() == size[0] - 1 and changed[:, 1].min() == 0


def test_a_short_label_is_a_thirtieth_of_the_frame_high():
    (lines, scale), (_, height) = overlay.laid_out("AI dubbed", 720, 1280), (0, 24)
    assert lines == ["AI dubbed"] and abs(scale * overlay.LETTER_PX - height) < 1


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("x" * 3000, "3000 letters do not fit into 160 x 160 pixels; use fewer"),
        ("by AI 😀", r"the font cannot write 😀 \(grinning face\)"),
        ("שלום", "the font cannot write .*hebrew letter"),
        ("हिन्दी", "the font cannot write .*devanagari letter"),
        ("caf\udce9", "the font cannot write"),
        (" \n", "--label is empty"),
    ],
)
def test_a_label_that_cannot_be_written_is_refused_by_name(label, line):
    with pytest.raises(UserError, match=line):
        overlay.laid_out(label, 160, 160)


def test_a_question_mark_is_a_letter():
    assert overlay.laid_out("Real?", 160, 160)[0] == ["Real?"]
    assert cv2.getTextSize("Real?", overlay.FONT, 1, 1)[0][0] > 0
