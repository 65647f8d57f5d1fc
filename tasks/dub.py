"""Dubbing: the face of a video or picture is made to say a sound.

    python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4

The output is as long as the sound, to one frame; a shorter video starts again, a picture stands still. Frames in which
no face is found pass through as they are. Faces and sound come from the code that made the training shards; memory
holds a batch of frames, whatever the length.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from model import faces, timing
from model.params import FaceParams
from tasks import features, inference, mark, media, paths
from tasks.features import Track
from tasks.inference import LipSync
from tasks.progress import bar, say
from tasks.stage import UserError, all_or_nothing

# what is seen of a generated face, as shares of the crop: an oval over mouth, cheeks and chin, which fades at its rim
OVAL_CENTRE, OVAL_RADII, RIM = (0.5, 0.69), (0.42, 0.3), 0.3


def run(face: str, audio: str, out: str, checkpoint: str = str(paths.GENERATOR)) -> Path:
    """Dub `face` with the sound of `audio`.  Errors: UserError for what cannot be read, or has no face or no sound."""
    target = Path(out)
    if target.suffix.lower() != ".mp4":
        raise UserError(f"--out must end in .mp4, got {out}")
    target.parent.mkdir(parents=True, exist_ok=True)
    sync = LipSync(Path(checkpoint))
    p = FaceParams(**sync.about["params"]["faces"])
    sound = read_sound(Path(audio))
    num_frames = timing.num_frames_of_sound(len(sound))
    followed = find_face(Path(face), p)
    mfcc_FW = features.mfcc(sound, num_frames)
    made = dubbed(Path(face), followed, sync, mfcc_FW, num_frames)
    sources = {"face": Path(face), "sound": Path(audio)}
    came_from = mark.about(Path(checkpoint), sync.about, sources)
    with all_or_nothing(target) as partial:  # no file without its mark is ever seen under this name
        sound = media.fit(sound, num_frames)
        media.encode_video(partial, counted(made, num_frames), sound, tags=mark.tags(came_from))
        mark.mark(partial, came_from, sources)
    seen = followed.found_T[np.arange(num_frames) % len(followed.found_T)]
    say(
        f"dub: {target}: {num_frames} frames, {num_frames / timing.FPS:.2f} s; {(~seen).sum()} without a face passed "
        f"through; checkpoint {inference.describe(sync.about)}"
    )
    return target


def read_sound(path: Path) -> np.ndarray:
    """Shape: -> (samples,) float32, 16 kHz, at least one"""
    demand_file(path)
    try:
        return media.decode_sound(path)
    except media.MediaError as error:
        raise UserError(f"{path}: no sound can be read: {error.detail}") from error


def demand_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file")


def find_face(path: Path, p: FaceParams) -> Track:
    """The face to be dubbed, through the whole video, by the policy that cut the training crops."""
    demand_file(path)
    try:
        num_promised = max(1, media.probe(path).num_frames)
        followed = features.track(counted(media.frames(path), num_promised, "finding the face"), p)
    except media.MediaError as error:
        raise UserError(f"{path}: no picture can be read: {error.detail}") from error
    if not followed.found_T.any():
        raise UserError(f"{path}: no face found in {len(followed.found_T)} frames; it must be frontal and upright")
    return followed


def counted(frames: Iterator[np.ndarray], total: int, what: str = "dubbing") -> Iterator[np.ndarray]:
    with bar(total, what, "frame") as shown:
        for frame_HW3 in frames:
            yield frame_HW3
            shown.update()


def dubbed(face: Path, followed: Track, sync: LipSync, mfcc_FW: np.ndarray, num_frames: int) -> Iterator[np.ndarray]:
    """The frames of the output, one by one, RGB uint8."""
    boxes_T4 = faces.crop_boxes(followed.boxes_T4)
    who = inference.identity_frame(followed.found_T)
    identity_frame = next(islice(media.frames(face), who, None))
    identity_SS3 = features.crop(identity_frame, boxes_T4[who], sync.size)
    source = enumerate(repeated(face))
    for start in range(0, num_frames, inference.BATCH):
        batch = list(islice(source, min(inference.BATCH, num_frames - start)))
        at = np.array([number for number, _ in batch])
        boxes_B4 = boxes_T4[at % len(boxes_T4)]
        crops_BSS3 = np.stack(
            [features.crop(frame, box, sync.size) for (_, frame), box in zip(batch, boxes_B4, strict=True)]
        )
        made_BSS3 = sync.generate(identity_SS3, crops_BSS3, inference.windows(mfcc_FW, at))
        for (number, frame_HW3), box_4, made_SS3 in zip(batch, boxes_B4, made_BSS3, strict=True):
            seen = followed.found_T[number % len(followed.found_T)]
            yield paste(frame_HW3, made_SS3, box_4) if seen else frame_HW3


def repeated(face: Path) -> Iterator[np.ndarray]:
    """The frames of the video, from the start again when they end: decoded again, never held."""
    if media.is_image(face):
        picture = media.read_image(face)
        while True:
            yield picture
    while True:
        yield from media.frames(face)


def paste(frame_HW3: np.ndarray, face_SS3: np.ndarray, box_4: np.ndarray) -> np.ndarray:
    """The generated face in its place: an oval of its lower part, fading at the rim.

    Shape: (H, W, 3), (S, S, 3) uint8; box of the crop in the frame  ->  (H, W, 3) uint8
    """
    size = len(face_SS3)
    height, width = frame_HW3.shape[:2]
    back = cv2.invertAffineTransform(features.crop_transform(box_4, size))
    flags = cv2.INTER_LINEAR
    alpha_HW = cv2.warpAffine(paste_mask(size), back, (width, height), flags=flags)[..., None]
    face_HW3 = cv2.warpAffine(face_SS3, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    blended = frame_HW3 * (1 - alpha_HW) + face_HW3 * alpha_HW
    return np.where(alpha_HW > 0, blended.round(), frame_HW3).astype(np.uint8)


def paste_mask(size: int) -> np.ndarray:
    """How much of the generated face is seen at each pixel of the crop.  Shape: -> (S, S) float32 in [0, 1]"""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    across, down = ((at - centre) / radius for centre, radius in zip(OVAL_CENTRE, OVAL_RADII, strict=True))
    return ramp(1 - np.hypot(across[None, :], down[:, None]), 0, RIM).astype(np.float32)


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
