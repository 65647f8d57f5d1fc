"""Every metric of model.metrics for a clip under a condition.

The clip's own data (truth, true landmarks, boxes, sound) is prepared once, in `Reference`; each condition costs its
landmarks, its SSIM and, if available, the sync expert.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from skimage.metrics import structural_similarity

from model import faces, head_mesh, timing
from model.metrics import articulation, motion, picture, temporal
from tasks.evaluate import conditions, said
from tasks.evaluate.raw_clips import RawClips
from tasks.features import paste
from tasks.features.mesh_points import MeshPoints
from tasks.inference.mouth_score import FilmedMouth, filmed_mouth
from tasks.storage.shards import Clip

Record = dict[str, Any]
PictureDistance = Callable[[np.ndarray, np.ndarray], float]
RIM = 0.02, 0.98  # opacity range of the zone where the pasted face fades
YAW_BINS_DEG = (0, 15, 30, 45, 90)


class SyncNetwork(Protocol):
    """Distances of picture and sound at each offset, as tasks.inference.sync_meter.SyncMeter."""

    def distances(self, faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, max_offset: int = 15) -> np.ndarray: ...
    def summary(self, distances_NK: np.ndarray) -> dict[str, float]: ...


class PublishedNetwork(Protocol):
    """LSE-D and LSE-C from pictures and sound, as tasks.evaluate.published_syncnet.PublishedSyncNet."""

    def measure(self, faces_TSS3: np.ndarray, sound: np.ndarray) -> dict[str, float]: ...


class FrameSets(Protocol):
    """A distance between sets of frames that are collected clip by clip, as tasks.evaluate.lpips_fid.Fid."""

    def add(self, row: str, faces_THW3: np.ndarray) -> None: ...
    def of(self, row: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Meters:
    """The measuring networks. All except the face mesh are optional: they need weights."""

    predictor: MeshPoints
    max_lag: int
    expert: SyncNetwork | None = None
    syncnet: PublishedNetwork | None = None
    lpips: PictureDistance | None = None
    fid: FrameSets | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A clip, and what every condition is compared with."""

    clip: Clip
    mouth: FilmedMouth
    mouth_T4: np.ndarray
    teeth_T: np.ndarray
    lips_meet: list[tuple[int, int]]
    visemes: list[tuple[str, int, int]]  # what is said in which frames
    frames: Iterable[np.ndarray] | None  # as filmed, to paste the face into; None: the seam is not measured
    sound: np.ndarray | None  # for the published network, which computes its own features


def reference_of(clip: Clip, key: str, meters: Meters, raw: RawClips | None) -> Reference:
    """`raw`: source of frames, sound and words; None: metrics that need them are not measured."""
    mouth = filmed_mouth(clip, meters.predictor)
    num_frames = len(clip.faces_TSS3)
    transcript = raw.words(key) if raw else ""
    heard = said.said(clip.truth, transcript, (lambda: raw.sound(key)) if raw else None)
    mouth_T4 = faces.mouth_boxes(mouth.landmarks_T682, clip.faces_TSS3.shape[1])
    return Reference(
        clip=clip,
        mouth=mouth,
        mouth_T4=mouth_T4,
        teeth_T=picture.teeth_area(clip.faces_TSS3, mouth_T4),
        lips_meet=[timing.frames_of_span(*span_s, num_frames) for span_s in said.lips_meet(heard, transcript)],
        visemes=[(name, *timing.frames_of_span(start_s, end_s, num_frames)) for name, start_s, end_s in heard],
        frames=raw.frames(key) if raw else None,
        sound=raw.sound(key) if raw and meters.syncnet else None,
    )


