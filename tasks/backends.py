"""What computes the generator: torch, or on a CPU two programs made for inference, which fold its batch norms away.

LIPGAN_BACKEND   torch (default) | openvino | openvino-bf16 | onnx

The others are the optional extra `fast`. `benchmarks/dub.py` measures them side by side. bf16 rounds: its pictures may
differ from torch's by a few levels of 255, where fp32 differs by one.
"""

import importlib
import io
import os
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from model.generator import Generator
from model.samples import NUM_MFCC
from model.timing import WINDOW
from tasks.stage import UserError

BACKENDS = ("torch", "openvino", "openvino-bf16", "onnx")
OPSET = 17

Run = Callable[[Tensor, Tensor], Tensor]  # faces (B, 6, S, S), sound (B, 12, 35) -> pictures (B, 3, S, S)


def chosen() -> str:
    """Errors: UserError for a name that is none."""
    given = os.environ.get("LIPGAN_BACKEND") or "torch"
    if given not in BACKENDS:
        raise UserError(f"LIPGAN_BACKEND must be one of {', '.join(BACKENDS)}, got {given!r}")
    return given


def compiled(generator: Generator, backend: str, device: torch.device) -> Run:
    """The generator, in eval mode, as something that runs.  Errors: UserError where the backend is not installed."""
    if backend == "torch":
        return lambda faces, sound: generator(faces.to(device), sound.to(device)).cpu()
    if device.type != "cpu":
        raise UserError(f"LIPGAN_BACKEND={backend} is for the CPU; set LIPGAN_DEVICE=cpu, or take torch")
    return _onnx(generator) if backend == "onnx" else _openvino(generator, "bf16" if "bf16" in backend else "f32")


def _openvino(generator: Generator, precision: str) -> Run:
    openvino = _library("openvino")
    with torch.inference_mode():
        model = openvino.convert_model(generator, example_input=_example(generator))
    network = openvino.compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    )
    return lambda faces, sound: torch.from_numpy(
        np.array(network([faces.contiguous().numpy(), sound.numpy()])[0], np.float32)
    )


def _onnx(generator: Generator) -> Run:
    runtime = _library("onnxruntime")
    _library("onnx")  # torch writes it with this
    file = io.BytesIO()
    names = ["faces", "sound"]
    torch.onnx.export(
        generator, _example(generator), file,  # type: ignore[arg-type]
        input_names=names, output_names=["pictures"], opset_version=OPSET,
        dynamic_axes={name: {0: "batch"} for name in [*names, "pictures"]}, dynamo=False,
    )  # fmt: skip
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda faces, sound: torch.from_numpy(
        session.run(None, {"faces": faces.contiguous().numpy(), "sound": sound.numpy()})[0]
    )


def _example(generator: Generator) -> tuple[Tensor, Tensor]:
    return torch.zeros(2, 6, generator.size, generator.size), torch.zeros(2, NUM_MFCC, WINDOW)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"{name} is not installed: pip install 'lipgan-pipeline[fast]', or unset LIPGAN_BACKEND"
        raise UserError(message) from None
