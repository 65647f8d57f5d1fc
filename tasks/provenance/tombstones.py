"""Tombstones: signed records of what a withdrawal deleted, when and by whom; tombstones/<video>.json, tracked by git.

A tombstone names objects by their hashes and contains nothing about the person but the video's id. It is signed with
an ed25519 key of this machine's user, made on first use: this proves that nobody else changed the text afterwards.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.provenance import signing

SIGNATURE = "signature"


def write(video: str, about: dict[str, Any]) -> Path:
    """Sign and write; a second tombstone of a video gets a number and leaves the first."""
    key = _key()
    public = key.public_key().public_bytes_raw().hex()
    text = {"video": video, **about, "public_key": public}
    signed = text | {SIGNATURE: key.sign(_bytes(text)).hex()}
    path, number = paths.TOMBSTONES / f"{video}.json", 1
    while path.exists():
        number += 1
        path = paths.TOMBSTONES / f"{video}-{number}.json"
    write_atomic(path, json.dumps(signed, indent=2, sort_keys=True) + "\n")
    return path


def read(video: str) -> list[dict[str, Any]]:
    """Every tombstone of a video, in order, with `valid`: whether the signature matches the text."""
    stones = []
    for path in sorted(paths.TOMBSTONES.glob("*.json")):
        text = json.loads(path.read_text())
        if text.get("video") == video:
            stones.append(text | {"valid": valid(text), "file": str(path)})
    return stones


def valid(text: dict[str, Any]) -> bool:
    try:
        signed = {name: value for name, value in text.items() if name != SIGNATURE}
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text["public_key"]))
        key.verify(bytes.fromhex(text[SIGNATURE]), _bytes(signed))
    except (InvalidSignature, KeyError, ValueError):
        return False
    return True


def _bytes(text: dict[str, Any]) -> bytes:
    return json.dumps(text, sort_keys=True, separators=(",", ":")).encode()


def _key() -> Ed25519PrivateKey:
    path = signing.config_folder() / "withdrawals.pem"
    if not path.is_file():
        secret = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, partial = tempfile.mkstemp(dir=path.parent)  # only its owner can read it, from the first byte on
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
        os.replace(partial, path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path}: not an ed25519 key; move it away, then a new one is made")
    return key
