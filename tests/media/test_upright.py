"""What a viewer shows is what is read: 8 orientations of pictures and videos, by every reader, to the pixel."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turned import STORED, film, photograph, recorded

from tasks.media import decode, encode, native_rate, segments, upright
from tasks.preprocess import pieces

EIGHT = sorted(STORED)
COARSE = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
PICTURE = cv2.resize(COARSE, (64, 48), interpolation=cv2.INTER_CUBIC)  # nothing in it is like its mirror image
READERS = {
    "dub": lambda path: [picture.rgb() for picture, _ in native_rate.pictures(path)],
    "dub, backwards": lambda path: [p.rgb() for p in native_rate.backwards(path, np.array([0.0, 0.04]), 1)],
    "folder corpus": lambda path: [pieces.PictureReader(path).take().rgb()],
    "live, and others that read arrays": lambda path: [decode.read_image(path)],
}


@pytest.mark.parametrize("orientation", EIGHT)
@pytest.mark.parametrize("reader", READERS)
def test_a_video_of_any_orientation_is_read_as_it_is_shown(reader, orientation, tmp_path):
    path = film(tmp_path / "a.mov", [PICTURE] * 2, orientation)
    for picture in READERS[reader](path):
        assert np.array_equal(picture, PICTURE)
    assert decode.geometry(path).orientation == orientation


@pytest.mark.parametrize("orientation", EIGHT)
@pytest.mark.parametrize("ending", [".png", ".webp", ".tif", ".jpg", ".avif"])
def test_a_picture_of_any_orientation_is_read_as_it_is_shown(ending, orientation, tmp_path):
    path, exact = tmp_path / f"a{ending}", ending in (".png", ".webp", ".tif")
    path.write_bytes(photograph(PICTURE, orientation, ending, **({"lossless": True} if ending == ".webp" else {})))
    picture = decode.read_image(path)
    assert picture.shape == PICTURE.shape
    assert np.abs(picture.astype(int) - PICTURE).mean() <= (0 if exact else 9)  # another orientation is 70 off
    assert decode.geometry(path).orientation == orientation


@pytest.mark.parametrize("orientation", EIGHT)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_a_part_of_a_turned_picture_equals_the_part_of_the_whole(orientation, pixels, tmp_path):
    path = film(tmp_path / "a.mp4", [PICTURE] * 2, orientation, codec="libx264", pixels=pixels)
    picture, _ = next(native_rate.pictures(path))
    whole, rng = picture.rgb(), np.random.default_rng(1)
    assert whole.shape == picture.shape == PICTURE.shape
    for _ in range(30):
        top, left = (int(rng.integers(n - 1)) for n in whole.shape[:2])
        bottom, right = (int(rng.integers(low + 1, n + 1)) for low, n in zip((top, left), whole.shape, strict=False))
        assert np.array_equal(picture[top:bottom, left:right], whole[top:bottom, left:right])


@given(st.sampled_from(EIGHT), st.floats(0.2, 5), st.integers(-9, 9))
def test_a_matrix_means_its_orientation_whatever_its_scale_and_a_tilt(orientation, scale, tilt_deg):
    turn = np.deg2rad(tilt_deg)
    linear = np.array(upright.MATRICES[orientation]).reshape(2, 2) * scale * 65536
    a, b, c, d = (linear @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]).ravel()
    assert upright.of_matrix([a, b, 0, c, d, 0, 77, -5, 1 << 30]) == orientation


@pytest.mark.parametrize("number", [0, 9, None, "6", 6.5])
def test_a_number_that_is_no_orientation_leaves_the_picture(number):
    assert upright.of_exif(number) == 1


@pytest.mark.parametrize(
    ("size_wh", "aspect", "orientation", "shown_wh"),
    [
        ((72, 58), Fraction(64, 45), 1, (102, 58)),
        ((72, 48), Fraction(8, 9), 1, (72, 54)),
        ((72, 58), Fraction(64, 45), 6, (58, 102)),
        ((72, 58), Fraction(1000, 1), 1, (72, 58)),
        ((720, 58), Fraction(1280, 1279), 1, (720, 58)),
    ],
    ids=["wide pixels", "tall pixels", "wide pixels on their side", "damaged", "nearly square"],
)
def test_pictures_have_square_pixels(size_wh, aspect, orientation, shown_wh, tmp_path):
    stored = cv2.resize(COARSE, size_wh, interpolation=cv2.INTER_CUBIC)
    kind = {"codec": "libx264", "pixels": "yuv444p"}
    shown = stored if orientation == 1 else np.rot90(stored, -1)
    path = film(tmp_path / "a.mp4", [shown] * 2, orientation, aspect=aspect, **kind)
    for picture in (next(native_rate.pictures(path))[0], pieces.PictureReader(path).take()):
        assert picture.shape == (*shown_wh[::-1], 3)
        assert np.abs(picture.rgb().astype(int) - cv2.resize(shown, shown_wh)).mean() < 12
        assert np.array_equal(picture[3:20, 5:40], picture.rgb()[3:20, 5:40])


@pytest.mark.parametrize(("aspect", "stored_wh"), [(Fraction(64, 45), (720, 576)), (Fraction(8, 9), (720, 480))])
def test_a_patch_in_square_pixels_changes_only_its_place_of_the_stored_picture(aspect, stored_wh, tmp_path):
    stored = cv2.resize(COARSE, stored_wh, interpolation=cv2.INTER_CUBIC)
    path = film(tmp_path / "a.mp4", [stored] * 2, aspect=aspect, codec="libx264", pixels="yuv420p")
    picture, _ = next(native_rate.pictures(path))
    assert picture.is_coded()
    whole = picture.rgb()
    rows, columns = slice(200, 280), slice(300, 400)
    changed = np.zeros((80, 100), bool)
    changed[10:70, 10:90] = True
    patch = whole[rows, columns].copy()
    patch[changed] = 255 - patch[changed]
    patched = picture.patched(columns.start, rows.start, patch, changed)
    got = patched.rgb()[rows, columns].astype(int)
    assert np.abs(got - patch)[15:65, 15:85].mean() < 4
    luma, before = (one.frame().to_ndarray()[: stored_wh[1]] for one in (patched, picture))
    at = np.argwhere(luma != before)
    scale = np.array([stored_wh[1], stored_wh[0]]) / whole.shape[:2]
    assert (at.min(axis=0) >= np.floor([210, 310] * scale) - 1).all()
    assert (at.max(axis=0) <= np.ceil([270, 390] * scale) + 1).all()


@pytest.mark.parametrize("as_decoded", [True, False])
def test_a_segment_keeps_the_shape_of_the_pixels(as_decoded, tmp_path):
    stored = cv2.resize(COARSE, (72, 58), interpolation=cv2.INTER_CUBIC)
    path = film(tmp_path / "a.mp4", [stored] * 3, aspect=Fraction(64, 45), codec="libx264", pixels="yuv420p")
    shown = [picture for picture, _ in native_rate.pictures(path)]
    pictures = shown if as_decoded else [picture.rgb() for picture in shown]
    ticks, aspect = np.arange(3) * 3600, decode.geometry(path).upright_aspect
    segments.write_segment(tmp_path / "b.mp4", pictures, ticks, segments.Coding(crf=5, aspect=aspect))
    sound = [np.zeros((1, 1920), np.float32)]
    segments.join(tmp_path / "c.mp4", [tmp_path / "b.mp4"], ticks, 10800, sound, 16000, "mono", {})
    geometry = decode.geometry(tmp_path / "c.mp4")
    assert (geometry.stored_wh, geometry.aspect) == ((72, 58), Fraction(64, 45))
    again = next(native_rate.pictures(tmp_path / "c.mp4"))[0].rgb().astype(int)
    assert np.abs(again - shown[0].rgb()).mean() < 4


def test_a_video_without_a_matrix_has_square_upright_pixels(tmp_path):
    encode.encode_video(tmp_path / "a.mp4", [PICTURE] * 2, None)
    geometry = decode.geometry(tmp_path / "a.mp4")
    assert (geometry.orientation, geometry.aspect, geometry.shown_wh) == (1, 1, (64, 48))


MATTERS = {  # what a reader could treat in another way than another one
    "interlaced": {"codec": "libx264", "pixels": "yuv420p", "options": {"x264-params": "tff=1"}},
    "10 bit": {"codec": "libx264", "pixels": "yuv420p10le"},
    "HLG": {"codec": "libx264", "pixels": "yuv420p10le", "has": {"color_trc": 18}},
    "PQ, turned": {"codec": "libx264", "pixels": "yuv420p10le", "has": {"color_trc": 16}, "orientation": 6},
    "12 bit": {"codec": "ffv1", "pixels": "yuv422p12le", "ending": "mkv"},
    "grey": {"codec": "ffv1", "pixels": "gray", "ending": "mkv"},
    "grey of 10 bit": {"codec": "ffv1", "pixels": "gray10le", "ending": "mkv"},
    "transparent": {"pixels": "rgba"},
    "wide pixels": {"codec": "libx264", "pixels": "yuv420p", "aspect": Fraction(64, 45)},
    "turned and interlaced": {
        "codec": "libx264", "pixels": "yuv420p", "orientation": 7, "options": {"x264-params": "tff=1"}
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", MATTERS)
def test_a_corpus_sees_the_pixels_that_dub_sees(kind, tmp_path):
    matter = dict(MATTERS[kind])
    moving = [np.roll(PICTURE, 5 * n, axis=1) for n in range(6)]
    path = film(tmp_path / f"a.{matter.pop('ending', 'mov')}", moving, matter.pop("orientation", 1), **matter)
    dubbed = [picture.rgb() for picture, _ in native_rate.pictures(path)]
    corpus = [picture.rgb() for picture in decode.Pictures(path)]
    assert len(dubbed) == len(corpus) == 6
    assert all(np.array_equal(one, other) for one, other in zip(dubbed, corpus, strict=True))
    if kind.startswith("grey"):
        assert max(np.ptp(picture, axis=2).max() for picture in corpus) == 0


def test_a_recording_without_a_duration_is_counted(tmp_path):
    path = recorded(tmp_path / "a.webm", PICTURE, 60)
    assert decode.probe(path).duration_s == 0
    assert decode.counted_length_s(path) == pytest.approx(60 / 25, abs=0.05)


def test_a_length_is_that_of_the_longer_stream_and_of_a_picture_none(tmp_path):
    sound = np.zeros(3 * 16000, np.float32)
    assert decode.counted_length_s(film(tmp_path / "a.mov", [PICTURE] * 5, sound=sound)) == pytest.approx(3, abs=0.01)
    (tmp_path / "b.webp").write_bytes(photograph(PICTURE, 1, ".webp"))
    assert decode.counted_length_s(tmp_path / "b.webp") == 0


def test_a_broken_time_stamp_adds_no_hours(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *PICTURE.shape[:2], "yuv420p"
        for pts in (0, 1, 2, 900_000):
            frame = av.VideoFrame.from_ndarray(PICTURE, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = pts, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert decode.counted_length_s(tmp_path / "a.mkv") < 1
