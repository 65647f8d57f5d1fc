"""The end of `make demo`: a clip of an unseen speaker dubbed with new words by both generators, and a list of results.

reads   data/index.parquet, data/clips.parquet, data/raw/*.tar, models/, released/, reports/metrics.json
writes  out/demo-face.mp4, out/demo-speech.wav, out/demo.mp4 (mesh), out/demo-lipgan.mp4, out/demo-both.mp4;
        in MLflow a version of the checkpoint, the candidate
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model.metrics.registry import lag_text
from tasks.core import files, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.dubbing import dub, overlay
from tasks.dubbing.options import Options
from tasks.media import decode, encode, espeak
from tasks.media.wav import write_wav
from tasks.preprocess import pieces
from tasks.storage import index, shards
from tasks.tracking import registry
from tasks.tracking import runs as tracking

WORDS = "Nobody filmed this sentence. A network heard it, and moved my mouth."
VOICE = "en+belinda"
SQLITE = "sqlite:///"


def run() -> None:
    """Dub the first test clip, of a speaker that no training saw."""
    folder = paths.DUBBED.parent
    folder.mkdir(exist_ok=True)
    face, sound = paths.DEMO_FACE, folder / "demo-speech.wav"
    tested = index.kept(index.rows(paths.INDEX), "test")
    if not tested:
        raise UserError(f"{paths.INDEX}: no test clip to dub")
    face.write_bytes(raw_video(tested[0]["clip"]))
    write_wav(sound, espeak.say(WORDS, VOICE).sound)
    dub.run(str(face), str(sound), str(paths.DUBBED_LIPGAN), options=Options(generator="lipgan"))
    dub.run(str(face), str(sound), str(paths.DUBBED), options=Options(generator="mesh"))
    side_by_side({"mesh": paths.DUBBED, "LipGAN": paths.DUBBED_LIPGAN}, paths.DUBBED_BOTH)
    panel = json.loads(paths.METRICS.read_text())
    right, wrong, by_mesh = (panel[row] for row in ("right_audio", "wrong_audio", "mesh_right_audio"))
    registered = register()
    store = tracking.store()
    pages = "make mlflow" if Path("Makefile").is_file() else f"mlflow server --backend-store-uri {store}"
    location = os.path.relpath(store.removeprefix(SQLITE)) if store.startswith(SQLITE) else store
    say(
        f"""
Done. On {panel["about"]["clips"]} clips of {panel["about"]["people"]} LipGAN's mouth follows the right sound with \
correlation {right["aperture_corr"]:.2f}
and another sound with {wrong["aperture_corr"]:.2f}; best lag {lag_text(right["aperture_lag_frames"])}. The mesh \
generator follows it with {by_mesh["aperture_corr"]:.2f}.

  report        {paths.REPORT!s:<25}open it in a browser
  dubbed video  {paths.DUBBED!s:<25}by mesh; any player; the face it was made from: {face}
                {paths.DUBBED_LIPGAN!s:<25}by LipGAN, as trained above
                {paths.DUBBED_BOTH!s:<25}both, side by side
  experiments   {location:<25}{pages}, then open
{"":41}{tracking.page()}
  model         {registered:<25}a version that no gate has judged: `lipgan retrain` does
  every clip    {paths.INDEX!s:<25}kept or refused, and why

Change a number in params.yaml and run `dvc repro`: only what depends on it runs again."""
    )


def register() -> str:
    """The address of the checkpoint's version in MLflow; where MLflow is off, its path."""
    if not tracking.uses_mlflow():
        return str(paths.GENERATOR)
    outs = (paths.GENERATOR, paths.GENERATOR.with_suffix(".json"), paths.INDEX)
    md5s = {str(path): files.md5_file(path) for path in outs}
    about = tracking.tags("train")
    registry.Registry().register_candidate(
        registry.tags_of(md5s, about["params.sha256"], about["git.commit"]), paths.GENERATOR
    )
    return f"{registry.SCHEME}{registry.NAME}@{registry.CANDIDATE}"


def side_by_side(dubs: Mapping[str, Path], out: Path) -> None:
    """Dubs of one video with one sound, each with its name written into it, as one video."""
    streams = [(overlay.labelled(frame, name) for frame in decode.frames(path)) for name, path in dubs.items()]
    pictures = (np.concatenate(row, axis=1) for row in zip(*streams, strict=True))
    encode.encode_video(out, pictures, decode.decode_sound(next(iter(dubs.values()))), tags={"comment": dub.MADE_BY})


def raw_video(clip: str) -> bytes:
    """The bytes of an acquired clip; for a piece, those of its whole video."""
    names = (clip, pieces.clip_of(clip))
    acquired = {row["clip"]: row for row in index.rows(paths.CLIPS).among("clip", names)}
    row = acquired.get(clip) or acquired[names[1]]
    members = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    return next(content for extension, content in members.items() if extension not in ("json", "txt"))
