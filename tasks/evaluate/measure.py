"""A clip and a way to fill its frames -> every metric of model.metrics that can be measured of it.

What belongs to the clip (truth, true landmarks, boxes, sound) is prepared once, in `Reference`; a row costs its
landmarks, its SSIM and, where there is one, the sync expert.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from skimage.metrics import structural_similarity

from model import faces, head_pose, timing
from model.metrics import articulation, bilabials, motion, picture, temporal
from tasks.evaluate import conditions
from tasks.evaluate.raw_clips import RawClips
from tasks.features import paste
from tasks.features.landmarks import Predictor
from tasks.inference.mouth_score import FilmedMouth, filmed_mouth
from tasks.storage.shards import Clip

Record = dict[str, Any]
PictureDistance = Callable[[np.ndarray, np.ndarray], float]
RIM = 0.02, 0.98  # where the pasted face fades: how much of it is seen
YAW_BINS_DEG = (0, 15, 30, 45, 90)


class SyncNetwork(Protocol):
    """How far picture and sound lie apart at each offset; tasks.inference.sync_meter.SyncMeter is one."""

    def distances(self, faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, max_offset: int = 15) -> np.ndarray: ...
    def summary(self, distances_NK: np.ndarray) -> dict[str, float]: ...


class PublishedNetwork(Protocol):
    """LSE-D and LSE-C from pictures and sound; tasks.evaluate.published_syncnet.PublishedSyncNet is one."""

    def measure(self, faces_TSS3: np.ndarray, sound: np.ndarray) -> dict[str, float]: ...


class FrameSets(Protocol):
    """Frames gathered clip by clip, and how far a row's are from the true ones; tasks.evaluate.lpips_fid.Fid is one."""

    def add(self, row: str, faces_THW3: np.ndarray) -> None: ...
    def of(self, row: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Meters:
    """What measures. All but the predictor are optional: they need weights."""

    predictor: Predictor
    max_lag: int
    yaw_weights: np.ndarray | None = None  # of tasks.features.yaw: where the turn of a head is not known
    expert: SyncNetwork | None = None
    syncnet: PublishedNetwork | None = None
    lpips: PictureDistance | None = None
    fid: FrameSets | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A clip, and what every row of it is compared with."""

    clip: Clip
    mouth: FilmedMouth
    mouth_T4: np.ndarray
    teeth_T: np.ndarray
    lips_meet: list[tuple[int, int]]
    frames: Iterable[np.ndarray] | None  # as filmed, to paste the face into; none: the seam is not measured
    sound: np.ndarray | None  # for the published network, which has features of its own


def reference(clip: Clip, key: str, meters: Meters, raw: RawClips | None) -> Reference:
    """`raw`: where the frames, sound and words come from; None: what needs them is not measured."""
    mouth = filmed_mouth(clip, meters.predictor)
    num_frames = len(clip.faces_TSS3)
    spans_s = bilabials.spans_s(clip.truth, raw.words(key) if raw else "")
    mouth_T4 = faces.mouth_boxes(mouth.landmarks_T682, clip.faces_TSS3.shape[1])
    return Reference(
        clip=clip,
        mouth=mouth,
        mouth_T4=mouth_T4,
        teeth_T=picture.teeth_area(clip.faces_TSS3, mouth_T4),
        lips_meet=[timing.frames_of_span(*span_s, num_frames) for span_s in spans_s],
        frames=raw.frames(key) if raw else None,
        sound=raw.sound(key) if raw and meters.syncnet else None,
    )


def measure(row: str, made_TSS3: np.ndarray, to: Reference, meters: Meters) -> Record:
    """Every metric of one row; and `lags`, `expert_lags`, `opening`, `yaw`: what the plots are drawn from."""
    true_TSS3, mouth = to.clip.faces_TSS3, to.mouth
    points_T682 = conditions.landmarks_of(row, made_TSS3, mouth.landmarks_T682, meters.predictor)
    measured_T = faces.aperture(points_T682)
    score = mouth.score(measured_T, meters.max_lag)
    span, true_span = articulation.range_of(mouth.real_T), articulation.range_of(mouth.truth_T)
    opened_T = articulation.opened(measured_T, span)
    teeth_T = picture.teeth_area(made_TSS3, to.mouth_T4)
    chin, cheeks = motion.spurious_motion(made_TSS3, true_TSS3, to.mouth_T4)
    record: Record = {
        "row": row,
        "frames": len(made_TSS3),
        "aperture_corr": score.corr,
        "aperture_best_corr": score.best_corr,
        "aperture_lag_frames": score.lag_frames,
        "amplitude_ratio": score.amplitude_ratio,
        "velocity_ratio": articulation.velocity_ratio(measured_T, mouth.real_T),
        "event_f1": articulation.event_f1(opened_T, articulation.opened(mouth.truth_T, true_span)),
        "closure": articulation.closure(opened_T, to.lips_meet),
        "l1": picture.l1(made_TSS3, true_TSS3),
        "mouth_l1": picture.mouth_l1(made_TSS3, true_TSS3, to.mouth_T4),
        "outside_l1": picture.outside_l1(made_TSS3, true_TSS3, to.mouth_T4),
        "psnr": picture.psnr(made_TSS3, true_TSS3),
        "mouth_psnr": picture.mouth_psnr(made_TSS3, true_TSS3, to.mouth_T4),
        "outside_psnr": picture.outside_psnr(made_TSS3, true_TSS3, to.mouth_T4),
        **ssim(made_TSS3, true_TSS3, to.mouth_T4),
        "sharpness_ratio": picture.sharpness_ratio(made_TSS3, true_TSS3, to.mouth_T4),
        "teeth_error": picture.teeth_error(teeth_T, to.teeth_T),
        "teeth_flicker_ratio": picture.teeth_flicker_ratio(teeth_T, to.teeth_T),
        "lmd": picture.lmd(points_T682, to.mouth.landmarks_T682),
        "chin_motion": chin,
        "cheek_motion": cheeks,
        "mouth_skew": motion.mouth_skew(points_T682, to.mouth.landmarks_T682),
        "box_jitter": motion.box_jitter(to.clip.boxes_T4),
        "lags": temporal.lag_curve(measured_T, mouth.truth_T, meters.max_lag),
        "opening": measured_T,
    }
    if to.frames is not None and row in conditions.GENERATED:
        record["seam"] = seam(made_TSS3, to)
    if meters.expert:
        record |= heard(made_TSS3, to.clip.mfcc_FW, meters.expert)
    if meters.syncnet and to.sound is not None:
        record |= meters.syncnet.measure(made_TSS3, to.sound)
    if meters.lpips:
        record["lpips"] = 0.0 if row == "real_video" else meters.lpips(made_TSS3, true_TSS3)
    yaw_T = yaw_deg(to, meters.yaw_weights)
    if row == "right_audio" and yaw_T is not None:
        record["yaw"] = by_yaw(made_TSS3, points_T682, yaw_T, to)
    return {name: value for name, value in record.items() if value is not None}


def heard(faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, expert: SyncNetwork) -> Record:
    """What a sync network makes of pictures and the clip's own sound."""
    distances_NK = expert.distances(faces_TSS3, mfcc_FW)
    lags_M, told = temporal.expert_lags(distances_NK), expert.summary(distances_NK)
    return {
        "expert_in_sync": temporal.in_sync(lags_M),
        "expert_lag_frames": -int(told["offset_frames"]),  # sound that is late is a picture that is early
        "expert_distance": told["distance"],
        "expert_confidence": told["confidence"],
        "expert_lags": lags_M,
    }


def ssim(a_TSS3: np.ndarray, b_TSS3: np.ndarray, mouth_T4: np.ndarray) -> dict[str, float]:
    """Structural similarity, mean over frames, whole and in and outside the mouth box; 1 is equal, higher is better.

    Misses: rewards a copy of the input.
    Source: Wang et al. 2004, as scikit-image computes it (7 x 7 uniform window), on RGB.
    """
    whole, mouth, outside = [], [], []
    for a, b, (left, top, right, bottom) in zip(a_TSS3, b_TSS3, mouth_T4, strict=True):
        if np.array_equal(a, b):
            value, map_SS3 = 1.0, np.ones(a.shape)
        else:
            value, map_SS3 = structural_similarity(a, b, channel_axis=-1, data_range=255, full=True)
        within = np.zeros(a.shape[:2], bool)
        within[top:bottom, left:right] = True
        whole.append(value)
        mouth.append(map_SS3[within].mean())
        outside.append(map_SS3[~within].mean())
    return {name: float(np.mean(v)) for name, v in (("ssim", whole), ("mouth_ssim", mouth), ("outside_ssim", outside))}


def seam(made_TSS3: np.ndarray, to: Reference) -> float:
    """`metrics_motion.seam` of the faces pasted into the frames as dubbing does, over the frames with a face."""
    values = []
    boxes_T4 = faces.crop_boxes(to.clip.boxes_T4)
    assert to.frames is not None
    points_T682 = to.mouth.landmarks_T682
    frames = zip(to.frames, made_TSS3, to.clip.faces_TSS3, points_T682, boxes_T4, to.clip.found_T, strict=False)
    for frame_HW3, made_SS3, real_SS3, points_682, box_4, seen in frames:
        if seen:
            mask_SS = paste.mask(points_682, len(made_SS3))
            rim_SS = ((mask_SS > RIM[0]) & (mask_SS < RIM[1])).astype(np.float32)
            rim_HW3 = paste.paste(np.zeros_like(frame_HW3), np.full_like(made_SS3, 255), rim_SS, box_4)
            pasted_HW3 = paste.paste(frame_HW3, paste.recoloured(made_SS3, real_SS3, mask_SS), mask_SS, box_4)
            values.append(motion.seam(pasted_HW3, frame_HW3, rim_HW3[..., 0] > 0))
    return float(np.mean(values)) if values else 0.0


def yaw_deg(to: Reference, weights: np.ndarray | None) -> np.ndarray | None:
    """How far the head is turned in each frame, known or estimated; None where neither can be.  Shape: (T,)"""
    if to.clip.truth:
        return np.array(to.clip.truth["yaw_deg"])
    return None if weights is None else head_pose.yaw_deg(to.mouth.landmarks_T682, weights)


def by_yaw(
    made_TSS3: np.ndarray, points_T682: np.ndarray, yaw_T: np.ndarray, to: Reference
) -> dict[str, tuple[int, float, float]]:
    """Bin of the head's turn -> its frames, and their sums of mouth L1 and LMD."""
    away_T, found = np.abs(yaw_T), {}
    for low, high in itertools.pairwise(YAW_BINS_DEG):
        at = np.flatnonzero((away_T >= low) & (away_T < high))
        if len(at):
            mouth = picture.mouth_l1(made_TSS3[at], to.clip.faces_TSS3[at], to.mouth_T4[at])
            apart = picture.lmd(points_T682[at], to.mouth.landmarks_T682[at])
            found[f"{low}_{high}"] = (len(at), mouth * len(at), apart * len(at))
    return found
