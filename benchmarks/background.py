"""How much of the old voice `--background keep` leaves, and how much of the background, on mixtures with known parts.

    python -m benchmarks.background ../shared/grid           benchmarks/results/background.json

Speech of GRID (two clips of each of `--people`, their own room noise counts as voice) is mixed with chords or pink
noise at levels of voice over background.

voice_db        what is left of the voice: the voice's part in the output, by a least-squares fit of voice and
                background at each frequency, over the voice
si_sdr_db       of the output against the background alone, and of the mixture for comparison
background_db   level of the background's part in the output over the background, by the same fit
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from benchmarks.machine import RESULTS, machine
from model import backgrounds, seeds
from tasks.lines import background, speech_filter
from tasks.lines.speech_filter import RATE_HZ
from tasks.media import native_rate
from tasks.media.native_rate import SoundFormat

RESULT = RESULTS / "background.json"
LEVELS_DB = (20, 10, 0)
WINDOW, STEP = 960, 480


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with video/PERSON/*.mpg")
    parser.add_argument("--people", nargs="+", default=["s1", "p04", "p06"])
    args = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    began_s, heard_s = time.process_time(), 0.0
    for person in args.people:
        clips = sorted((args.folder / "video" / person).glob("*.mpg"))[:2]
        voice = np.concatenate([sound_of(clip) for clip in clips]).astype(np.float64)
        rows.setdefault("none", []).append({"voice_db": level_db(without(voice)) - level_db(voice)})
        for kind, plain in (("chords", chords(len(voice))), ("pink noise", pink(len(voice)))):
            for over_db in LEVELS_DB:
                under = plain * 10 ** ((level_db(voice) - over_db - level_db(plain)) / 20)
                rows.setdefault(f"{kind} {over_db} dB", []).append(measured(voice, under))
        heard_s += len(voice) / RATE_HZ * (1 + 2 * len(LEVELS_DB))
    table = {
        name: {key: round(float(np.mean([row[key] for row in of_all])), 1) for key in of_all[0]}
        for name, of_all in rows.items()
    }
    result = {
        "machine": machine(), "people": args.people, "delay_samples": delay(voice),
        "cpu_s_per_s": round((time.process_time() - began_s) / heard_s, 3), "table": table,
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


def sound_of(clip: Path) -> np.ndarray:
    return np.concatenate(list(native_rate.channels(clip, SoundFormat(RATE_HZ, "mono", 0.0))), axis=1)[0]


def chords(num: int) -> np.ndarray:
    return resample_poly(backgrounds.music(seeds.generator(0, "chords"), num // 3 + 1), 3, 1)[:num]


def pink(num: int) -> np.ndarray:
    """Noise with the same power in each octave above 20 Hz."""
    spectrum = np.fft.rfft(seeds.generator(0, "pink").standard_normal(num))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * num / RATE_HZ)), num)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-12))


def without(sound: np.ndarray) -> np.ndarray:
    return np.concatenate(list(background.without_speech([sound[None].astype(np.float32)], ["FC"])), axis=1)[0]


def delay(voice: np.ndarray) -> int:
    """Of the network's output, by cross-correlation, in samples."""
    one, num = speech_filter.SpeechFilter(), len(voice) // speech_filter.HOP * speech_filter.HOP
    hops = voice[:num].astype(np.float32).reshape(-1, speech_filter.HOP)
    late = np.fft.rfft(np.concatenate([one(hop) for hop in hops]), 2 * num)
    return int(np.argmax(np.fft.irfft(late * np.conj(np.fft.rfft(voice[:num], 2 * num)))))


def measured(voice: np.ndarray, under: np.ndarray) -> dict[str, float]:
    made = without(voice + under)
    voice_db, background_db = parts_db(made, voice, under)
    return {
        "voice_db": voice_db,
        "background_db": background_db,
        "si_sdr_db": si_sdr_db(made, under),
        "si_sdr_mixture_db": si_sdr_db(voice + under, under),
    }


def parts_db(made: np.ndarray, voice: np.ndarray, under: np.ndarray) -> tuple[float, float]:
    """The parts of voice and background in `made`, over voice and background."""
    made_TF, voice_TF, under_TF = map(spectrum, (made, voice, under))
    kept = np.zeros((2, made_TF.shape[1]))
    for f in range(made_TF.shape[1]):
        both_T2 = np.stack([voice_TF[:, f], under_TF[:, f]], axis=1)
        kept[:, f] = np.abs(np.linalg.lstsq(both_T2, made_TF[:, f], rcond=None)[0]) ** 2
    voice_F, under_F = (np.square(np.abs(one)).sum(axis=0) for one in (voice_TF, under_TF))
    ratios = (kept[0] @ voice_F / voice_F.sum(), kept[1] @ under_F / under_F.sum())
    return float(10 * np.log10(ratios[0] + 1e-12)), float(10 * np.log10(ratios[1] + 1e-12))


def spectrum(sound: np.ndarray) -> np.ndarray:
    """Shape: -> (T, F) complex"""
    pieces = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::STEP]
    return np.fft.rfft(pieces * np.hanning(WINDOW), axis=1)


def si_sdr_db(made: np.ndarray, wanted: np.ndarray) -> float:
    """Source: Le Roux et al., SDR - half-baked or well done? (2019)"""
    part = wanted * (made @ wanted) / (wanted @ wanted)
    return float(10 * np.log10((part @ part) / ((made - part) @ (made - part))))


if __name__ == "__main__":
    main()
