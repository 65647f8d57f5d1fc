"""The web app in a folder without any trained model: jobs and the page with the mesh generator."""

import itertools
import shutil
from pathlib import Path

import httpx
import pytest
from conftest import REAL, ROOT, inside
from test_app import over, served, upload

from tasks.adapt import footage
from tasks.dubbing import networks
from tasks.dubbing.options import Options
from tasks.features import mesh_model
from tasks.inference import lip_sync
from tasks.media import decode, encode
from tasks.serving.job_queue import JobQueue, files_of
from tasks.serving.messages import DubOrder
from tasks.serving.uploads import Limits

CLIPS = sorted(REAL.glob("*.mpg"))
pytestmark = [
    pytest.mark.skipif(len(CLIPS) < 2, reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not networks.MOTION.is_file(), reason="the motion network's weights are not here"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder without trained models, with a short clip of one person and the audio of another."""
    made = tmp_path_factory.mktemp("untrained")
    shutil.copy(ROOT / "params.yaml", made)
    encode.encode_video(made / "face.mp4", itertools.islice(decode.frames(CLIPS[0]), 20), None, preset="ultrafast")
    shutil.copy(CLIPS[0], made / "more.mpg")
    shutil.copy(CLIPS[1], made / "speech.mpg")
    return made


@pytest.fixture(scope="module")
def app(folder):
    with inside(folder), JobQueue(Limits(media_s=10), options=Options(strength=0.8)) as queue, served(queue) as address:
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client


def asked(app, folder, **fields):
    face, sound = (
        upload(app, folder, *file).json()["file"] for file in (("face", "face.mp4"), ("sound", "speech.mpg"))
    )
    return app.post("/jobs", json={"face": face, "sound": sound, "length": "video"} | fields)


@pytest.mark.skipif(not lip_sync.RELEASED.is_file(), reason="LipGAN's released weights are not here")
def test_without_a_trained_model_both_generators_are_offered_by_the_released_weights(app):
    offered = app.get("/choices").json()
    assert list(offered["generators"]) == ["mesh", "lipgan"] and offered["strength"] == 0.8
    assert list(offered["checkpoints"]) == ["released"]
    assert offered["checkpoints"]["released"].startswith("released with the code, step ")


@pytest.mark.skipif(not lip_sync.RELEASED.is_file(), reason="LipGAN's released weights are not here")
def test_a_job_without_a_trained_model_is_made_by_the_released_lipgan(app, folder):
    job = asked(app, folder, generator="lipgan").json()["job"]
    state = over(app, job)
    assert state["state"] == "done" and state["generator"] == "lipgan", state
    made_by = app.get(f"/jobs/{job}/about").json()["sidecar"]["made_by"]
    assert made_by["checkpoint"].startswith("released LipGAN, step ")


def test_lipgan_is_not_offered_where_its_released_weights_are_missing(app, folder, monkeypatch, tmp_path):
    monkeypatch.setattr(lip_sync, "RELEASED", tmp_path / "generator.safetensors")
    assert list(app.get("/choices").json()["generators"]) == ["mesh"]
    assert "there is no checkpoint here yet" in asked(app, folder, generator="lipgan").json()["error"]


def test_a_job_is_made_by_the_mesh_generator_with_strength_and_library_and_says_so(app, folder):
    library = upload(app, folder, "library", "more.mpg").json()["file"]
    job = asked(app, folder, strength="0.5", library=library).json()["job"]
    state = over(app, job)
    assert state["state"] == "done" and state["generator"] == "mesh"
    sidecar = app.get(f"/jobs/{job}/about").json()["sidecar"]
    options = sidecar["made_by"]["options"]
    assert sidecar["generator"] == options["generator"] == "mesh" and options["strength"] == 0.5
    assert options["library"] == ["more.mpg"] and sidecar["library_mouths"] > 20


def test_a_kept_person_is_offered_and_a_job_takes_their_mouths(app, folder):
    assert app.get("/choices").json()["persons"] == []
    footage.add("Anna", [Path("more.mpg")], None, own=True)
    assert app.get("/choices").json()["persons"] == ["Anna"]
    job = asked(app, folder, person="Anna").json()["job"]
    state = over(app, job)
    assert state["state"] == "done", state
    sidecar = app.get(f"/jobs/{job}/about").json()["sidecar"]
    assert sidecar["person"]["name"] == "Anna" and sidecar["library_mouths"] > 20


@pytest.mark.parametrize(("fields", "why"), [
    ({"generator": "gan"}, "generator 'gan' cannot be used"),
    ({"strength": "2"}, "--strength must be from 0 to 1.5, got 2"),
    ({"strength": "far"}, "strength 'far' cannot be used"),
    ({"library": "none"}, "the library is no longer here"),
    ({"library": "a b c d e"}, "5 videos to take the mouth from; the limit here is 4"),
    ({"person": "Ben"}, "there is no such person here; load the page again"),
])  # fmt: skip
def test_a_bad_choice_is_refused_in_one_line(app, folder, fields, why):
    answer = asked(app, folder, **fields)
    assert answer.status_code == 422 and why in answer.json()["error"]


def test_footage_that_is_a_sound_is_refused(app, folder):
    (folder / "a.wav").write_bytes((folder / "speech.mpg").read_bytes()[:0] + b"RIFF")
    assert "is not a video that can be read here" in upload(app, folder, "library", "a.wav").json()["error"]


def test_footage_is_not_deleted_while_a_job_waits_for_it():
    options = Options(generator="mesh", library=("a/more.mpg",))
    order = DubOrder(face=Path("face.mp4"), sound=None, checkpoint=None, out=Path("out.mp4"), options=options)
    assert files_of(order) == [Path("face.mp4"), Path("a/more.mpg")]
