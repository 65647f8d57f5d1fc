"""The end of `make demo`."""

import json

import pytest

from tasks.core import paths
from tasks.features import mesh_model
from tasks.media import decode
from tasks.studies import demo

MEASURED = {"aperture_corr": 0.5, "aperture_lag_frames": 0.0}


@pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
def test_the_demo_ends_with_one_clip_dubbed_by_both_generators_side_by_side(trained, capsys):
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed (extra synthetic)")
    paths.METRICS.parent.mkdir(exist_ok=True)
    rows = dict.fromkeys(("right_audio", "wrong_audio", "mesh_right_audio"), MEASURED)
    paths.METRICS.write_text(json.dumps({"about": {"clips": 1, "people": "unseen speakers"}, **rows}))
    demo.run()
    lines = capsys.readouterr().err.splitlines()
    for path, generator in ((paths.DUBBED, "mesh"), (paths.DUBBED_LIPGAN, "lipgan")):
        assert json.loads(path.with_suffix(".json").read_text())["generator"] == generator
        assert len([line for line in lines if line.startswith(f"dub: {path}: ")]) == 1
    alone, both = (list(decode.frames(path)) for path in (paths.DUBBED, paths.DUBBED_BOTH))
    assert len(both) == len(alone) and both[0].shape[1] == 2 * alone[0].shape[1]
    assert decode.probe(paths.DUBBED_BOTH).has_sound
