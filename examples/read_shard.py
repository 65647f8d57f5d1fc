"""The clips of a shard, read without any code of this project: webdataset and numpy are enough.

    python -m examples.read_shard               the first test shard, after `dvc repro preprocess`
    python -m examples.read_shard data/shards/train-000000-of-000010.tar

faces.jpg holds the face crops of a clip one below the other, mfcc.npy the sound at four columns a frame. Other members
are described in tasks/storage/shards.py. A clip of more than 682 faces of 96 px has further JPEGs behind the first,
which Pillow does not read; with `faces.storage: raw` the member is faces.npy.
"""

import sys
from pathlib import Path

import webdataset as wds


def main(shard: Path) -> None:
    for sample in wds.WebDataset(str(shard), shardshuffle=False).decode("rgb8"):
        about, mfcc_FW = sample["json"], sample["mfcc.npy"]
        faces_TSS3 = sample["faces.jpg"].reshape(-1, about["size"], about["size"], 3)
        assert mfcc_FW.shape == (12, 4 * len(faces_TSS3)), "four columns of MFCC a frame"
        print(f"{sample['__key__']}  {about['text']!r}")
        print(f"  faces {faces_TSS3.shape} {faces_TSS3.dtype} RGB, {about['fps']} frames/s")
        print(f"  mfcc {mfcc_FW.shape} {mfcc_FW.dtype}; a face was found in {sum(about['found'])} frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else min(Path("data/shards").glob("test-*.tar")))
