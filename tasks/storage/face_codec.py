"""Storage of a clip's faces (`faces.storage`): as a JPEG from which any face can be decoded alone, or uncompressed.

jpeg   faces.jpg: the faces in one column, 4:4:4, with a restart marker after each. Nothing between two markers depends
       on earlier data: any selection of faces after the same header is a JPEG too, with exactly the pixels of the
       whole. If the faces exceed the 65,535 rows of a JPEG, more JPEGs follow the first.
raw    faces.npy: (T, S, S, 3) uint8; in a memory-mapped shard they are not copied until they are used
"""

import io
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from tasks.core.errors import UserError

FACE_STORE_VERSION = 1  # raise it when the bytes of stored faces change; it is part of the unit cache's keys

Content = bytes | memoryview

MAX_ROWS = 65_500  # of a JPEG, OpenCV's limit
BLOCK_PX = 8
START, END, FRAME, SCAN = 0xD8, 0xD9, 0xC0, 0xDA  # markers of a JPEG, after a byte 0xFF
RESTARTS = [bytes([0xFF, 0xD0 + k]) for k in range(8)]  # used in turn


def encode(faces_TSS3: np.ndarray, storage: str, quality: int) -> dict[str, bytes]:
    """The member of a shard with a clip's faces, by extension.

    Shape: (T, S, S, 3) uint8 RGB, S a multiple of 8, so that JPEG blocks do not cross from face to face
    """
    if storage == "raw":
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(faces_TSS3))
        return {"faces.npy": b"".join((header.getvalue(), np.ascontiguousarray(faces_TSS3).data))}
    size = faces_TSS3.shape[1]
    most = MAX_ROWS // size
    flags = [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        cv2.IMWRITE_JPEG_RST_INTERVAL, (size // BLOCK_PX) ** 2,
    ]  # fmt: skip
    parts = []
    for first in range(0, len(faces_TSS3), most):
        strip = faces_TSS3[first : first + most].reshape(-1, size, 3)
        done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), flags)
        assert done
        parts.append(jpeg.tobytes())
    return {"faces.jpg": b"".join(parts)}


class Faces:
    """The faces of a stored clip, each decoded at its first use, and kept.

    took: called with the number of bytes whenever more memory is used
    Errors: UserError if there are not `num_frames` faces, or they cannot be decoded
    """

    def __init__(
        self, members: Mapping[str, Content], num_frames: int, took: Callable[[int], None] = lambda num: None
    ) -> None:
        self._took = took
        self._strip = Strip(members["faces.jpg"]) if "faces.jpg" in members else None
        if self._strip is None:
            self._faces_TSS3 = _raw(members["faces.npy"])
            took(self._faces_TSS3.nbytes)
        else:
            size = self._strip.size
            self._faces_TSS3 = np.empty((len(self._strip), size, size, 3), np.uint8)  # takes no memory until filled
        self._known = [self._strip is None] * len(self._faces_TSS3)
        if len(self) != num_frames:
            raise UserError(f"{len(self)} faces are stored, the index says {num_frames}; run `dvc repro`")

    def __len__(self) -> int:
        return len(self._known)

    @property
    def size(self) -> int:
        return self._faces_TSS3.shape[1]

    @property
    def num_bytes(self) -> int:
        """Memory used by decoded faces."""
        return sum(self._known) * self.size**2 * 3

    def __getitem__(self, frame: int) -> np.ndarray:
        """Shape: -> (S, S, 3) uint8 RGB"""
        if not self._known[frame]:
            self._decode([frame])
        return self._faces_TSS3[frame]

    def at(self, frames: Sequence[int]) -> np.ndarray:
        """Shape: -> (N, S, S, 3) uint8 RGB"""
        if missing := [frame for frame in sorted(set(frames)) if not self._known[frame]]:
            self._decode(missing)
        return self._faces_TSS3[frames]

    def all(self) -> np.ndarray:
        """Shape: -> (T, S, S, 3) uint8 RGB"""
        if missing := [frame for frame, known in enumerate(self._known) if not known]:
            self._decode(missing)
        return self._faces_TSS3

    def _decode(self, frames: list[int]) -> None:
        assert self._strip is not None
        self._faces_TSS3[frames] = self._strip.decode(frames)
        for frame in frames:
            self._known[frame] = True
        self._took(len(frames) * self.size**2 * 3)


class Strip:
    """A `faces.jpg`, split at its restart markers."""

    def __init__(self, jpeg: Content) -> None:
        self._jpeg = jpeg
        bytes_N = np.frombuffer(jpeg, np.uint8)
        at_M = np.flatnonzero(bytes_N[:-1] == 0xFF)
        markers_M = bytes_N[at_M + 1]
        at_M = at_M[(markers_M >= 0xD0) & (markers_M <= END) & (markers_M != START)]
        ends = bytes_N[at_M + 1] == END
        self._spans: list[tuple[int, int]] = []
        start = 0
        while start < len(jpeg) or not self._spans:
            self._header, self._height_at = _header(jpeg, start)
            start += len(self._header)
            first = int(np.searchsorted(at_M, start))
            if not ends[first:].any():
                raise _damaged()
            last = first + int(ends[first:].argmax())
            stops = at_M[first : last + 1].tolist()
            self._spans += zip([start, *(stop + 2 for stop in stops[:-1])], stops, strict=True)
            start = stops[-1] + 2
        self.size = int.from_bytes(self._header[self._height_at + 2 : self._height_at + 4], "big")

    def __len__(self) -> int:
        return len(self._spans)

    def decode(self, frames: Sequence[int]) -> np.ndarray:
        """These faces.  Shape: -> (N, S, S, 3) uint8 RGB"""
        most = MAX_ROWS // self.size
        parts = [self._some(frames[first : first + most]) for first in range(0, len(frames), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _some(self, frames: Sequence[int]) -> np.ndarray:
        header = bytearray(self._header)
        header[self._height_at : self._height_at + 2] = (len(frames) * self.size).to_bytes(2, "big")
        pieces: list[Content | bytearray] = [header]
        for number, frame in enumerate(frames):
            start, stop = self._spans[frame]
            pieces += self._jpeg[start:stop], RESTARTS[number % 8]
        pieces[-1] = bytes([0xFF, END])
        strip = cv2.imdecode(np.frombuffer(b"".join(pieces), np.uint8), cv2.IMREAD_COLOR_RGB)
        if strip is None or strip.shape != (len(frames) * self.size, self.size, 3):
            raise _damaged()
        return strip.reshape(-1, self.size, self.size, 3)


def _header(jpeg: Content, start: int) -> tuple[bytes, int]:
    """Everything before the first face, and the position in it of the height, which the width follows."""
    at, height_at = start + 2, None
    while at + 4 <= len(jpeg):
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == FRAME:
            height_at = at + 5 - start
        at += 2 + length
        if marker == SCAN and height_at is not None:
            return bytes(jpeg[start:at]), height_at
    raise _damaged()


def _raw(npy: Content) -> np.ndarray:
    """An array over the bytes of a .npy, without copying them.  Shape: -> (T, S, S, 3) uint8"""
    start = io.BytesIO(npy[:256])
    try:
        np.lib.format.read_magic(start)
        shape, _, dtype = np.lib.format.read_array_header_1_0(start)
        return np.frombuffer(npy, dtype, offset=start.tell()).reshape(shape)
    except ValueError as error:
        raise UserError(f"a clip's faces.npy is damaged ({error}); run `dvc checkout` or `dvc repro`") from error


def _damaged() -> UserError:
    return UserError("a clip's faces.jpg is damaged; run `dvc checkout` or `dvc repro`")
