"""A decoded picture that is converted to RGB only where it is read: most of a frame is neither face nor searched.

It is upright and has square pixels, as viewers show it, however the file stores it. `Picture` is read like the array
(H, W, 3) it stands for, with `picture.shape` and `picture[top:bottom, left:right]`, and gives the same bytes: code that
takes slices works on pictures and arrays alike.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from tasks.media import planes, upright
from tasks.media.encode import ACCURATE, colour_matrix
from tasks.media.planes import FULL_RANGE, LIKE_BT601, PLANAR, UNSPECIFIED, coded

REACH_PX = 8  # the reach of the colour planes' filter; even, so that the filter keeps its phase
NEARLY = 0.02  # pixels this near to square are taken as they are: 853 x 480 says 1280:1279, and nobody sees it


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the frames of a video are shown.

    stored_wh: as decoded; frames of another size are scaled to it.  orientation: of tasks.media.upright
    aspect: width of a stored pixel over its height.  shown_wh: size in square pixels, upright
    """

    stored_wh: tuple[int, int]
    orientation: int = upright.AS_STORED
    aspect: Fraction = Fraction(1)
    shown_wh: tuple[int, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown_wh", self._shown_wh())  # once: every picture asks for it

    @property
    def upright_wh(self) -> tuple[int, int]:
        return self.stored_wh[::-1] if upright.swaps_sides(self.orientation) else self.stored_wh

    @property
    def upright_aspect(self) -> Fraction:
        return 1 / self.aspect if upright.swaps_sides(self.orientation) else self.aspect

    def _shown_wh(self) -> tuple[int, int]:
        """Upright, in square pixels: the shorter way of the pixels is enlarged, so that no detail is lost."""
        (width, height), aspect = self.upright_wh, _stretch(self.upright_aspect)
        return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def squeezed(picture_HW3: np.ndarray, aspect: Fraction) -> np.ndarray:
    """A picture in square pixels, in those of another shape: undoes `Geometry.shown_wh`."""
    stretch = _stretch(aspect)
    if stretch == 1:
        return picture_HW3
    height, width = picture_HW3.shape[:2]
    size_wh = (round(width / stretch), height) if stretch > 1 else (width, round(height * stretch))
    return cv2.resize(picture_HW3, size_wh, interpolation=cv2.INTER_AREA)


def _stretch(aspect: Fraction) -> Fraction:
    return Fraction(1) if 1 - NEARLY < aspect < 1 + NEARLY else aspect


class Picture:
    """One frame of a video, as decoded.  own: no decoder holds its planes, too"""

    def __init__(self, frame: av.VideoFrame, geometry: Geometry, own: bool = False) -> None:
        self._frame, self.geometry, self._own = frame, geometry, own
        self.shape = (*geometry.shown_wh[::-1], 3)
        self._shown_HW3: np.ndarray | None = None  # kept where pixels had to be made square: no part can be made alone
        self._kept: tuple[int, int, np.ndarray] | None = None  # top and left of a part, and the part

    @property
    def time_s(self) -> float | None:
        """Its time stamp in the file."""
        return self._frame.time

    @property
    def nbytes(self) -> int:
        """Memory that the picture takes, read or not."""
        shown = 0 if self._has_square_pixels() else self.shape[0] * self.shape[1] * 3
        return shown + sum(plane.line_size * plane.height for plane in self._frame.planes)

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns, as a copy.  Shape: -> (rows, columns, 3) uint8 RGB"""
        (top, bottom, _), (left, right, _) = (cut.indices(n) for cut, n in zip(at, self.shape, strict=False))
        rows, columns = (top, max(top, bottom)), (left, max(left, right))
        shown_hw, orientation = (self.shape[0], self.shape[1]), self.geometry.orientation
        if not self._has_square_pixels():
            return self._squared()[slice(*rows), slice(*columns)].copy()
        if not self._is_planar():
            return np.ascontiguousarray(self.rgb()[slice(*rows), slice(*columns)])
        if (kept := self._of_kept(rows, columns)) is not None:
            return kept
        part = self._part(*upright.stored_part(rows, columns, shown_hw, orientation))
        return np.ascontiguousarray(upright.upright(part, orientation))

    def keep(self, rows: slice, columns: slice) -> None:
        """Convert this part now and keep it in memory: what is read within it is not converted again. Does nothing
        where no part can be converted alone.
        """
        if self._has_square_pixels() and self._is_planar():
            top, left = rows.indices(self.shape[0])[0], columns.indices(self.shape[1])[0]
            self._kept = (top, left, self[rows, columns])

    def _of_kept(self, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray | None:
        if self._kept is None:
            return None
        top, left, part = self._kept
        within = top <= rows[0] and rows[1] <= top + part.shape[0]
        if not (within and left <= columns[0] and columns[1] <= left + part.shape[1]):
            return None
        return part[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left].copy()

    def _part(self, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Stored rows and columns of a planar frame.  Shape: -> (rows, columns, 3) uint8 RGB"""
        (top, bottom), (left, right), frame = rows, columns, self._frame
        if matrix := planes.usual_matrix(frame):
            return planes.rgb(frame, top, bottom, left, right, matrix)
        low_y, low_x = (max(0, (n - REACH_PX) // 2 * 2) for n in (top, left))
        high_y = min(frame.height, (bottom + REACH_PX + 1) // 2 * 2)
        high_x = min(frame.width, (right + REACH_PX + 1) // 2 * 2)
        part = self._rgb(planes.cut(frame, low_y, high_y, low_x, high_x), high_x - low_x, high_y - low_y)
        return part[top - low_y : bottom - low_y, left - low_x : right - low_x]

    def luma(self) -> np.ndarray:
        """Luminance as stored; a view that must be read at once.  Shape: -> (H, W) uint8; black is 16 in most files"""
        frame = self._frame
        return planes.rows(frame.planes[0])[:, : frame.width] if frame.format.name == PLANAR else self.rgb()[..., 1]

    def rgb(self) -> np.ndarray:
        """The whole picture as it is shown.  Shape: -> (H, W, 3) uint8"""
        return self._upright() if self._has_square_pixels() else self._squared().copy()

    def _squared(self) -> np.ndarray:
        if self._shown_HW3 is None:
            self._shown_HW3 = cv2.resize(self._upright(), self.geometry.shown_wh, interpolation=cv2.INTER_CUBIC)
        return self._shown_HW3

    def _upright(self) -> np.ndarray:
        frame, geometry = self._frame, self.geometry
        if self._is_planar() and (matrix := planes.usual_matrix(frame)):
            whole = planes.rgb(frame, 0, frame.height, 0, frame.width, matrix)
        elif frame.format.name == PLANAR:
            whole = self._rgb(planes.cut(frame, 0, frame.height, 0, frame.width), *geometry.stored_wh)
        else:
            whole = self._rgb(frame, *geometry.stored_wh)
        return np.ascontiguousarray(upright.upright(whole, geometry.orientation))

    def is_coded(self) -> bool:
        """Whether its planes have the form that `coded` gives to RGB: encoded as they are, no conversion loses
        anything.
        """
        frame = self._frame
        matrix = colour_matrix(frame.height)
        return (
            self._is_planar()
            and self.geometry.orientation == upright.AS_STORED
            and frame.width % 2 == frame.height % 2 == 0
            and frame.color_range != FULL_RANGE
            and (frame.colorspace in (UNSPECIFIED, matrix) or {frame.colorspace, matrix} <= set(LIKE_BT601))
        )

    def frame(self) -> av.VideoFrame:
        """Its planes, to be encoded; a copy where a decoder holds them, too."""
        return self._frame if self._own else planes.cut(self._frame, 0, self._frame.height, 0, self._frame.width)

    def patched(self, left: int, top: int, patch_HW3: np.ndarray, changed_HW: np.ndarray) -> "Picture":
        """This picture with some pixels replaced; if it `is_coded`, all other pixels keep their exact values.

        Shape: left, top even; patch (H, W, 3) uint8 RGB and (H, W) bool: which of its pixels to use, H and W even
        """
        if not self._has_square_pixels():
            left, top, patch_HW3, changed_HW = self._squeezed(left, top, patch_HW3, changed_HW)
        whole = planes.cut(self._frame, 0, self._frame.height, 0, self._frame.width)
        height, width = changed_HW.shape
        assert left % 2 == top % 2 == height % 2 == width % 2 == 0, (left, top, height, width)
        of_two_rows = changed_HW[::2] | changed_HW[1::2]
        anywhere_HW = of_two_rows[:, ::2] | of_two_rows[:, 1::2]
        both = zip(coded(patch_HW3, whole.height).planes, whole.planes, (1, 2, 2), strict=True)
        for source, target, step in both:
            low_y, low_x, num_y, num_x = top // step, left // step, height // step, width // step
            place = planes.rows(target)[low_y : low_y + num_y, low_x : low_x + num_x]
            np.copyto(place, planes.rows(source)[:num_y, :num_x], where=changed_HW if step == 1 else anywhere_HW)
        return Picture(whole, self.geometry, own=True)

    def _squeezed(
        self, left: int, top: int, patch_HW3: np.ndarray, changed_HW: np.ndarray
    ) -> tuple[int, int, np.ndarray, np.ndarray]:
        """A patch of the shown picture, in the stored pixels: as `patched` takes it."""
        (low_x, high_x, scale_x), (low_y, high_y, scale_y) = (
            (
                int(low * stored / shown) // 2 * 2,
                min(stored, -(-(low + num) * stored // shown // 2) * 2),
                stored / shown,
            )
            for low, num, stored, shown in zip(
                (left, top), changed_HW.shape[::-1], self.geometry.stored_wh, self.geometry.shown_wh, strict=True
            )
        )
        shift_x, shift_y = (
            (first + 0.5) / scale - 0.5 - low for first, scale, low in ((low_x, scale_x, left), (low_y, scale_y, top))
        )  # centres of pixels lie on centres
        from_stored = np.array([[1 / scale_x, 0, shift_x], [0, 1 / scale_y, shift_y]])
        size_wh, flags = (high_x - low_x, high_y - low_y), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch = cv2.warpAffine(patch_HW3, from_stored, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return low_x, low_y, patch, cv2.warpAffine(changed_HW.astype(np.float32), from_stored, size_wh, flags=flags) > 0

    def small(self, width: int, height: int) -> np.ndarray:
        """A grey thumbnail, as stored; black is 0.  Shape: -> (height, width) uint8"""
        if self._frame.format.name == PLANAR:
            grey = cv2.resize(self.luma(), (width, height), interpolation=cv2.INTER_AREA)
            return grey if self._frame.color_range == FULL_RANGE else cv2.LUT(grey, planes.LUMA)
        own = VideoReformatter()  # the frame's would be shared by the threads that read one picture
        return own.reformat(self._frame, width, height, format="gray", interpolation="AREA", threads=1).to_ndarray()

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """Transparent pixels are shown on white, as in tasks/media/stills.py.  Shape: -> (height, width, 3) uint8"""
        matrix = colour_matrix(self._frame.height) if frame.colorspace == UNSPECIFIED else None
        transparent = any(part.is_alpha for part in frame.format.components)
        own = VideoReformatter()  # as in `small`; without threads=1 PyAV >= 17 is 10-40 times slower here
        stored = own.reformat(
            frame, width, height, format="rgba" if transparent else "rgb24", src_colorspace=matrix,
            interpolation=ACCURATE, threads=1,
        ).to_ndarray()  # fmt: skip
        if not transparent:
            return stored
        share = stored[..., 3:] / np.float32(255)
        return np.rint(stored[..., :3] * share + 255 * (1 - share)).astype(np.uint8)

    def _has_square_pixels(self) -> bool:
        return self.geometry.shown_wh == self.geometry.upright_wh

    def _is_planar(self) -> bool:
        frame = self._frame
        return frame.format.name == PLANAR and self.geometry.stored_wh == (frame.width, frame.height)
