"""Randomness: every generator of the project is derived here from its purpose, never from a worker or a clock."""

import hashlib

import numpy as np


def derive(*parts: object) -> int:
    """A 63-bit seed from printable parts: `derive(seed, "train", epoch, clip)`. Same parts, same seed, anywhere."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(derive(*parts))
