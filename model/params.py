"""The schema of params.yaml, section for section: names, types, units, ranges. tasks.core.config loads it."""

from dataclasses import dataclass
from typing import Annotated, Literal

RUN_FRAMES = 5  # consecutive frames that the sync expert takes: see model.expert


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest allowed value, both included; the value must be a multiple of `step`."""

    low: float
    high: float
    step: int = 1


Count = Annotated[int, Range(1, 10**9)]
Share = Annotated[float, Range(0, 1)]
Rate = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0, 1e6)]
LOCAL = "local"  # acquire.raw: raw shards are in data/raw
AUTO = "auto"  # corpus.num_shards: by the number of clips
ShardCount = Annotated[int, Range(1, 10_000)] | Literal["auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumShards:
    """Shards per split, chosen by the hash of the video id; changing a number rebuilds that split.

    auto: about 300 clips a shard, by powers of two, so that it changes only where the clips double or halve
    """

    train: ShardCount
    val: ShardCount
    test: ShardCount
    hard: ShardCount
    pretrain: ShardCount


@dataclass(frozen=True, slots=True, kw_only=True)
class Lrs2Params:
    """Where LRS2 is. The parts, in order, form one tar."""

    source: Literal["https", "folder"]
    host: str
    path: str
    parts: list[str]
    folder: str

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError("corpus.lrs2.parts must name each part once, in order")
        if bad := [part for part in self.parts if "/" in part or part.startswith(".") or not part]:
            raise ValueError(f"corpus.lrs2.parts: {bad[0]!r} is not a file name")
        if "@" in self.host:
            raise ValueError("corpus.lrs2.host must contain no user or password; the environment or netrc has them")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCorpusParams:
    """Where an open corpus is, and which people to take of it."""

    speakers: list[str]
    source: Literal["https", "folder"]
    record: str
    folder: str

    def __post_init__(self) -> None:
        if not self.speakers or len(set(self.speakers)) < len(self.speakers):
            raise ValueError("speakers must name each person once, and at least one")
        if bad := [name for name in self.speakers if not name.isascii() or not name.isalnum()]:
            raise ValueError(f"speakers: {bad[0]!r} is no name of a person, wanted letters and digits as in s1")
        if "@" in self.record:
            raise ValueError("record must contain no user or password")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireParams:
    """How a corpus is downloaded and where its raw shards are stored; nothing here changes a result."""

    raw: str  # "local": data/raw; s3://bucket/folder: there, with a pointer to each in data/raw
    delete_parts: bool
    parallel: Annotated[int, Range(1, 16)]  # parts downloaded in parallel
    stall_s: Annotated[float, Range(0.05, 3600)]  # without data for this long, the download reconnects and resumes
    max_failures: Annotated[int, Range(1, 1000)]  # in a row without progress
    backoff_s: Annotated[float, Range(0, 3600)]  # after the first failure; doubles up to 10 minutes
    max_missing: Share  # of the clips that the corpus lists; more missing is an error, not a row each

    def __post_init__(self) -> None:
        if self.raw != LOCAL and (not self.raw.startswith("s3://") or self.raw == "s3://" or "@" in self.raw):
            raise ValueError("acquire.raw must be local or s3://bucket/folder, without user or password")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusParams:
    name: Literal["synthetic", "folder", "lrs2", "grid"]
    size: Literal["demo", "large", "tiny"]
    folder: str
    licence: str
    persons: Literal["folder", "video"]
    split_by: Literal["person", "video"]
    splits: str
    val_share: Share
    test_share: Share
    lrs2: Lrs2Params
    grid: OpenCorpusParams
    num_shards: NumShards

    def __post_init__(self) -> None:
        if self.val_share + self.test_share >= 1:
            raise ValueError("corpus.val_share + corpus.test_share must be below 1: nothing is left to train on")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceParams:
    size: Annotated[int, Range(96, 192, 96)]  # px, side of the square crop
    choose: Literal["largest", "central"]
    detection: Literal["keyframes", "reference"]
    key_every: Annotated[int, Range(1, 100)]  # frames; keyframes only
    detect_px: Annotated[int, Range(160, 10_000)]  # px, long side
    mesh: bool
    smooth_frames: Annotated[int, Range(1, 99)]  # odd
    min_found: Share
    min_frames: Annotated[int, Range(2, 15_000)]
    max_frames: Annotated[int, Range(2, 15_000)]
    storage: Literal["jpeg", "raw"]  # of the crops: tasks/storage/face_codec.py
    jpeg_quality: Annotated[int, Range(50, 100)]  # jpeg only

    def __post_init__(self) -> None:
        if self.smooth_frames % 2 != 1:
            raise ValueError(f"faces.smooth_frames must be odd, got {self.smooth_frames}")
        if self.max_frames < self.min_frames:
            raise ValueError(f"faces.max_frames is {self.max_frames}, below faces.min_frames {self.min_frames}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityParams:
    """Quality limits, checked by tasks/preprocess/gates.py. Beyond a `max_` or `min_` a clip is refused, beyond a
    `flag_` it is kept and flagged.
    """

    min_face_px: Annotated[int, Range(0, 10_000)]  # width of the detected box in the frame
    max_jump: Annotated[float, Range(0, 1000)]  # of the box from one frame to the next, in box widths
    max_yaw_deg: Annotated[float, Range(0, 180)]  # median over the clip, estimated
    flag_yaw_deg: Annotated[float, Range(0, 180)]
    max_change: Share  # mean change of a pixel from frame to frame, as a share of full scale: a cut
    max_black: Share  # of the frames
    max_frozen: Share  # of the frames; 0.5 is a video of half the rate
    min_sound_db: Annotated[float, Range(-90, 0)]  # 95th percentile of the frames' loudness
    max_clipped: Share  # of the samples
    max_length_diff_s: Annotated[float, Range(0, 10_000)]
    min_spread_db: Annotated[float, Range(0, 90)]  # 95th above 10th percentile of loudness
    flag_spread_db: Annotated[float, Range(0, 90)]
    max_steady_db: Annotated[float, Range(-90, 0)]  # steady tones relative to all of the audio: music
    flag_steady_db: Annotated[float, Range(-90, 0)]
    sync_confidence: Annotated[float, Range(0, 2)]  # a measured offset with less confidence is ignored
    offset_frames: Annotated[int, Range(1, 12)]  # an offset of at least this is corrected
    clip_cpu_s: Annotated[float, Range(0.1, 100_000)]  # limit of processor time per clip


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkParams:
    """What the trained networks are built from, and what their checkpoints record."""

    width: Annotated[float, Range(0.03125, 2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParams(NetworkParams):
    generator: Literal["mesh", "lipgan"]  # default of dub, batch, live and app; changes no trained network

    @property
    def network(self) -> NetworkParams:
        return NetworkParams(width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmParams:
    """Training-health checks and their consequences: see model.alarms."""

    grace_steps: Annotated[int, Range(0, 10**9)]  # before this step the mouth may be still: its motion emerges late
    patience: Annotated[int, Range(1, 1000)]  # consecutive rows of the log
    divergence: Annotated[float, Range(1, 1000)]  # L1 relative to the lowest so far
    min_spread: Annotated[float, Range(0, 2)]  # between the discriminator's mean distances; 0: off
    min_motion: Share  # relative to the real mouth; 0: off
    min_audio_effect: Share  # relative to the mouth's error; 0: off
    lr_factor: Annotated[float, Range(0.01, 1)]  # for both learning rates, at each rollback
    max_rollbacks: Annotated[int, Range(0, 1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentParams:
    """Augmentation of a clip, drawn from (seed, epoch, clip); 0: none."""

    flip: bool
    colour: Annotated[float, Range(0, 0.9)]  # largest relative change of brightness, contrast and each channel
    shift_px: Annotated[int, Range(0, 16)]  # of the whole clip's box, up, down and sideways
    microphone: Annotated[float, Range(0, 10)]  # spread of a constant added to the cepstra: another room and microphone
    disturbed: Share  # of clips with music or noise under the voice
    snr_db: list[Annotated[float, Range(-20, 60)]]  # lowest and highest SNR of the voice
    silent: Share  # of single frames with a closed mouth of the clip and silence

    def __post_init__(self) -> None:
        if len(self.snr_db) != 2 or self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"augment.snr_db must be [lowest, highest], got {self.snr_db}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertParams:
    """The sync expert. Its width is model.width, so that the generator can reuse its audio encoder."""

    num_steps: Count
    clips_per_batch: Annotated[int, Range(1, 4096)]
    runs_per_clip: Annotated[int, Range(2, 4096)]  # runs of 5 frames in a batch; negatives of one another
    lr: Rate
    warmup_steps: Annotated[int, Range(0, 10**9)]
    weight_decay: Share
    negative_min_frames: Annotated[int, Range(2, 1000)]  # within a clip
    other_clip_share: Share  # of the negatives' weight
    ranking_weight: Weight  # of the ranking loss, besides the pair loss
    augment: AugmentParams
    precision: Literal["bf16", "fp32"]
    max_offset: Annotated[int, Range(3, 50)]  # frames, of the validation
    val_runs: Annotated[int, Range(1, 1_000_000)]
    log_every: Count
    val_every: Count
    checkpoint_every: Count

    def __post_init__(self) -> None:
        if self.augment.silent:
            raise ValueError("expert.augment.silent must be 0: silence fits every closed mouth")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermParams:
    """One term of the generator's loss: its weight and schedule. See model.schedules."""

    weight: Weight  # 0: the term is left out
    begin: Share  # of the steps; before it the weight is 0
    ramp: Share  # of the steps, during which the weight rises linearly
    metric: Literal["none", "val_mouth_l1", "val_expert_loss", "val_sync_loss"]  # wait until it has fallen ...
    below: Annotated[float, Range(0, 100)]  # ... to this


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsParams:
    """The terms of the generator's loss besides L1."""

    sync: TermParams  # contrastive, of the co-trained sync discriminator
    expert: TermParams  # -log probability of "in sync", of the frozen expert
    quality: TermParams  # adversarial, of the visual-quality discriminator
    temporal: TermParams  # L1 of the change from frame to frame
    perceptual: TermParams  # L1 of the expert's features


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainParams:
    num_steps: Count
    batch_size: Annotated[int, Range(1, 65_536)]
    lr: Rate
    lr_discriminator: Rate
    warmup_steps: Annotated[int, Range(0, 10**9)]
    decay_from: Share
    lip_alpha: Annotated[float, Range(1, 1000)]
    terms: TermsParams
    num_runs: Annotated[int, Range(0, 10_000)]  # runs of 5 frames in a batch, for the expert and temporal terms
    audio_from_expert: Literal["never", "first", "frozen"]  # its audio encoder: its own, initialised from, frozen
    average: Annotated[float, Range(0, 0.99999)]  # decay of the moving average of the weights that is saved; 0: off
    margin: Annotated[float, Range(0.1, 2)]  # distances on the unit sphere end at 2
    identity_min_frames: Annotated[int, Range(1, 1000)]
    negative_min_frames: Annotated[int, Range(2, 1000)]  # 1 would be the adjacent frame: nearly in sync
    windows_per_clip: Annotated[int, Range(1, 10_000)]  # samples drawn from a clip each time it is decoded
    clips_in_flight: Annotated[int, Range(1, 10_000)]  # clips whose samples are mixed with one another
    augment: AugmentParams
    precision: Literal["bf16", "fp32"]
    separate_fakes: bool
    time_limit_s: Annotated[float, Range(0, 1e9)]  # 0: no limit; changes no result
    log_every: Count
    val_every: Count
    val_samples: Annotated[int, Range(1, 100_000)]
    checkpoint_every: Count
    alarms: AlarmParams

    def __post_init__(self) -> None:
        if self.num_runs * RUN_FRAMES > self.batch_size:
            raise ValueError(
                f"train.num_runs is {self.num_runs}: {self.num_runs * RUN_FRAMES} frames, but train.batch_size is "
                f"{self.batch_size}"
            )
        need_runs = ("expert", "temporal", "perceptual")
        if not self.num_runs and (idle := [name for name in need_runs if getattr(self.terms, name).weight]):
            raise ValueError(f"train.terms.{idle[0]} needs runs of frames, but train.num_runs is 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionAugmentParams:
    """What is changed of a clip's sound each time it is drawn, by (seed, step); 0 is nothing: model.motion_augment."""

    speed: Annotated[float, Range(0, 0.5)]  # largest share by which a clip is said faster or slower
    throat: Annotated[float, Range(0, 0.3)]  # largest share by which the mel bands are moved: another speaker
    microphone: Annotated[float, Range(0, 5)]  # spread of the log gains of six bands: another room and microphone
    level: Annotated[float, Range(0, 3)]  # spread of the log power of the whole
    room: Share  # of the clips, those with reverberation
    disturbed: Share  # of the clips, those with music, noise or another voice under the voice
    snr_db: list[Annotated[float, Range(-20, 60)]]  # dB, lowest and highest, of the voice over it
    voiceless: Share  # of the clips, those that are music or noise alone over a closed mouth

    def __post_init__(self) -> None:
        if len(self.snr_db) != 2 or self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"motion.augment.snr_db must be [lowest, highest], got {self.snr_db}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionParams:
    """Sound to the mouth's motion: model.motion, tasks/motion."""

    num_bands: Annotated[int, Range(8, 128)]  # of the log-mel features
    low_hz: Annotated[float, Range(0, 4000)]
    high_hz: Annotated[float, Range(1000, 8000)]
    width: Annotated[int, Range(8, 1024)]  # channels of the network
    num_components: Annotated[int, Range(1, 64)]  # of the mouth's shape
    same_size: bool  # persons' motions are scaled to one size, the geometric mean
    clips_per_person: Count  # at most, evenly from all: more of one person teach little
    num_steps: Count
    clips_per_batch: Annotated[int, Range(1, 4096)]
    num_frames: Annotated[int, Range(4, 1000)]  # of a piece
    lr: Rate
    warmup_steps: Annotated[int, Range(0, 10**9)]
    weight_decay: Share
    dropout: Annotated[float, Range(0, 0.9)]
    average: Annotated[float, Range(0, 0.99999)]  # of the weights that are saved, share kept in a step
    velocity_weight: Weight  # of the error of the change from frame to frame, beside the error of the shape
    opening_weight: Weight  # of the error of the lips' opening
    first_share: Share  # of the pieces, those from the first data folder; further ones share the rest
    person_balance: Share  # 0: each person is drawn equally often; 1: each clip
    max_gain: Annotated[float, Range(1, 10)]  # of a component: what training to the mean took of its motion
    open_as_real: Share  # how far the opening's distribution is made that of real people; 0: only by the gains
    augment: MotionAugmentParams
    log_every: Count
    val_every: Count
    checkpoint_every: Count

    def __post_init__(self) -> None:
        if self.high_hz <= self.low_hz:
            raise ValueError(f"motion.high_hz must be above motion.low_hz, got {self.low_hz:g} to {self.high_hz:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideParams:
    """The mouth's inside, painted where the library lacks it: model.inside, model.inside_gan, tasks/inside."""

    width: Annotated[int, Range(4, 256)]  # channels of the network's first layer
    clips_per_person: Count  # at most, evenly from all
    num_pairs: Annotated[int, Range(2, 1_000_000)]  # of frames, shared equally by the people
    first_share: Share  # of the pairs, those from the first data folder; further ones share the rest
    num_steps: Count
    batch_size: Annotated[int, Range(1, 4096)]
    lr: Rate
    lr_discriminator: Rate
    warmup_steps: Annotated[int, Range(0, 10**9)]
    average: Annotated[float, Range(0, 0.99999)]  # of the weights that are saved, share kept in a step
    precision: Literal["bf16", "fp32"]
    quality_weight: Weight  # of the visual-quality discriminator, beside L1
    quality_from: Share  # of the steps, after which it takes part
    quality_width: Annotated[float, Range(0.03125, 16)]  # of the discriminator, relative to 64, 128 and 256 channels
    light: Share  # largest change of level and contrast of a pair; half of it for each colour
    grey: Share  # of the pairs, those without colour
    blurred: Share  # of the pairs, those that are blurred
    log_every: Count
    val_every: Count
    checkpoint_every: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightParams:
    """Files of published networks for evaluation; "" for none."""

    syncnet: str
    inception: str
    lpips: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateParams:
    splits: list[Literal["train", "val", "test", "hard"]]
    max_lag: Annotated[int, Range(1, 50)]  # frames
    num_pairs: Annotated[int, Range(2, 1_000_000)]
    num_bootstrap: Annotated[int, Range(10, 1_000_000)]
    strips: Annotated[int, Range(0, 100)]  # clips shown in the report
    noise_clips: Annotated[int, Range(0, 100_000)]
    noise_snr_db: list[Annotated[float, Range(-20, 60)]]  # SNR with music or noise under the audio
    weights: WeightParams

    def __post_init__(self) -> None:
        if not self.splits or self.splits[0] != "test":
            raise ValueError("evaluate.splits must begin with test: the headline is measured on it")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainParams:
    """When a new checkpoint replaces the one that serves."""

    metric: Literal["aperture_corr", "aperture_best_corr"]
    promote: Literal["better", "not_worse"]
    min_clips: Annotated[int, Range(2, 1_000_000)]
    min_aperture_corr: Annotated[float, Range(-1, 1)]
    min_amplitude_ratio: Annotated[float, Range(0, 100)]
    max_amplitude_ratio: Annotated[float, Range(0, 100)]
    max_wrong_audio_corr: Annotated[float, Range(-1, 1)]
    min_in_sync: Share
    min_hard_corr: Annotated[float, Range(-1, 1)]
    drift_ks: Share

    def __post_init__(self) -> None:
        if self.min_amplitude_ratio > self.max_amplitude_ratio:
            raise ValueError(
                f"retrain.min_amplitude_ratio is {self.min_amplitude_ratio:g}, above retrain.max_amplitude_ratio "
                f"{self.max_amplitude_ratio:g}: no checkpoint could ever serve"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    seed: Annotated[int, Range(0, 2**31)]
    corpus: CorpusParams
    acquire: AcquireParams
    faces: FaceParams
    quality: QualityParams
    model: ModelParams
    expert: ExpertParams
    train: TrainParams
    motion: MotionParams
    inside: InsideParams
    evaluate: EvaluateParams
    retrain: RetrainParams

    def __post_init__(self) -> None:
        if 2 * self.train.identity_min_frames > self.faces.min_frames:
            raise ValueError(
                f"train.identity_min_frames is {self.train.identity_min_frames}; at most half of faces.min_frames "
                f"({self.faces.min_frames}), otherwise short clips have no identity frame"
            )
