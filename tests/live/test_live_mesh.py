"""The mesh generator live: a real person's video or picture speaks, with the released weights and no training."""

import itertools
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import REAL, ROOT

from model import head_mesh, timing
from tasks.core.errors import UserError
from tasks.dubbing import networks
from tasks.dubbing.options import Options
from tasks.features import face_mesh, lip_refiner, mesh_model
from tasks.features.face_track import detect
from tasks.live import file as live_file
from tasks.live import mesh_speaker, speakers
from tasks.live.stream import DELAY_S, LOOK_AHEAD_SAMPLES, LiveStream
from tasks.media import decode, encode
from tasks.media.wav import write_wav

CLIPS = sorted(REAL.glob("*.mpg"))
pytestmark = [
    pytest.mark.skipif(len(CLIPS) < 2, reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not networks.MOTION.is_file(), reason="the motion network's weights are not here"),
]
NUM = 20


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder without trained models: 20 frames of one person, a picture of them, 1.6 s of another's voice."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    frames = list(itertools.islice(decode.frames(CLIPS[0]), NUM))
    encode.encode_video(Path("face.mp4"), iter(frames), None, crf=10, preset="ultrafast")
    cv2.imwrite("face.png", frames[0][..., ::-1])
    write_wav(Path("speech.wav"), voice())
    return tmp_path


def voice():
    return decode.decode_sound(CLIPS[1])[8000 : 8000 + 640 * 40]


def spoken(face, sound, **options):
    """The frames of a stream that is not in real time, and the speaker's own frames."""
    with speakers.opened(Path(face), None, Options(**options)) as (speaker, _):
        stream = LiveStream(speaker)
        frames = [*stream.push(sound), *stream.end()]
        return np.stack([frame.picture_HW3 for frame in frames]), [
            speaker.frames[k] for k in range(len(speaker.frames))
        ]


def opening(frames):
    boxes = [detect(frames[0], 640)[0], *[None] * (len(frames) - 1)]
    return head_mesh.opening(face_mesh.track(frames, boxes, lip_refiner.released()).mesh_T4683)


def test_a_video_runs_back_and_forth_and_speaks_and_only_the_lower_face_changes(project):
    made, own = spoken("face.mp4", voice())
    assert len(made) == 40 and len(own) == NUM
    shown = np.stack([own[mesh_speaker.there_and_back(k, NUM)] for k in range(40)])
    changed = (made != shown).any(axis=(0, 3))
    top, bottom = detect(own[0], 640)[0][[1, 3]]
    assert changed.any() and not changed[: int(top + bottom) // 2].any()
    assert opening(made).std() > 0.01


def test_while_nothing_is_said_the_frames_run_on_and_the_mouth_is_closed(project):
    made, _ = spoken("face.mp4", np.zeros(640 * 25, np.float32))
    assert len(made) == 25 and opening(made).max() < 0.04
    assert (np.diff(made[:NUM].astype(int), axis=0) != 0).any(axis=(1, 2, 3)).all()


def test_a_picture_speaks_and_strength_0_keeps_its_mouth_closed(project):
    made, own = spoken("face.png", voice())
    assert len(own) == 1 and opening(made).std() > 0.01
    still, _ = spoken("face.png", voice(), strength=0.0)
    assert opening(still).max() < 0.04


def test_a_picture_takes_mouths_from_further_footage_of_the_person(project):
    shutil.copy(CLIPS[0], "more.mpg")
    with speakers.opened(Path("face.png"), None, Options(library=("more.mpg",))) as (speaker, _):
        assert len(speaker.library) > NUM
    with pytest.raises(UserError, match="--library"):
        shutil.copy(CLIPS[1], "other.mpg")
        with speakers.opened(Path("face.png"), None, Options(library=("other.mpg",))):
            pass


def test_the_file_of_a_stream_has_all_audio_and_is_made_without_any_training(project):
    tally = live_file.run("face.mp4", "speech.wav", "out/a.mp4")
    assert tally.num_frames == 40 and len(list(decode.frames(Path("out/a.mp4")))) == 40


def test_the_first_frame_comes_after_the_same_look_ahead_as_with_lipgan(project):
    with speakers.opened(Path("face.png"), None, Options()) as (speaker, _):
        stream = LiveStream(speaker, lambda: 0.0)
        assert not list(stream.push(np.zeros(LOOK_AHEAD_SAMPLES - 1, np.float32)))
        assert [frame.number for frame in stream.push(np.zeros(1, np.float32))] == [0]
        late = LiveStream(speaker, lambda: DELAY_S + 3.5 / timing.FPS)
        first, *rest = late.push(np.zeros(LOOK_AHEAD_SAMPLES + 640 * 4, np.float32))
        assert [frame.repeated for frame in (first, *rest)] == [False, True, True, False, False]


def test_a_picture_without_a_face_is_refused(project):
    cv2.imwrite("grey.png", np.full((96, 96, 3), 127, np.uint8))
    with pytest.raises(UserError, match=r"^grey.png: no face found in the picture"):
        spoken("grey.png", voice())


def test_frames_go_there_and_back_and_show_each_end_once():
    assert [mesh_speaker.there_and_back(k, 4) for k in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [mesh_speaker.there_and_back(k, 1) for k in range(3)] == [0, 0, 0]


def test_the_longest_usable_run_lies_within_one_shot():
    usable = np.array([1, 1, 0, 1, 1, 1, 1, 0], bool)
    assert mesh_speaker.longest(usable, [0]) == (3, 7)
    assert mesh_speaker.longest(usable, [0, 5]) == (0, 2)
    assert mesh_speaker.longest(~usable[:2], [0]) == (0, 0)


def test_the_motion_of_a_stream_is_computed_by_one_thread_however_many_there_are():
    class Motion:
        def push(self, sound):
            used.append(torch.get_num_threads())
            return np.zeros((len(sound) // timing.SAMPLES_PER_FRAME, 4))

    used, before = [], torch.get_num_threads()
    torch.set_num_threads(3)
    listener = mesh_speaker.CodeStream(Motion())
    listener.push(np.zeros(1280, np.float32))
    listener.push(np.zeros(100, np.float32))
    listener.end()
    there = torch.get_num_threads()
    torch.set_num_threads(before)
    assert used == [1, 1, 1] and there == 3
