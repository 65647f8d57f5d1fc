"""Music, noise and silence in training: what is added as mel power is what would have been added as sound."""

import numpy as np
import pytest
import torch

from model import augment, backgrounds, disturbances, mfcc, mixtures, seeds
from model.timing import SAMPLE_RATE_HZ, num_samples
from tasks.core import paths
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio
from tasks.loading import batches
from tasks.loading.clips import Clips
from tasks.media import decode

CPU = torch.device("cpu")
NONE = augment.Change(np.zeros((3, 256), np.uint8), 0, 0, np.zeros(12, np.float32))


@pytest.fixture(scope="module")
def voice(tiny_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny_folder)
        clips, raw = Clips(paths.INDEX, paths.SHARDS, "train"), RawClips(paths.CLIPS, paths.RAW)
        return decode.fit(raw.sound(clips.keys[0]), clips.rows[0]["num_frames"])


def stored(sound):
    log_mel_MC = audio.log_mel(sound, len(sound) // 640)
    return torch.from_numpy(mfcc.levelled(log_mel_MC, float(np.mean(np.square(sound)))))[None]


def power(sound):
    return torch.from_numpy(mfcc.mel_power(sound / np.sqrt(np.mean(np.square(sound)))))[None]


def test_mel_power_equals_librosas(voice):
    log_mel_MC = audio.log_mel(voice, len(voice) // 640)
    assert np.allclose(np.log(np.maximum(mfcc.mel_power(voice), mfcc.LOG_FLOOR)), log_mel_MC.T, atol=1e-3)


@pytest.mark.parametrize("loudness", [1.0, 0.01])
def test_stored_mel_power_gives_the_stored_cepstra(voice, loudness):
    found_FW = disturbances.cepstra(stored(voice * loudness).float() / mfcc.STEPS)[0].numpy()
    wanted_FW = audio.mfcc(voice * loudness, len(voice) // 640)
    assert wanted_FW.std() > 10 and np.abs(found_FW - wanted_FW).max() < 0.03


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 0.0])
@pytest.mark.parametrize("kind", mixtures.KINDS)
def test_powers_added_give_nearly_the_cepstra_of_sounds_added(voice, kind, snr_db):
    num_frames, rng = len(voice) // 640, seeds.generator("noisy", kind, "a")
    other = rng.standard_normal(len(voice)) if kind == "noise" else backgrounds.music(rng, len(voice))
    level = torch.tensor([-snr_db])
    found_FW = disturbances.mixed(stored(voice), power(other), level, torch.tensor([False]))[0].numpy()
    wanted_FW = audio.mfcc(mixtures.mix_at_snr(voice, kind, snr_db, "a"), num_frames)
    clean_FW = audio.mfcc(voice, num_frames)
    error, change = (np.sqrt(np.mean(np.square(of - wanted_FW))) for of in (found_FW, clean_FW))
    assert error < 0.25 * change, (error, change)


def test_a_sound_far_below_the_voice_changes_nothing(voice):
    other = np.random.default_rng(0).standard_normal(len(voice))
    found_FW = disturbances.mixed(stored(voice), power(other), torch.tensor([-160.0]), torch.tensor([False]))[0].numpy()
    assert np.abs(found_FW - audio.mfcc(voice, len(voice) // 640)).max() < 0.1


def test_silent_samples_contain_no_voice_and_without_noise_are_digital_silence(voice):
    other, silent = power(np.random.default_rng(0).standard_normal(len(voice))), torch.tensor([True])
    quiet = stored(voice)
    for level_db in (-60.0, -170.0):
        one, two = (disturbances.mixed(of, other, torch.tensor([level_db]), silent)[0] for of in (quiet, quiet // 2))
        assert torch.equal(one, two)
    assert np.allclose(two.numpy(), audio.mfcc(np.zeros(num_samples(4)), 4)[:, :1], atol=0.05)
    noise_FW = disturbances.mixed(quiet, other, torch.tensor([-60.0]), silent)[0].numpy()
    wanted_FW = audio.mfcc(0.001 * np.random.default_rng(0).standard_normal(len(voice)), len(voice) // 640)
    assert np.abs(noise_FW - wanted_FW).mean() < 0.1


def test_the_background_continues_from_window_to_window():
    pieces = disturbances.bank(CPU)
    change = NONE._replace(snr_db=-200.0, piece=len(pieces) + 3, start=7)
    columns_BW = np.array([[0, 1, 2], [2, 3, 4]])
    mixed = disturbances.disturbed_cepstra(
        torch.zeros(2, 3, 40, dtype=torch.int16), columns_BW, [change] * 2, np.zeros(2, bool)
    )
    assert torch.allclose(mixed[0, :, 2], mixed[1, :, 0], atol=1e-4)
    wanted = disturbances.cepstra((pieces[3, 9:12] * 1e20).log()[None])
    assert torch.allclose(mixed[1], wanted[0], atol=0.01)


def test_the_backgrounds_are_constant_and_differ_from_each_other():
    disturbances.bank.cache_clear()
    one = disturbances.bank(CPU)
    disturbances.bank.cache_clear()
    assert torch.equal(one, disturbances.bank(CPU))
    assert one.isfinite().all() and len({piece.numpy().tobytes() for piece in one}) == 2 * disturbances.PIECES


@pytest.mark.parametrize(("fall", "per_octave_db"), [(0, 0), (1, 3), (2, 6)])
def test_noise_falls_with_frequency_as_its_colour_says(fall, per_octave_db):
    sound = disturbances.coloured(np.random.default_rng(0), 60 * SAMPLE_RATE_HZ, fall)
    power_K = np.abs(np.fft.rfft(sound)) ** 2
    hz_K = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ)
    low, high = (power_K[(hz_K > hz) & (hz_K < 1.1 * hz)].mean() for hz in (500, 4000))
    assert 10 * np.log10(low / high) / 3 == pytest.approx(per_octave_db, abs=0.3)


def test_a_batch_contains_its_clips_backgrounds(tiny):
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    from tasks.core import config

    p = config.load(paths.PARAMS).train
    draws = clips.draw(p, seed=3, epoch=0, per_clip=6, flip=False)
    draws.silent_N[::3] = True
    noisy_clip = int(draws.clip_N[1])
    plain = batches.batch_of(clips, draws)

    def change_of(clip):
        return NONE._replace(snr_db=0.0 if clip == noisy_clip else np.inf, floor_db=-60.0, piece=9, start=50)

    mixed = batches.batch_of(clips, draws, change_of)
    for k, (clip, silent) in enumerate(zip(draws.clip_N, draws.silent_N, strict=True)):
        same = [torch.equal(a[k], b[k]) for a, b in ((mixed.mfcc_BFW, plain.mfcc_BFW), (mixed[3], plain[3]))]
        assert same == [clip != noisy_clip and not silent, clip != noisy_clip]
    own = [mixed.mfcc_BFW[k] for k in range(len(draws)) if draws.silent_N[k]]
    assert max(float((of - own[0]).abs().mean()) for of in own) < 12 < float((plain.mfcc_BFW[0] - own[0]).abs().mean())
