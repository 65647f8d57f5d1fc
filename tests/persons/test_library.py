"""A kept library on real people: read once, by reference, and dubbed from."""

import itertools
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REAL, ROOT, inside

from tasks.adapt import footage as adding
from tasks.adapt import transcript
from tasks.core.errors import UserError
from tasks.core.files import md5_file, sha256_file
from tasks.dubbing import dub, mesh_mouth, networks, spans
from tasks.dubbing.options import Options
from tasks.features import mesh_model
from tasks.media import decode, encode, native_rate
from tasks.persons import films, sheet, store, summary, withdraw
from tasks.provenance import c2pa_mark, withdrawals
from tasks.provenance.withdrawals import Withdrawal

CLIPS = sorted(REAL.glob("*.mpg"))
pytestmark = [
    pytest.mark.skipif(len(CLIPS) < 2, reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
]
NUM = 30
WHEN = "2026-11-30"


def clip_frames(path, first=0):
    return np.stack(list(itertools.islice(decode.frames(path), first, first + NUM)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Anna with one video, read; `face.mp4` shows her at another time, `other.mp4` somebody else."""
    folder = tmp_path_factory.mktemp("person")
    with inside(folder):
        shutil.copy(ROOT / "params.yaml", folder)
        sound = decode.decode_sound(CLIPS[0])
        encode.encode_video(Path("talk.mp4"), iter(clip_frames(CLIPS[0])), sound[: NUM * 640], preset="ultrafast")
        encode.encode_video(Path("face.mp4"), iter(clip_frames(CLIPS[0], NUM)), None, preset="ultrafast")
        encode.encode_video(Path("other.mp4"), iter(clip_frames(CLIPS[1])), None, preset="ultrafast")
        Path("consent.txt").write_text("I agree. Anna")
        assert adding.add("Anna", [Path("talk.mp4")], Path("consent.txt"), own=False) == 0
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def nothing_is_read(monkeypatch):
    def read(*args, **kwargs):
        raise AssertionError("read again")

    monkeypatch.setattr(adding, "find_faces", read)


def frames_of(path):
    return np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(path))])


def test_a_library_has_the_mesh_and_the_sound_but_no_picture(project):
    person = store.find("Anna")
    [video] = person.videos
    assert (video.path, video.mouths, video.sound) == ("talk.mp4", NUM, True)
    assert video.sha256 == sha256_file(Path("talk.mp4")) and video.bytes == os.path.getsize("talk.mp4")
    assert {file.name for file in person.of(video).iterdir()} == {"mesh.npy", "footage.npz", "heard.npz"}
    heard = films.heard(person, video)
    assert len(heard.times_T) == NUM and len(heard.power_CM) >= 4 * NUM  # AAC fills its last block


def test_a_new_person_needs_consent_of_which_only_the_hash_is_kept(project):
    with pytest.raises(UserError, match="give the person's consent, --consent FILE"):
        adding.add("Ben", [Path("other.mp4")], None, own=False)
    assert not store.folder_of("Ben").exists()
    with pytest.raises(UserError, match=r"other.mp4 is a file; the person's name comes first"):
        adding.add("other.mp4", [Path("talk.mp4")], None, own=True)
    for wrong in ("none.pdf", "empty.pdf"):
        Path("empty.pdf").touch()
        with pytest.raises(UserError, match=r"--consent: .*no such file, or an empty one"):
            adding.add("Ben", [Path("other.mp4")], Path(wrong), own=False)
    [consent] = store.find("Anna").consent
    assert consent.sha256 == sha256_file(Path("consent.txt"))
    assert not any(b"I agree" in file.read_bytes() for file in Path("data").rglob("*") if file.is_file())
    assert "consent.txt" in summary.lines(store.find("Anna"))


def test_more_footage_reads_only_what_is_new(project, monkeypatch):
    nothing_is_read(monkeypatch)
    assert adding.add("Anna", [Path("talk.mp4")], None, own=False) == 0
    with pytest.raises(AssertionError, match="read again"):
        adding.add("Anna", [Path("talk.mp4"), Path("face.mp4")], None, own=False)


def test_a_moved_video_is_named_and_found_again_by_its_bytes(project, monkeypatch):
    os.rename("talk.mp4", "away.mp4")
    with pytest.raises(UserError, match=r"talk.mp4 is no longer at talk.mp4.*no footage is left"):
        films.opened("Anna")
    assert "NOT USED: talk.mp4 is no longer" in summary.lines(store.find("Anna"))
    nothing_is_read(monkeypatch)
    adding.add("Anna", [Path("away.mp4")], None, own=False)
    assert [video.path for video in films.opened("Anna").videos] == ["away.mp4"]


def test_a_changed_video_is_named_and_a_touched_one_is_not(project):
    os.utime("talk.mp4")
    assert len(films.opened("Anna").videos) == 1
    with Path("talk.mp4").open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match=r"person Anna: talk.mp4 has changed since it was added; add it again"):
        films.opened("Anna")


def test_the_videos_that_are_left_are_used_and_the_others_said(project, capfd):
    person = store.find("Anna")
    gone = replace(person.videos[0], path="gone.mp4", sha256="0" * 64)
    person.with_videos([gone, *person.videos]).save()
    assert [video.name for video in films.opened("Anna").videos] == ["talk.mp4"]
    assert "person Anna: gone.mp4 is no longer at gone.mp4" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("video", "why"),
    [("face.png", "a picture shows one mouth"), ("none.mp4", "no such file"), ("data", "a folder, not a file")],
)
def test_what_is_no_footage_is_refused_before_anything_is_read(project, monkeypatch, video, why):
    nothing_is_read(monkeypatch)
    cv2.imwrite("face.png", clip_frames(CLIPS[0])[0][..., ::-1])
    with pytest.raises(UserError, match=why):
        adding.add("Anna", [Path("face.mp4"), Path(video)], None, own=False)


def test_footage_of_somebody_else_is_refused_and_stops_no_other(project, capfd):
    Path("noise.mp4").write_bytes(b"no video")
    assert adding.add("Anna", [Path("other.mp4"), Path("noise.mp4"), Path("talk.mp4")], None, own=False) == 2
    told = capfd.readouterr().err
    assert "other.mp4: no face in it looks like Anna: best likeness" in told and "noise.mp4" in told
    assert [video.name for video in store.find("Anna").videos] == ["talk.mp4"]
    assert not list(store.find("Anna").folder.glob(".reading-*"))


def test_of_a_video_of_two_people_it_must_be_said_who_it_is(project, capfd):
    both = np.concatenate([clip_frames(CLIPS[0]), clip_frames(CLIPS[1])], axis=2)
    encode.encode_video(Path("both.mp4"), iter(both), None, preset="ultrafast")
    with pytest.raises(UserError, match=r"shows more than one person: \d+,\d+@0.0 and \d+,\d+@0.0; --speaker"):
        adding.add("Ben", [Path("both.mp4")], None, own=True)
    assert not store.folder_of("Ben").exists()
    assert adding.add("Anna", [Path("both.mp4")], None, own=False) == 0  # she is known
    person = store.find("Anna")
    width = both.shape[2] // 2
    mesh = np.load(person.of(person.videos[1]) / "mesh.npy")
    assert np.nanmax(mesh[..., 0]) < width
    assert "has no sound" in capfd.readouterr().err


def test_a_dub_from_the_library_has_the_frames_of_one_from_the_footage(project, monkeypatch):
    shutil.copy(CLIPS[1], "speech.mpg")
    mesh = Options(generator="mesh", lossless=True, length="video")
    dub.run("face.mp4", "speech.mpg", "out/a.mkv", options=replace(mesh, library=("talk.mp4",)))
    recorded, record = [], mesh_mouth.record
    monkeypatch.setattr(
        mesh_mouth, "record", lambda face, *more, **how: recorded.append(face) or record(face, *more, **how)
    )
    dub.run("face.mp4", "speech.mpg", "out/b.mkv", options=replace(mesh, person="Anna"))
    assert (frames_of("out/a.mkv") == frames_of("out/b.mkv")).all()
    assert recorded == [Path("face.mp4")]
    with pytest.raises(UserError, match="--person Anna: the dubbed face does not look like them: best likeness"):
        dub.run("other.mp4", "speech.mpg", "out/c.mkv", options=replace(mesh, person="Anna"))
    with pytest.raises(UserError, match="there is no person 'Ann'; known: Anna"):
        dub.run("face.mp4", "speech.mpg", "out/c.mkv", options=replace(mesh, person="Ann"))
    with pytest.raises(UserError, match=r"would overwrite the input talk.mp4"):
        dub.run("face.mp4", "speech.mpg", "talk.mp4", options=Options(generator="mesh", person="Anna"))


def test_a_line_may_be_said_by_a_kept_person(project):
    """person:NAME finds the face, and its mouths come from the kept footage; the other face stays as it is."""
    shutil.copy(CLIPS[1], "speech.mpg")
    both = np.concatenate([clip_frames(CLIPS[1]), clip_frames(CLIPS[0], NUM)], axis=2)
    encode.encode_video(Path("both.mp4"), iter(both), None, preset="ultrafast")
    options, line = Options(generator="mesh", lossless=True), spans.one("0=speech.mpg@person:Anna")
    dub.run("both.mp4", None, "out/a.mkv", spans=[line], options=options)
    changed = (frames_of("out/a.mkv") != frames_of("both.mp4")[: len(frames_of("out/a.mkv"))]).any(axis=(0, 1, 3))
    half = both.shape[2] // 2
    assert changed[half:].any() and not changed[: half - 8].any()
    about = json.loads(Path("out/a.json").read_text())
    assert about["person"]["name"] == "Anna" and about["person"]["likeness"] > 0.75
    with pytest.raises(UserError, match="there is no person 'Ann'; known: Anna"):
        dub.run("both.mp4", None, "out/b.mkv", spans=[line._replace(speaker="person:Ann")], options=options)
    with pytest.raises(UserError, match=r"would overwrite the input talk.mp4"):
        dub.run("both.mp4", None, "talk.mp4", spans=[line], options=replace(options, lossless=False))


def test_the_adapted_network_that_moved_a_named_persons_mouth_is_recorded(project):
    """In the key of the output, so that one adapted again is dubbed again, and in the mark."""
    shutil.copy(CLIPS[1], "speech.mpg")
    folder = store.find("Anna").folder
    shutil.copy(networks.MOTION, folder / store.MOTION)
    described = json.loads(networks.MOTION.with_suffix(".json").read_text()) | {"person": "Anna"}
    (folder / "motion.json").write_text(json.dumps(described))
    (folder / store.ADAPTED).write_text('{"videos": []}')
    line, options = spans.one("0=speech.mpg@person:Anna"), Options(generator="mesh")
    dub.run("face.mp4", None, "out/a.mp4", spans=[line], options=options)
    used = list(json.loads(Path("out/a.json").read_text())["made_by"]["sha256"].values())
    assert used.count(sha256_file(folder / store.MOTION)) == 2  # the released one has the same bytes here
    assert md5_file(folder / "motion.json") in json.dumps(c2pa_mark.as_dict(c2pa_mark.read(Path("out/a.mp4"))))


def test_the_options_of_a_person_are_the_mesh_generators(project):
    with pytest.raises(UserError, match="--library and --person: give one of them"):
        Options(person="Anna", library=("a.mp4",)).check()
    with pytest.raises(UserError, match="--person is of --generator mesh, not of lipgan"):
        Options(person="Anna", generator="lipgan").check()
    assert "person" not in Options().recorded()  # outputs made before stay up to date


def test_the_sheet_shows_mouths_from_closed_to_open(project):
    picture = cv2.imread(str(sheet.write(store.find("Anna"))))
    tile_h, tile_w = sheet.TILE_WH[1] + sheet.BAND_PX, sheet.TILE_WH[0]
    assert picture.shape == (sheet.ROWS * tile_h, sheet.COLUMNS * tile_w, 3)
    first, last = picture[: sheet.TILE_WH[1], :tile_w], picture[-tile_h : -sheet.BAND_PX, -tile_w:]
    assert first.std() > 10 and last.std() > 10 and (first != last).any()


def test_openings_of_a_sheet_are_spread_over_the_range():
    opening_N = np.array([0.0] * 90 + [0.1, 0.2, 0.3])
    assert opening_N[sheet.spread(opening_N, 4)].tolist() == [0.0, 0.1, 0.2, 0.3]
    assert len(sheet.spread(opening_N[:3], 24)) == 3


def test_a_library_of_many_videos_keeps_no_file_open(project):
    opened = films.opened("Anna")
    before = len(os.listdir("/proc/self/fd"))
    held = [film for _ in range(20) for film in opened.films()]
    assert len(held) == 20 and len(os.listdir("/proc/self/fd")) == before


def test_removing_deletes_what_was_read_and_leaves_the_video(project):
    person = store.find("Anna")
    with pytest.raises(UserError, match=r"--video x.mp4: it is not among the videos"):
        films.of_path(person, "x.mp4")
    store.forget(person, films.of_path(person, "talk.mp4"))
    assert Path("talk.mp4").is_file() and not store.find("Anna").videos
    with pytest.raises(UserError, match="person Anna has no footage"):
        films.opened("Anna")
    store.remove(store.find("Anna"))
    assert store.every() == []


def adapted(person):
    """As `person adapt` leaves it, with weights that are nobody's."""
    for name in store.NETWORK:
        (person.folder / name).write_text(json.dumps({"videos": [person.videos[0].sha256]}))


def test_withdrawing_a_video_deletes_what_was_read_and_retires_the_network(project):
    person = store.find("Anna")
    adapted(person)
    row = Withdrawal("talk", WHEN, "asked", person.videos[0].sha256)
    assert store.network_of(person) and list(withdraw.copies(row, Path()))
    [line] = withdraw.apply(row)
    assert line == "person Anna: what was read of 1 videos is deleted; the network adapted with them is retired"
    assert not person.of(person.videos[0]).exists() and store.network_of(person) is None
    assert {file.name for file in withdraw.copies(row, Path())} == set(store.NETWORK)  # until it is purged


def test_a_withdrawal_bars_the_library_and_its_network_wherever_it_was_made(project):
    person = store.find("Anna")
    adapted(person)
    assert films.opened("Anna").network
    withdrawals.add("talk", WHEN, "asked", [person.videos[0].sha256])
    with pytest.raises(UserError, match=f"talk.mp4 was withdrawn on {WHEN}"):
        films.opened("Anna")
    with pytest.raises(UserError, match=f"talk.mp4: was withdrawn on {WHEN}: it may not be used"):
        adding.add("Ben", [Path("talk.mp4")], None, own=True)


def test_a_person_who_withdrew_is_not_added_again(project):
    person = store.find("Anna")
    row = withdrawals.add(person.folder.name, WHEN, "asked", withdraw.ids()[person.folder.name])
    withdraw.apply(row)
    assert [*withdraw.copies(row, Path())] == [person.folder]
    with pytest.raises(UserError, match=f"person Anna withdrew on {WHEN}"):
        adding.add("Anna", [Path("face.mp4")], None, own=False)


def test_words_come_from_a_table_beside_the_video_or_from_grids_alignment(project):
    assert transcript.words(Path("talk.mp4")) == []
    Path("talk.txt").write_text("Text:  HELLO YOU\n\nWORD START END ASDSCORE\nHELLO 0.10 0.50 3.1\nYOU 0.5 0.8 2\n")
    assert transcript.words(Path("talk.mp4")) == [("hello", 0.1, 0.5), ("you", 0.5, 0.8)]
    Path("align").mkdir()
    Path("videos").mkdir()
    rows = [
        "0 12500 sil",
        *(f"{12500 + 10000 * k} {22500 + 10000 * k} {word}" for k, word in enumerate("bin blue at f two now".split())),
        "72500 75000 sil",
    ]
    Path("align/bbaf2n.align").write_text("\n".join(rows))
    words = transcript.words(Path("videos/bbaf2n.mpg"))
    assert words[0] == ("bin", 0.5, 0.9) and len(words) == 6