def measure(row: str, output_TSS3: np.ndarray, reference: Reference, meters: Meters) -> Record:
    """Every metric of one condition, and `lags`, `expert_lags`, `opening` and `yaw` for the plots."""
    true_TSS3, mouth = reference.clip.faces_TSS3, reference.mouth
    points_T682 = conditions.landmarks_of(row, output_TSS3, mouth.landmarks_T682, meters.predictor)
    measured_T = faces.aperture(points_T682)
    score = mouth.score(measured_T, meters.max_lag)
    span, true_span = articulation.range_of(mouth.real_T), articulation.range_of(mouth.truth_T)
    opened_T = articulation.opened(measured_T, span)
    teeth_T = picture.teeth_area(output_TSS3, reference.mouth_T4)
    chin, cheeks = motion.spurious_motion(output_TSS3, true_TSS3, reference.mouth_T4)
    record: Record = {
        "row": row,
        "frames": len(output_TSS3),
        "aperture_corr": score.corr,
        "aperture_best_corr": score.best_corr,
        "aperture_lag_frames": score.lag_frames,
        "amplitude_ratio": score.amplitude_ratio,
        "velocity_ratio": articulation.velocity_ratio(measured_T, mouth.real_T),
        "event_f1": articulation.event_f1(opened_T, articulation.opened(mouth.truth_T, true_span)),
        "closure": articulation.closure(opened_T, reference.lips_meet),
        "l1": picture.l1(output_TSS3, true_TSS3),
        "mouth_l1": picture.mouth_l1(output_TSS3, true_TSS3, reference.mouth_T4),
        "outside_l1": picture.outside_l1(output_TSS3, true_TSS3, reference.mouth_T4),
        "psnr": picture.psnr(output_TSS3, true_TSS3),
        "mouth_psnr": picture.mouth_psnr(output_TSS3, true_TSS3, reference.mouth_T4),
        "outside_psnr": picture.outside_psnr(output_TSS3, true_TSS3, reference.mouth_T4),
        **ssim(output_TSS3, true_TSS3, reference.mouth_T4),
        "sharpness_ratio": picture.sharpness_ratio(output_TSS3, true_TSS3, reference.mouth_T4),
        "teeth_error": picture.teeth_error(teeth_T, reference.teeth_T),
        "teeth_flicker_ratio": picture.teeth_flicker_ratio(teeth_T, reference.teeth_T),
        "lmd": picture.lmd(points_T682, reference.mouth.landmarks_T682),
        "chin_motion": chin,
        "cheek_motion": cheeks,
        "mouth_skew": motion.mouth_skew(points_T682, reference.mouth.landmarks_T682),
        "box_jitter": motion.box_jitter(reference.clip.boxes_T4),
        "lags": temporal.lag_curve(measured_T, mouth.truth_T, meters.max_lag),
        "opening": measured_T,
    }
    if reference.frames is not None and row in conditions.GENERATED:
        record["seam"] = seam(output_TSS3, reference)
    if meters.expert:
        record |= expert_figures(output_TSS3, reference.clip.mfcc_FW, meters.expert)
    if meters.syncnet and reference.sound is not None:
        record |= meters.syncnet.measure(output_TSS3, reference.sound)
    if meters.lpips:
        record["lpips"] = 0.0 if row == "real_video" else meters.lpips(output_TSS3, true_TSS3)
    if row in conditions.BY_VISEME and reference.visemes:
        truth_T = articulation.opened(mouth.truth_T, true_span)
        record["visemes"] = articulation.by_viseme(opened_T, truth_T, reference.visemes)
    if row == "right_audio":
        record["yaw"] = by_yaw(output_TSS3, points_T682, yaw_deg(reference), reference)
    return {name: value for name, value in record.items() if value is not None}


def expert_figures(faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, expert: SyncNetwork) -> Record:
    """The sync network's figures for pictures and the clip's own sound."""
    distances_NK = expert.distances(faces_TSS3, mfcc_FW)
    lags_M, summary = temporal.expert_lags(distances_NK), expert.summary(distances_NK)
    return {
        "expert_in_sync": temporal.in_sync(lags_M),
        "expert_lag_frames": -int(summary["offset_frames"]),  # late sound means an early picture
        "expert_distance": summary["distance"],
        "expert_confidence": summary["confidence"],
        "expert_lags": lags_M,
    }


def ssim(a_TSS3: np.ndarray, b_TSS3: np.ndarray, mouth_T4: np.ndarray) -> dict[str, float]:
    """Structural similarity, mean over frames: whole, inside and outside the mouth box; 1 is equal, higher is better.

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


def seam(output_TSS3: np.ndarray, reference: Reference) -> float:
    """`motion.seam` of the faces pasted into the frames as in dubbing, over the frames with a face."""
    values = []
    clip, points_T682 = reference.clip, reference.mouth.landmarks_T682
    boxes_T4 = faces.crop_boxes(clip.boxes_T4)
    assert reference.frames is not None
    frames = zip(reference.frames, output_TSS3, clip.faces_TSS3, points_T682, boxes_T4, clip.found_T, strict=False)
    for frame_HW3, output_SS3, real_SS3, points_682, box_4, found in frames:
        if found:
            mask_SS = paste.mask(points_682, len(output_SS3))
            rim_SS = ((mask_SS > RIM[0]) & (mask_SS < RIM[1])).astype(np.float32)
            rim_HW3 = paste.paste(np.zeros_like(frame_HW3), np.full_like(output_SS3, 255), rim_SS, box_4)
            pasted_HW3 = paste.paste(frame_HW3, paste.recoloured(output_SS3, real_SS3, mask_SS), mask_SS, box_4)
            values.append(motion.seam(pasted_HW3, frame_HW3, rim_HW3[..., 0] > 0))
    return float(np.mean(values)) if values else 0.0


def yaw_deg(reference: Reference) -> np.ndarray:
    """Yaw of the head in each frame, known or read from the mesh.  Shape: (T,)"""
    if reference.clip.truth:
        return np.array(reference.clip.truth["yaw_deg"])
    return head_mesh.pose_deg(head_mesh.place(reference.mouth.mesh_T4683))[:, 0]


def by_yaw(
    output_TSS3: np.ndarray, points_T682: np.ndarray, yaw_T: np.ndarray, reference: Reference
) -> dict[str, tuple[int, float, float]]:
    """Bin of the yaw -> number of its frames, and their sums of mouth L1 and LMD."""
    turn_T, bins = np.abs(yaw_T), {}
    for low, high in itertools.pairwise(YAW_BINS_DEG):
        at = np.flatnonzero((turn_T >= low) & (turn_T < high))
        if len(at):
            mouth = picture.mouth_l1(output_TSS3[at], reference.clip.faces_TSS3[at], reference.mouth_T4[at])
            lmd = picture.lmd(points_T682[at], reference.mouth.landmarks_T682[at])
            bins[f"{low}_{high}"] = (len(at), mouth * len(at), lmd * len(at))
    return bins
