"""Drawing on whole frames: a visible label; two frames side by side."""

import functools
import unicodedata

import cv2
import numpy as np

from tasks.core.errors import UserError

FONT = cv2.FONT_HERSHEY_SIMPLEX  # of OpenCV 5: a font with Latin, Greek, Cyrillic, Chinese, Japanese, Korean letters
LETTER_PX = 22  # height of its letters at scale 1
SMALLEST = 0.3  # scale at which letters can still be read
STEP = 0.9  # from one scale to the next smaller one
MOST_HEIGHT = 0.5  # of the frame


def labelled(frame_HW3: np.ndarray, label: str) -> np.ndarray:
    """White text on a dark background in the lower left corner, a thirtieth of the frame high where it fits.

    Errors: as laid_out
    """
    labelled_HW3 = frame_HW3.copy()
    lines, scale = laid_out(label, *frame_HW3.shape[:2])
    foot = len(labelled_HW3)
    for line in reversed(lines):
        (width, _), below, margin, row = measured(line, scale)
        ground = labelled_HW3[foot - row : foot, : width + 2 * margin]
        ground[...] = ground // 3
        at = (margin, foot - below - margin)
        cv2.putText(labelled_HW3, line, at, FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)
        foot -= row
    return labelled_HW3


def measured(line: str, scale: float) -> tuple[tuple[int, int], int, int, int]:
    """(width, height) of the text, depth below its base line, margin around it, height of all; px"""
    (width, height), below = cv2.getTextSize(line, FONT, scale, 1)
    margin = height // 2
    return (width, height), below, margin, height + below + 2 * margin


@functools.lru_cache(maxsize=8)
def laid_out(label: str, height: int, width: int) -> tuple[list[str], float]:
    """Lines, and a scale at which they fit into a frame of this size.

    Errors: UserError for letters that the font has not, and for a text that is too long for the frame
    """
    label = unicodedata.normalize("NFC", label)
    demand_letters(label)
    scale = usual = max(SMALLEST, height / 30 / LETTER_PX)
    while True:
        lines = wrapped(label, scale, width, height)
        if lines and sum(measured(line, scale)[-1] for line in lines) <= MOST_HEIGHT * height:
            return lines, scale
        if scale <= SMALLEST:
            raise UserError(f"--label: {len(label)} letters do not fit into {width} x {height} pixels; use fewer")
        scale = max(SMALLEST, min(usual, scale) * STEP)


def wrapped(label: str, scale: float, width: int, height: int) -> list[str]:
    """Lines no wider than the frame, broken at spaces, or where there is none anywhere; [] where they cannot fit."""

    def fits(line: str) -> bool:
        (wide, _), _, margin, _ = measured(line[: width + 1], scale)  # no letter is narrower than a pixel
        return wide + 2 * margin <= width

    lines: list[str] = []
    for paragraph in label.splitlines():
        line = ""
        for word in paragraph.split():
            if len(lines) * LETTER_PX * scale > height:
                return []
            if line and fits(f"{line} {word}"):
                line = f"{line} {word}"
                continue
            lines += [line] if line else []
            while not fits(word):
                num = next((k for k in range(1, len(word)) if not fits(word[: k + 1])), 1)
                if not fits(word[:num]) or len(lines) * LETTER_PX * scale > height:
                    return []
                lines.append(word[:num])
                word = word[num:]
            line = word
        lines += [line] if line else []
    return lines


def demand_letters(label: str) -> None:
    """Errors: UserError for a label that is empty, or has letters that the font would draw as question marks"""
    letters = [letter for letter in dict.fromkeys(label) if not letter.isspace()]
    if not letters:
        raise UserError("--label is empty")
    bad = [letter for letter in letters if not is_written(letter)]
    if bad:
        names = ", ".join(unicodedata.name(letter, f"U+{ord(letter):04X}").lower() for letter in bad[:3])
        raise UserError(f"--label: the font cannot write {''.join(bad)} ({names}); use other letters")


def is_written(letter: str) -> bool:
    if unicodedata.category(letter) == "Cs":  # half a character: OpenCV dies of it
        return False
    return unicodedata.bidirectional(letter) not in ("R", "AL") and (letter == "?" or drawn(letter) != drawn("?"))


@functools.lru_cache(maxsize=512)
def drawn(letter: str) -> bytes:
    picture_SS = np.zeros((80, 80), np.uint8)
    cv2.putText(picture_SS, letter, (10, 50), FONT, 1.0, 255, 1, cv2.LINE_AA)
    return picture_SS.tobytes()


def beside(left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
    """Two frames of one height; an encoder may have padded the right one by a row or a column."""
    height, width = left_HW3.shape[:2]
    return np.concatenate([left_HW3, right_HW3[:height, :width]], axis=1)
