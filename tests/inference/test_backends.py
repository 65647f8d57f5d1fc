"""Every backend of the generator gives torch's pictures, or is refused by name."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.dubbing.options import Options
from tasks.inference import auto_backend, backends, int8, lip_sync
from tasks.inference.auto_backend import BackendResult
from tasks.loading.clips import Clips

LIBRARIES = {"openvino": ("openvino", "onnx"), "onnx": ("onnxruntime", "onnx")}


def needs(backend):
    for library in LIBRARIES.get(backend.split("-")[0], ()):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed (extra: fast)")


def faces_and_windows():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (5, 96, 96, 3), dtype=np.uint8), rng.normal(size=(5, 12, 35)).astype(np.float32)


@pytest.mark.parametrize(("backend", "levels"), [("openvino", 1), ("onnx", 1), ("openvino-bf16", 24)])
def test_a_backend_gives_the_pictures_of_torch(trained, monkeypatch, backend, levels):
    needs(backend)
    faces, windows = faces_and_windows()
    wanted = lip_sync.LipSync(paths.GENERATOR).generate(faces[0], faces, windows)
    monkeypatch.setenv("LIPGAN_BACKEND", backend)
    sync = lip_sync.LipSync(paths.GENERATOR)
    assert sync.backend == backend
    assert np.abs(sync.generate(faces[0], faces, windows).astype(int) - wanted).max() <= levels
    assert np.abs(sync.generate(faces[0], faces[:1], windows[:1]).astype(int) - wanted[:1]).max() <= levels


@pytest.mark.parametrize("backend", backends.INT8)
def test_int8_is_8_bits_and_near_torch_on_faces(trained, backend):
    needs(backend)
    needs("onnx")
    import onnx

    file = int8.onnx_file(paths.GENERATOR)
    assert int8.onnx_file(paths.GENERATOR) == file and len(list(file.parent.iterdir())) == 1
    graph = onnx.load(str(file)).graph
    kinds = {name: node.op_type for node in graph.node for name in node.output}
    weights = {node.name: kinds.get(node.input[1]) for node in graph.node if node.op_type.startswith("Conv")}
    assert [name for name, kind in weights.items() if kind != "DequantizeLinear"] == [
        name for name in weights if name.startswith("/picture/")
    ]
    sync = lip_sync.LipSync(paths.GENERATOR, "torch")
    batch = next(int8.calibration(sync, Clips(paths.INDEX, paths.SHARDS, "val")))
    faces_B6SS, sound_BFW = (torch.from_numpy(batch[name]) for name in backends.INPUTS)
    wanted = sync.run(faces_B6SS, sound_BFW)
    got = lip_sync.LipSync(paths.GENERATOR, backend, file).run(faces_B6SS, sound_BFW)
    assert 0 < (got - wanted).detach().abs().mean() < 0.02


def test_the_fastest_backend_that_passes_is_used_and_the_result_is_kept(trained, monkeypatch, capsys):
    results = {
        "torch": BackendResult(9.0, {}, ""),
        "onnx": BackendResult(5.0, {}, ""),
        "onnx-int8": BackendResult(2.0, {}, "too far off"),
        "openvino": BackendResult(None, {}, "openvino is not installed"),
    }
    measured = []
    monkeypatch.setattr(auto_backend, "measure", lambda checkpoint: measured.append(checkpoint) or results)
    assert auto_backend.fastest(paths.GENERATOR) == auto_backend.fastest(paths.GENERATOR) == "onnx"
    assert len(measured) == 1
    assert "backend onnx-int8: refused: too far off" in capsys.readouterr().err
    with pytest.raises(UserError, match="--backend onnx-int8: too far off"):
        auto_backend.lip_sync(paths.GENERATOR, "onnx-int8")
    Path(paths.GENERATOR).write_bytes(Path(paths.GENERATOR).read_bytes() + b" ")
    assert auto_backend.fastest(paths.GENERATOR) == "onnx" and len(measured) == 2  # another checkpoint is measured


def test_the_gate_refuses_pictures_that_are_worse_by_name(trained):
    sync = lip_sync.LipSync(paths.GENERATOR, "torch")
    good = auto_backend.figures(sync)
    assert auto_backend.worse(good, good) == ""
    sync.run = lambda faces, sound: torch.ones(len(faces), 3, 96, 96)
    assert "mouth_l1 on held-out clips is" in auto_backend.worse(
        auto_backend.figures(sync) | {"aperture_corr": 1.0, "amplitude_ratio": 1.0}, good
    )
    assert auto_backend.worse(good | {"mouth_l1": float("nan")}, good)


def test_auto_dubs_with_the_chosen_backend_and_reports_it(trained, monkeypatch, capsys):
    needs("onnx")
    monkeypatch.setattr(auto_backend, "ROUNDS", 1)
    monkeypatch.setattr(auto_backend, "NUM_CLIPS", 1)
    dub.run("face.mp4", "face.mp4", "out/a.mp4", options=Options(backend="auto"))
    made_by = json.loads(Path("out/a.json").read_text())["made_by"]
    assert f"backend {made_by['backend']}: the fastest here that passes" in capsys.readouterr().err
    [kept] = [file for file in int8.folder().iterdir() if file.suffix == ".json"]
    results = json.loads(kept.read_text())["backends"]
    assert set(results) == set(backends.BACKENDS)
    assert not results[made_by["backend"]]["refused"]
    assert all(result["refused"] or result["ms_per_frame"] > 0 for result in results.values())


def test_without_held_out_clips_backends_that_round_are_refused(trained, monkeypatch):
    needs("openvino-bf16")
    needs("onnx")
    monkeypatch.setattr(auto_backend, "ROUNDS", 1)
    paths.INDEX.unlink()
    results = auto_backend.measure(paths.GENERATOR)
    assert not results["openvino"].refused
    assert "no held-out clips here" in results["openvino-bf16"].refused
    assert "int8 is calibrated on training clips" in results["onnx-int8"].refused


def test_an_unknown_backend_is_one_line(trained, monkeypatch):
    monkeypatch.setenv("LIPGAN_BACKEND", "abacus")
    with pytest.raises(UserError, match=r"LIPGAN_BACKEND must be one of torch, openvino, openvino-bf16, onnx"):
        lip_sync.LipSync(paths.GENERATOR)
    with pytest.raises(UserError, match=r"--backend must be one of auto, torch, .*, got 'abacus'"):
        auto_backend.lip_sync(paths.GENERATOR, "abacus")
