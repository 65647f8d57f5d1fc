"""Backends of the generator: torch, or on a CPU two inference runtimes, which fold its batch norms away.

    torch   openvino   openvino-bf16   openvino-int8   onnx   onnx-int8

All except torch belong to the optional extra `fast`; both runtimes read the same ONNX file. bf16 and int8 round, so
tasks/inference/auto_backend.py measures their pictures before they are used. LIPGAN_BACKEND names the backend of a
plain `LipSync`.
"""

import importlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from model.generator import Generator
from model.mfcc import NUM_MFCC
from model.timing import WINDOW
from tasks.core.errors import UserError

BACKENDS = ("torch", "openvino", "openvino-bf16", "openvino-int8", "onnx", "onnx-int8")
INT8 = ("openvino-int8", "onnx-int8")
ROUNDED = ("openvino-bf16", *INT8)  # the others match torch's pictures to one level of 255
OPSET = 17
INPUTS, OUTPUT = ["faces", "sound"], "pictures"

Run = Callable[[Tensor, Tensor], Tensor]  # faces (B, 6, S, S), sound (B, 12, 35) -> pictures (B, 3, S, S)


def checked(name: str, allowed: Sequence[str], source: str = "LIPGAN_BACKEND") -> str:
    """The name itself.  Errors: UserError for an unknown name, naming its `source`"""
    if name not in allowed:
        raise UserError(f"{source} must be one of {', '.join(allowed)}, got {name!r}")
    return name


def from_environment() -> str:
    """The backend of LIPGAN_BACKEND, torch by default."""
    name = os.environ.get("LIPGAN_BACKEND") or "torch"
    return checked(name, [name for name in BACKENDS if name not in INT8])


def compiled(generator: Generator, backend: str, device: torch.device, quantised: Path | None = None) -> Run:
    """The generator, in eval mode, as a function.

    quantised: the ONNX file of an int8 backend, see tasks/inference/int8.py
    Errors:    UserError if the backend is not installed.
    """
    if backend == "torch":
        return lambda faces, sound: generator(faces.to(device), sound.to(device)).cpu()
    if device.type != "cpu":
        raise UserError(f"backend {backend} is for the CPU; set LIPGAN_DEVICE=cpu, or use torch")
    library = demand("openvino" if backend.startswith("openvino") else "onnxruntime")
    assert (backend in INT8) == (quantised is not None), (backend, quantised)
    model = exported(generator) if quantised is None else quantised.read_bytes()
    if backend.startswith("openvino"):
        return _openvino(library, model, "bf16" if backend == "openvino-bf16" else "f32")
    return _onnx(library, model)


def _openvino(openvino: ModuleType, model: bytes, precision: str) -> Run:
    core = openvino.Core()
    network = core.compile_model(
        core.read_model(model),
        "CPU",
        {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()},
    )
    return lambda faces, sound: torch.from_numpy(
        np.array(network([faces.contiguous().numpy(), sound.numpy()])[0], np.float32)
    )


def _onnx(runtime: ModuleType, model: bytes) -> Run:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda faces, sound: torch.from_numpy(
        session.run(None, dict(zip(INPUTS, (faces.contiguous().numpy(), sound.numpy()), strict=True)))[0]
    )


def exported(generator: Generator) -> bytes:
    """The generator as an ONNX file, for batches of any size."""
    demand("onnx")  # torch uses it for writing
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about untraced shape checks and a slice that is not folded
        torch.onnx.export(
            generator, _example(generator), file,  # type: ignore[arg-type]
            input_names=INPUTS, output_names=[OUTPUT], opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in [*INPUTS, OUTPUT]}, dynamo=False,
        )  # fmt: skip
    return file.getvalue()


def _example(generator: Generator) -> tuple[Tensor, Tensor]:
    return torch.zeros(2, 6, generator.size, generator.size), torch.zeros(2, NUM_MFCC, WINDOW)


def demand(name: str) -> ModuleType:
    """Import an optional library.  Errors: UserError if it is not installed"""
    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"{name} is not installed: pip install -e '.[fast]', or use the backend torch"
        raise UserError(message) from None
