"""Photographs and other pictures that people have: each as viewers show it, or refused in words."""

import io
import zlib

import av
import cv2
import numpy as np
import pytest
from heic import box, heic
from PIL import Image, ImageCms
from test_upright import PICTURE
from turned import photograph

from tasks.media import decode, hdr, stills
from tasks.media.containers import MediaError


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out


def read(image, kind, **options):
    return decode.read_image(saved(image, kind, **options))


def of(array):
    return Image.fromarray(np.ascontiguousarray(array))


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("PNG", {}), ("AVIF", {})])
def test_the_first_picture_of_an_animation_is_read(kind, options):
    more = [of(255 - PICTURE), of(PICTURE[::-1])]
    animated = saved(of(PICTURE), kind, save_all=True, append_images=more, duration=100, **options)
    assert decode.is_image(animated)
    assert np.abs(decode.read_image(animated).astype(int) - PICTURE).mean() <= (9 if kind == "AVIF" else 0)


def test_a_burst_of_jpegs_gives_its_first_picture():
    """MPO, as cameras and telephones write it."""
    burst = read(of(PICTURE), "MPO", save_all=True, append_images=[of(255 - PICTURE)], quality=98)
    assert np.abs(burst.astype(int) - PICTURE).mean() < 6


LARGE = np.pad(cv2.resize(PICTURE, (160, 120), interpolation=cv2.INTER_CUBIC), ((0, 8), (0, 32), (0, 0)), "edge")
TILES = [LARGE[top : top + 64, left : left + 64] for top in (0, 64) for left in (0, 64, 128)]


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        (b"", lambda picture: picture),
        (box("irot", b"\1"), lambda picture: np.rot90(picture)),
        (box("irot", b"\3"), lambda picture: np.rot90(picture, -1)),
        (box("imir", b"\0"), lambda picture: picture[::-1]),
        (box("imir", b"\1"), lambda picture: picture[:, ::-1]),
    ],
    ids=["as stored", "turned left", "turned right", "mirrored top to bottom", "mirrored left to right"],
)
@pytest.mark.parametrize("orientation", [None, 6])
def test_the_tiles_of_a_telephones_photograph_are_one_upright_picture(turn, shown, orientation):
    content = io.BytesIO(heic(TILES, (160, 120), columns=3, turn=turn, orientation=orientation))
    picture, wanted = decode.read_image(content), shown(LARGE[:120, :160])
    assert decode.is_image(content) and picture.shape == wanted.shape
    assert np.abs(picture.astype(int) - wanted).mean() < 5  # another one is 70 off


def test_a_burst_in_a_heic_gives_its_main_picture():
    picture = decode.read_image(io.BytesIO(heic(TILES[:3], primary=2)))
    assert np.abs(picture.astype(int) - TILES[1]).mean() < 6


def test_grey_pictures_stay_grey():
    grey = PICTURE[..., 0]
    assert (read(of(grey), "PNG") == grey[..., None]).all()
    assert np.ptp(read(of(grey), "JPEG"), axis=2).max() == 0
    assert np.ptp(read(of(np.repeat(grey[..., None], 3, axis=2)), "AVIF"), axis=2).max() <= 2


def test_sixteen_bits_of_grey_are_those_of_eight():
    deep = PICTURE[..., 0].astype(np.uint16) * 257
    for kind in ("PNG", "TIFF"):
        assert (read(of(deep), kind) == PICTURE[..., :1]).all()


def test_what_is_transparent_is_white():
    clear = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    clear[:, :20, 3] = 0
    picture = read(of(clear), "PNG")
    assert (picture[:, :20] == 255).all() and (picture[:, 20:] == PICTURE[:, 20:]).all()
    palette = of(PICTURE).quantize(16)
    assert (read(palette, "PNG", transparency=palette.getpixel((0, 0)))[0, 0] == 255).all()


def test_a_transparent_video_is_shown_on_white_too(tmp_path):
    clear = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    clear[:, :20, 3] = 0
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        stream = out.add_stream("png", rate=25)
        stream.height, stream.width, stream.pix_fmt = *PICTURE.shape[:2], "rgba"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(clear, format="rgba")))
        out.mux(stream.encode(None))
    picture = decode.read_image(tmp_path / "a.mov")
    assert (picture[:, :20] == 255).all() and (picture[:, 20:] == PICTURE[:, 20:]).all()


def test_another_colour_profile_is_converted_as_viewers_do():
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (read(of(PICTURE), "PNG", icc_profile=srgb) == PICTURE).all()
    assert (read(of(PICTURE), "PNG", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes()) == PICTURE).all()
    assert (read(of(PICTURE), "PNG", icc_profile=b"damaged") == PICTURE).all()
    # a profile whose red is sRGB's blue: what it names red is shown blue
    swapped = bytearray(srgb.replace("sRGB".encode("utf-16-be"), "odd_".encode("utf-16-be")))
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    pure = np.zeros((8, 8, 3), np.uint8)
    pure[..., 0] = 255
    assert read(of(pure), "PNG", icc_profile=bytes(swapped))[0, 0].tolist() == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize("size_wh", [(4032, 3024), (8160, 6120), (3024, 4032)])
def test_a_photograph_of_twelve_to_fifty_megapixels_is_made_smaller(size_wh):
    whole = of(PICTURE).resize(size_wh)
    picture = read(whole, "JPEG", quality=60)
    height, width = picture.shape[:2]
    assert 0.99 * stills.MAX_PIXELS < height * width <= stills.MAX_PIXELS
    assert width / height == pytest.approx(size_wh[0] / size_wh[1], rel=1e-3)
    assert np.abs(np.asarray(of(picture).resize((64, 48))).astype(int) - PICTURE).mean() < 12


def test_the_largest_picture_that_is_kept_is_kept_to_the_pixel():
    whole = np.zeros((2304, 4096, 3), np.uint8)
    whole[5, 7] = 200
    assert (read(of(whole), "PNG", compress_level=1) == whole).all()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded():
    huge = bytearray(saved(of(PICTURE), "PNG").getvalue())
    huge[16:24] = (20_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    with pytest.raises(MediaError, match="20000 x 20000; at most 120 megapixels are read"):
        decode.probe(io.BytesIO(bytes(huge)))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_a_picture_in_hdr_is_converted(transfer, name):
    content = bytearray(saved(of(PICTURE), "AVIF").getvalue())
    at = content.index(b"colrnclx") + 10
    content[at : at + 2] = transfer.to_bytes(2, "big")
    shown = decode.read_image(io.BytesIO(bytes(content)))
    assert (shown == hdr.sdr_still(read(of(PICTURE), "AVIF"), name)).all()


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif", ".avif", ".heic"])
def test_a_damaged_picture_is_refused_in_words(ending):
    content = heic(TILES, (160, 120), columns=3) if ending == ".heic" else photograph(PICTURE, 6, ending)
    rng = np.random.default_rng(0)
    for seed in range(60):
        data = bytearray(content)
        for at in rng.integers(16, len(data), 6):
            data[at] = seed
        try:
            assert decode.read_image(io.BytesIO(bytes(data))).dtype == np.uint8
        except MediaError as error:
            assert error.reason in ("unreadable", "truncated") and "\n" not in str(error)
    with pytest.raises(MediaError, match=r"truncated|unreadable"):
        decode.read_image(io.BytesIO(content[: len(content) // 2]))


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.jpg"])
def test_the_bytes_decide_what_is_a_picture(name, tmp_path):
    (tmp_path / name).write_bytes(photograph(PICTURE, 1))
    assert decode.is_image(tmp_path / name)
    assert np.array_equal(decode.read_image(tmp_path / name), PICTURE)
