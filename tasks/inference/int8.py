"""The generator in int8: an ONNX file, calibrated on training clips and kept in the cache folder.

Its last layers, which compute the colours, stay in float. tasks/inference/auto_backend.py decides whether its pictures
are good enough.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model import samples
from tasks.core import files, paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.inference import backends
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips

QUANTISED_VERSION = 1  # raise it when the same checkpoint gives other files
NUM_CLIPS, FRAMES_PER_CLIP = 32, 8  # evenly spread over the training split, and over each clip
FLOAT_FROM = "/picture/"  # nodes of this module stay in float: int8 has too few levels for a smooth cheek


def folder() -> Path:
    return paths.cache() / "backends"


def onnx_file(checkpoint: Path) -> Path:
    """The int8 file of a checkpoint, made if it does not exist.

    Errors: UserError if the libraries or the training clips for the calibration are missing.
    """
    out = folder() / f"{files.sha256_file(checkpoint)[:16]}-int8-{QUANTISED_VERSION}.onnx"
    if out.is_file():
        return out
    backends.demand("onnx")
    backends.demand("onnxruntime")
    if not paths.INDEX.is_file():
        raise UserError(f"{paths.INDEX}: no such file: int8 is calibrated on training clips; run `dvc repro`")
    sync = LipSync(checkpoint, "torch")
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    with tempfile.TemporaryDirectory() as name, all_or_nothing(out) as partial:
        whole = Path(name) / "float.onnx"
        whole.write_bytes(backends.exported(sync.generator))
        quantise(whole, partial, calibration(sync, clips))
    return out


def calibration(sync: LipSync, clips: Clips) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of the generator from training clips, one batch per clip."""
    for number in np.unique(np.linspace(0, len(clips) - 1, NUM_CLIPS).round().astype(int)).tolist():
        clip = clips[number]
        with_face = np.flatnonzero(clip.found_T)
        at = with_face[np.unique(np.linspace(0, len(with_face) - 1, FRAMES_PER_CLIP).round().astype(int))]
        identity_SS3 = clip.faces_TSS3[samples.identity_frame(clip.found_T)]
        faces_B6SS, sound_BFW = sync.inputs(identity_SS3, clip.faces_TSS3[at], samples.windows(clip.mfcc_FW, at))
        tensors = (faces_B6SS.contiguous(), sound_BFW)
        yield {name: tensor.numpy() for name, tensor in zip(backends.INPUTS, tensors, strict=True)}


def quantise(whole: Path, out: Path, batches: Iterator[dict[str, np.ndarray]]) -> None:
    """Static quantisation: weights and activations in 8 bits, one scale per channel of the weights."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    prepared = whole.with_suffix(".prepared.onnx")
    quant_pre_process(whole, prepared, skip_symbolic_shape=True)
    nodes = onnx.load(str(prepared)).graph.node
    quantize_static(
        prepared,
        out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "ConvTranspose", "Add", "Concat", "Relu"],
        nodes_to_exclude=[node.name for node in nodes if node.name.startswith(FLOAT_FROM)],
    )
