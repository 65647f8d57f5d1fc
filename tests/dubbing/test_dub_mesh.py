"""`dub --generator mesh` on real people with the released weights, without any training."""

import itertools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REAL, ROOT, params_text

from model import head_mesh
from tasks.compositor import footage
from tasks.core import config
from tasks.core.errors import UserError
from tasks.dubbing import batch, dub, mesh_mouth, networks
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.options import Options
from tasks.features import face_mesh, lip_refiner, mesh_model
from tasks.features.face_track import detect
from tasks.features.mesh_points import MeshPoints
from tasks.inference import lip_sync, sync_meter
from tasks.media import decode, encode, native_rate

CLIPS = sorted(REAL.glob("*.mpg"))
GRID = ROOT.parent / "shared/grid/video"
pytestmark = [
    pytest.mark.skipif(len(CLIPS) < 2, reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not lip_refiner.RELEASED.is_file(), reason="the lip refiner's weights are not here"),
    pytest.mark.skipif(not networks.MOTION.is_file(), reason="the motion network's weights are not here"),
]
NUM = 36


def clip_frames(path):
    return np.stack(list(itertools.islice(decode.frames(path), NUM)))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder without trained models, with a short clip of one person and the audio of another."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    frames = clip_frames(CLIPS[0])
    encode.encode_video(Path("face.mp4"), iter(frames), None, preset="ultrafast")
    shutil.copy(CLIPS[1], tmp_path / "speech.mpg")
    return tmp_path


def mesh(**options):
    return Options(generator="mesh", **options)


def frames_of(path):
    return np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(path))])


def about(out):
    return json.loads(Path(out).with_suffix(".json").read_text())


def opening(frames):
    boxes = [detect(frames[0], 640)[0], *[None] * (len(frames) - 1)]
    return head_mesh.opening(face_mesh.track(frames, boxes, lip_refiner.released()).mesh_T4683)


def lossless(out="out/a.mkv", **options):
    dub.run("face.mp4", "speech.mpg", out, options=mesh(lossless=True, length="video", **options))
    return frames_of(out)


def test_a_new_clone_dubs_a_real_person_and_changes_only_the_lower_face(project):
    made, source = lossless(), frames_of("face.mp4")
    sidecar = about("out/a.mkv")
    assert sidecar["generator"] == "mesh" and sidecar["changed"] == NUM and sidecar["library_mouths"] == NUM
    assert sidecar["person_size"] == 1  # the face's video has no sound
    changed = (made != source).any(axis=(0, 3))
    face_box = about("out/a.mkv")["faces"][0]["box"]
    middle = (face_box[1] + face_box[3]) // 2
    assert changed.any() and not changed[:middle].any()
    columns = np.flatnonzero(changed.any(axis=0))
    assert columns[0] > face_box[0] - 40 and columns[-1] < face_box[2] + 40


def test_strength_scales_the_motion_and_0_keeps_the_mouth_closed(project):
    still, once, more = (opening(lossless(f"out/{k}.mkv", strength=s)) for k, s in enumerate((0.0, 1.0, 1.5)))
    assert still.max() < 0.03
    assert once.max() > still.max() + 0.05
    assert more.std() > 1.2 * once.std()


def test_an_interrupted_run_resumes_and_gives_the_same_frames(project, monkeypatch):
    from tasks.dubbing import render

    monkeypatch.setattr(render, "SEGMENT_FRAMES", 12)
    whole = lossless("out/whole.mkv")
    change, calls = render.Part.one_face, []

    def stop(self, number, at, batch):
        calls.append(at[0])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return change(self, number, at, batch)

    monkeypatch.setattr(render.Part, "one_face", stop)
    with pytest.raises(KeyboardInterrupt):
        lossless("out/part.mkv")
    assert [path.name for path in Path("out/.part.mkv.work").glob("*.mp4")] == ["000000000.mp4"]
    assert (lossless("out/part.mkv") == whole).all()
    assert calls[2] == 12


