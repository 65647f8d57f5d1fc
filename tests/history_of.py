"""A git history with as many commits as wanted, each with its own dvc.lock and index, in DVC's cache, in seconds.

Written with `git fast-import` and real parquet tables; no stage has run. Used by tests and benchmarks.
"""

import hashlib
import subprocess
from pathlib import Path

import yaml

from tasks.provenance import dvc_cache
from tasks.storage import index

EPOCH_S = 1_700_000_000


def row(clip, status="kept"):
    """An index row of a clip of the training split, in a shard that its video decides."""
    video = clip.rsplit("/", 1)[0]
    made = dict.fromkeys(index.INDEX_SCHEMA.names)
    kept = {"shard": f"train-{len(video) % 4:06d}-of-000004.tar", "offset": 0, "size": 1, "member_sha256": "0" * 64}
    known = {"clip": clip, "video": video, "split": "train", "corpus": "folder", "licence": "own", "status": status,
             "source_sha256": hashlib.sha256(clip.encode()).hexdigest(), "reason": ""}  # fmt: skip
    return made | known | (kept if status == "kept" else {"reason": "no_face", "shard": ""})


def into_cache(content):
    """Store bytes as DVC does; return their md5."""
    md5 = hashlib.md5(content).hexdigest()
    place = dvc_cache.place(md5)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return md5


def index_md5(clips):
    file = Path("index.tmp")
    index.write(file, [row(clip) for clip in clips], index.INDEX_SCHEMA)
    md5 = into_cache(file.read_bytes())
    file.unlink()
    return md5


def lock(index_digest, checkpoint, networks=None):
    """A dvc.lock as long as a real one, most of it code dependencies. `networks` of the mesh generator: name -> md5."""
    deps = [{"path": f"tasks/module_{k}.py", "hash": "md5", "md5": f"{k:032x}", "size": k} for k in range(100)]
    stages = {
        "preprocess": {
            "cmd": "python -m flows preprocess",
            "deps": deps,
            "outs": [{"path": "data/index.parquet", "hash": "md5", "md5": index_digest, "size": 1}],
        },
        "train": {
            "cmd": "python -m flows train",
            "deps": deps,
            "outs": [{"path": "models/generator.safetensors", "hash": "md5", "md5": checkpoint, "size": 1}],
        },
    }
    for name, md5 in (networks or {}).items():
        outs = [{"path": f"models/{name}.safetensors", "hash": "md5", "md5": md5, "size": 1}]
        stages[name] = {"cmd": f"python -m flows {name}", "outs": outs}
    return yaml.dump({"schema": "2.0", "stages": stages}, Dumper=yaml.CSafeDumper, sort_keys=False)


def write(locks_in_order):
    """Commit each text as dvc.lock, on top of one another; return the commits' hashes, oldest first."""
    lines = []
    for number, text in enumerate(locks_in_order):
        lines += ["commit refs/heads/main", f"committer t <t@t> {EPOCH_S + number} +0000", "data 1", "c"]
        lines += ["M 100644 inline dvc.lock", f"data {len(text.encode())}", text]
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    subprocess.run(["git", "fast-import", "--quiet"], input="\n".join(lines).encode(), check=True)
    listed = subprocess.run(["git", "rev-list", "--reverse", "main"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def grown(num_commits, clips_at_start):
    """A corpus that gets a clip with every commit; a checkpoint for every commit.  Returns commits, oldest first."""
    clips = [f"v{k:06d}/c" for k in range(clips_at_start)]
    texts = []
    for number in range(num_commits):
        clips.append(f"new{number:04d}/c")
        texts.append(lock(index_md5(clips), f"{number:032x}"))
    return write(texts)
