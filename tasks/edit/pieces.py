"""What an edited video is made of: pieces in the order in which they are heard, end to end.

`sound.py` makes the pieces and their sound, `picture.py` the picture. Neither knows how the other works.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Origin = Literal["kept", "recording", "footage", "voice"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of the edited video.

    origin: `kept`, the source as filmed; or who says new words: a `recording` given for them, the person's own
        `footage`, a `voice`. Of what is not kept, the mouth follows the new sound
    words: what is said in it, as the new transcript spells it
    start_s, end_s: in the edited video
    source_start_s, source_end_s: of the source. A kept piece is just as long there; a new one is shown with this
        footage of the head, retimed to fit
    """

    origin: Origin
    words: tuple[str, ...]
    start_s: float
    end_s: float
    source_start_s: float
    source_end_s: float

    @property
    def kept(self) -> bool:
        return self.origin == "kept"


def joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The pieces, checked: they begin at 0, leave no gap, and none is empty.

    Errors: ValueError
    """
    if not pieces or pieces[0].start_s != 0:
        raise ValueError("pieces begin at 0")
    for one, following in itertools.pairwise(pieces):
        if one.end_s != following.start_s:
            raise ValueError(f"a gap or an overlap at {one.end_s} s")
    for piece in pieces:
        if piece.end_s <= piece.start_s or piece.source_end_s < piece.source_start_s:
            raise ValueError(f"an empty piece at {piece.start_s} s")
    return tuple(pieces)