def test_mouths_that_pass_1_cuts_are_those_that_a_pass_of_their_own_cuts(project):
    p, films = config.load(Path("params.yaml")).faces, []
    for name, mouths in (("one", True), ("two", False)):
        Path(name).mkdir()
        seen = find_faces(Path("face.mp4"), p, MeshPoints(), None, Path(name), mouths=mouths)
        films.append(mesh_mouth.record(Path("face.mp4"), seen, np.zeros(NUM, int), Path(name) / "face"))
        assert (Path(name) / "face" / footage.MOUTHS).is_file() != mouths
    assert all((film.run_T >= 0).all() for film in films)
    assert np.array_equal(films[0].mesh_T4683, films[1].mesh_T4683)
    assert all(np.array_equal(films[0].picture(t)[0], films[1].picture(t)[0]) for t in range(NUM))


def test_a_picture_speaks(project):
    cv2.imwrite("face.png", frames_of("face.mp4")[0][..., ::-1])
    for idle in (False, True):
        dub.run("face.png", "speech.mpg", "out/a.mkv", options=mesh(lossless=True, idle=idle))
        frames = frames_of("out/a.mkv")
        assert len(frames) >= 70 and opening(frames).std() > 0.01


def test_the_library_can_come_from_other_footage_of_the_person(project):
    shutil.copy(CLIPS[0], project / "more.mpg")
    lossless(library=("more.mpg",))
    sidecar = about("out/a.mkv")
    assert sidecar["library_mouths"] > NUM and sidecar["library_likeness"]["more.mpg"] > 0.9
    assert sidecar["made_by"]["options"]["library"] == ["more.mpg"]


@pytest.mark.skipif(not GRID.is_dir(), reason="the people of GRID in ../shared/grid are not here")
def test_a_picture_takes_mouths_from_another_clip_of_the_person_though_one_picture_is_less_alike(project):
    picture_HW3 = next(decode.frames(GRID / "s1/bbaf2n.mpg"))
    cv2.imwrite("face.png", picture_HW3[..., ::-1])
    own = mesh(lossless=True, library=(str(GRID / "s1/bbaf3s.mpg"),))
    dub.run("face.png", "speech.mpg", "out/a.mkv", options=own)
    assert about("out/a.mkv")["library_likeness"]["bbaf3s.mpg"] < 0.75  # two clips of the person: 0.88
    with pytest.raises(UserError, match=r"looks like the dubbed person: .* wanted 0.625"):
        dub.run("face.png", "speech.mpg", "out/b.mkv", options=mesh(lossless=True, library=("speech.mpg",)))


def test_a_library_of_another_person_is_refused_in_one_line(project):
    with pytest.raises(
        UserError, match=r"^--library speech.mpg: no face in it looks like the dubbed person: .* wanted"
    ):
        lossless(library=("speech.mpg",))


