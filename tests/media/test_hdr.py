"""High dynamic range: the arithmetic of BT.2100 and BT.2446, and frames that FFmpeg converts by its table."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tasks.media import hdr

GREY_N3 = np.linspace(0, 1, 101)[:, None].repeat(3, axis=1)


@pytest.mark.parametrize("transfer", ["HLG", "PQ"])
def test_black_stays_black_white_white_grey_grey_and_brighter_is_brighter(transfer):
    shown_N3 = hdr.sdr(GREY_N3, transfer)
    assert shown_N3[0].max() == 0 and shown_N3[-1].min() == pytest.approx(1, abs=1e-3)
    assert np.ptp(shown_N3, axis=1).max() < 1e-3 and (np.diff(shown_N3[:, 0]) >= -1e-9).all()


def test_the_reference_white_of_both_transfers_is_the_same_grey():
    """BT.2408: 75 % of HLG and 58 % of PQ are 203 cd/m2, which BT.2446 maps to 69 % of the standard range."""
    white = {"HLG": 0.75, "PQ": 0.5807}
    for transfer, signal in white.items():
        assert hdr.sdr(np.full((1, 3), signal), transfer) == pytest.approx(0.687, abs=0.01)


def frame_of(rgb_HW3, transfer, colour_range=1):
    deep = av.VideoFrame.from_ndarray(np.round(rgb_HW3 * 65535).astype(np.uint16), format="rgb48le")
    frame = deep.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=colour_range)
    frame.color_trc, frame.colorspace, frame.color_range = transfer, 9, colour_range
    frame.pts, frame.time_base = 7, Fraction(1, 25)
    return frame


@pytest.mark.parametrize("colour_range", [1, 2])
@pytest.mark.parametrize(("number", "name"), hdr.TRANSFERS.items())
def test_a_frame_has_the_colours_of_the_arithmetic(number, name, colour_range):
    colours_N3 = np.array([[0.1, 0.1, 0.1], [0.5, 0.4, 0.35], [0.6, 0.5, 0.45], [0.3, 0.4, 0.33], [0.75, 0.75, 0.75]])
    patches_HW3 = colours_N3.repeat(32, axis=0)[None].repeat(64, axis=0)
    shown = hdr.ToSdr()(frame_of(patches_HW3, number, colour_range))
    assert (shown.pts, shown.color_trc, shown.colorspace, shown.color_range) == (7, 1, 1, 1)
    rgb_HW3 = shown.to_ndarray(format="rgb24", src_colorspace=1)
    centres_N3 = rgb_HW3[32, 16 + 32 * np.arange(len(colours_N3))].astype(float)
    assert np.abs(centres_N3 - 255 * hdr.sdr(colours_N3, name)).max() <= 4


def test_a_frame_of_standard_range_is_the_same_object():
    frame = frame_of(np.zeros((16, 16, 3)), 1)
    assert hdr.ToSdr()(frame) is frame


def test_frames_may_change_their_size_within_a_video():
    to_sdr = hdr.ToSdr()
    sizes = [(16, 32), (32, 16), (16, 32)]
    assert [(f.height, f.width) for f in (to_sdr(frame_of(np.zeros((*size, 3)), 18)) for size in sizes)] == sizes
