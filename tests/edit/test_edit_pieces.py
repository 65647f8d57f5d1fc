"""Pieces of an edited video lie end to end."""

import pytest

from tasks.edit.pieces import Piece, joined


def piece(start_s, end_s, source_start_s=0.0):
    return Piece("kept", ("a",), start_s, end_s, source_start_s, source_start_s + end_s - start_s)


def test_pieces_end_to_end_are_taken_as_they_are():
    pieces = (piece(0.0, 1.0), piece(1.0, 1.5, 3.0))
    assert joined(pieces) == pieces


@pytest.mark.parametrize(
    "pieces",
    [[], [piece(0.5, 1.0)], [piece(0.0, 1.0), piece(1.2, 2.0)], [piece(0.0, 1.0), piece(0.8, 2.0)], [piece(0.0, 0.0)]],
    ids=["none", "late", "gap", "overlap", "empty"],
)
def test_what_does_not_lie_end_to_end_is_a_bug(pieces):
    with pytest.raises(ValueError):
        joined(pieces)
