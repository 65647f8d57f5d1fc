"""The backends that compute the generator give the pictures that torch gives."""

import importlib.util

import numpy as np
import pytest

from tasks import inference, paths
from tasks.stage import UserError


def faces_and_windows():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (5, 96, 96, 3), dtype=np.uint8), rng.normal(size=(5, 12, 35)).astype(np.float32)


@pytest.mark.parametrize(("backend", "levels"), [("openvino", 1), ("onnx", 1), ("openvino-bf16", 24)])
def test_a_backend_gives_the_pictures_of_torch(trained, monkeypatch, backend, levels):
    for library in ("openvino",) if "openvino" in backend else ("onnx", "onnxruntime"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed (extra: fast)")
    faces, windows = faces_and_windows()
    wanted = inference.LipSync(paths.GENERATOR).generate(faces[0], faces, windows)
    monkeypatch.setenv("LIPGAN_BACKEND", backend)
    sync = inference.LipSync(paths.GENERATOR)
    assert sync.backend == backend
    assert np.abs(sync.generate(faces[0], faces, windows).astype(int) - wanted).max() <= levels
    assert np.abs(sync.generate(faces[0], faces[:1], windows[:1]).astype(int) - wanted[:1]).max() <= levels


def test_an_unknown_backend_is_one_line(trained, monkeypatch):
    monkeypatch.setenv("LIPGAN_BACKEND", "abacus")
    with pytest.raises(UserError, match="LIPGAN_BACKEND must be one of torch, openvino, openvino-bf16, onnx"):
        inference.LipSync(paths.GENERATOR)