@pytest.mark.parametrize(("options", "line"), [
    (Options(generator="mesh", strength=1.6), "--strength must be from 0 to 1.5, got 1.6"),
    (Options(generator="lipgan", strength=0.5), "--strength is of --generator mesh, not of lipgan"),
    (Options(generator="lipgan", library=("a.mp4",)), "--library is of --generator mesh, not of lipgan"),
    (Options(generator="gan"), "--generator must be one of mesh, lipgan, got gan"),
    (Options(generator="mesh", library=("none.mp4",)), "none.mp4: no such file"),
])  # fmt: skip
def test_contradictory_options_are_refused_in_one_line(project, options, line):
    with pytest.raises(UserError) as caught:
        dub.run("face.mp4", "speech.mpg", "out/a.mp4", options=options)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_mouth_cut_off_by_the_frame_is_not_changed(project):
    frames = clip_frames(CLIPS[0])
    lips = int(np.median([face_mesh.track(frames[:1], [detect(frames[0], 640)[0]]).mesh_T4683[0, 13, 1]]))
    encode.encode_video(Path("face.mp4"), iter(frames[:, : lips // 2 * 2 + 4]), None, preset="ultrafast")
    try:
        made = lossless()
    except UserError as error:
        assert "no face found" in str(error) or "no frame shows the speaker's mouth" in str(error)
        return
    assert {span["reason"] for span in about("out/a.mkv")["passed_through"]} <= {"cut_off", "no_face", "no_mesh"}
    assert (made == frames_of("face.mp4")).all()


@pytest.mark.parametrize(("words", "checkpoint", "generator"), [
    ({}, None, None),
    ({"generator": "lipgan"}, None, "lipgan"),
    ({"backend": "onnx"}, None, "lipgan"),
    ({}, "models/a.safetensors", "lipgan"),
    ({"generator": "mesh"}, "models/a.safetensors", "mesh"),
    ({}, "released", "mesh"),
    ({"backend": "onnx"}, "released", "lipgan"),
    ({"generator": "lipgan"}, "released", "lipgan"),
])  # fmt: skip
def test_params_choose_the_generator_unless_a_checkpoint_or_a_backend_is_named(project, words, checkpoint, generator):
    for default in ("mesh", "lipgan"):
        Path("params.yaml").write_text(params_text({"model.generator": default}))
        assert networks.settled(Options(**words), checkpoint).generator == (generator or default)


def test_mesh_takes_the_motion_network_that_is_named_or_lies_beside_the_named_checkpoint(project):
    for name in ("motion", "generator"):
        (project / "models/old").mkdir(parents=True, exist_ok=True)
        for ending in (".safetensors", ".json"):
            shutil.copy(networks.MOTION.with_suffix(ending), project / f"models/old/{name}{ending}")
    for checkpoint in ("models/old/motion.safetensors", "models/old/generator.safetensors"):
        (project / "models/old/generator.json").write_text("{}")  # as of LipGAN
        assert networks.mesh(checkpoint).checkpoint == Path("models/old/motion.safetensors")
    assert networks.mesh("released").checkpoint == networks.mesh(None).checkpoint == networks.MOTION


@pytest.mark.parametrize(("there", "why"), [((), "no such file"), (("a",), "no motion.safetensors beside it")])
def test_a_checkpoint_of_which_mesh_can_use_nothing_is_one_line(project, there, why):
    for name in there:
        (project / f"{name}.safetensors").touch()
        (project / f"{name}.json").write_text("{}")
    with pytest.raises(UserError, match=f"^--checkpoint a.safetensors: {why}; --generator mesh needs a motion network"):
        dub.run("face.mp4", "speech.mpg", "out/a.mp4", "a.safetensors", options=mesh())


@pytest.mark.skipif(not lip_sync.RELEASED.is_file(), reason="LipGAN's released weights are not here")
def test_a_new_clone_dubs_with_the_released_lipgan_and_its_expert_judges_if_there_is_one(project):
    dub.run("face.mp4", "speech.mpg", "out/a.mp4", options=Options(generator="lipgan", length="video"))
    sidecar = about("out/a.mp4")
    assert sidecar["generator"] == "lipgan" and sidecar["changed"] == NUM
    assert sidecar["made_by"]["checkpoint"].startswith("released LipGAN, step ")
    assert bool(sidecar.get("confidence")) == sync_meter.RELEASED.is_file()


def test_a_job_list_without_checkpoints_uses_the_mesh_generator(project):
    Path("jobs.csv").write_text("face,audio,out,strength,library\nface.mp4,speech.mpg,out/a.mp4,0.5,\n")
    [job] = batch.read(Path("jobs.csv"))
    assert batch.run(job) == ""
    assert about("out/a.mp4")["generator"] == "mesh" and about("out/a.mp4")["made_by"]["options"]["strength"] == 0.5
