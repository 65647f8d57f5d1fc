"""The network's ear: words with music or noise under them are freed of it; clean words and what people hear stay."""

import json
from pathlib import Path

import numpy as np
import pytest

from model import mixtures
from tasks.core.errors import UserError
from tasks.dubbing import dub, separate
from tasks.dubbing.options import DRIVING_AUDIO, Options
from tasks.features import mesh_model
from tasks.media import decode, native_rate
from tasks.media.wav import write_wav


def voice(seconds=6.0):
    """Syllables: a gliding tone of a quarter of a second, then a pause, as loud as words are."""
    times_s = np.arange(round(seconds * 16000)) / 16000
    glide = np.sin(2 * np.pi * (180 * times_s + 40 * np.sin(2 * np.pi * 3.1 * times_s)))
    rich = sum(np.sin(k * np.arcsin(glide)) / k for k in (1, 3, 5, 7))
    return (0.3 * rich * (times_s % 0.5 < 0.25)).astype(np.float32)


@pytest.mark.parametrize("kind", mixtures.KINDS)
def test_the_background_is_attenuated(kind):
    clean = voice()
    mixed = mixtures.mix_at_snr(clean, kind, 5.0, "a")
    got = np.concatenate(list(separate.separated([mixed])))
    pauses = np.abs(clean) == 0
    assert np.square(got[pauses]).mean() < 0.35 * np.square(mixed[pauses]).mean()
    assert np.corrcoef(got, clean)[0, 1] > np.corrcoef(mixed, clean)[0, 1]


def test_separating_in_pieces_equals_separating_the_whole(monkeypatch):
    mixed = mixtures.mix_at_snr(voice(), "noise", 5.0, "a")
    [whole] = separate.separated([mixed])
    monkeypatch.setattr(separate, "PIECE", 128 * 100)
    parts = list(separate.separated(mixed[at : at + 999] for at in range(0, len(mixed), 999)))
    assert len(parts) > 5
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-5


@pytest.mark.parametrize("num", [0, 1, 640, 16001])
def test_the_separated_speech_is_as_long_as_the_audio(num):
    assert sum(len(part) for part in separate.separated([np.ones(num, np.float32)] if num else [])) == num


def test_separation_is_needed_where_the_pauses_are_not_silent():
    clean = voice()
    blocks = [clean[at : at + 777] for at in range(0, len(clean), 777)]
    assert not separate.needs_separating(blocks)
    assert separate.needs_separating([mixtures.mix_at_snr(clean, "music", 10.0, "a")])
    assert separate.needs_separating([mixtures.mix_at_snr(clean, "noise", 10.0, "a")])


@pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
def test_the_output_keeps_the_audio_whatever_drives_the_network(trained):
    """By the mesh generator, which was trained: after six steps LipGAN's picture hardly depends on the audio."""
    write_wav(Path("mixed.wav"), mixtures.mix_at_snr(voice(1.6), "music", 5.0, "a"))
    outputs, pictures = {}, {}
    for way in DRIVING_AUDIO:
        dub.run(
            "face.mp4",
            "mixed.wav",
            f"out/{way}.mkv",
            options=Options(lossless=True, driving_audio=way, generator="mesh"),
        )
        outputs[way] = decode.decode_sound(Path(f"out/{way}.mkv"))
        pictures[way] = np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(f"out/{way}.mkv"))])
        sidecar = json.loads(Path(f"out/{way}.json").read_text())
        assert [line["heard"] for line in sidecar["lines"]] == ["raw" if way == "raw" else "separated"]
    mixed = decode.decode_sound(Path("mixed.wav"))
    assert all((sound == outputs["raw"]).all() for sound in outputs.values())
    assert np.abs(outputs["auto"][: len(mixed)] - mixed).max() < 1e-4
    assert (pictures["auto"] == pictures["separated"]).all()
    assert (pictures["raw"] != pictures["separated"]).any()
    with pytest.raises(UserError, match="--driving-audio must be one of auto, raw, separated, got left"):
        dub.run("face.mp4", "mixed.wav", "out/b.mkv", options=Options(lossless=True, driving_audio="left"))
