"""The mark of a generated video: a signed C2PA manifest, and a plain tag that outlives what strips the manifest.

Manifest   C2PA, bound to the bytes: what made it (checkpoint, index, code, by hash), from what (face and sound, by
           hash), under which licences; signed by tasks/provenance/signing.py's key
Tag        the container's `comment`, unsigned: "AI-generated ... checkpoint <md5> ..."; copying streams into another
           file keeps it and loses the manifest

Neither survives a recording of the screen: there is no invisible watermark. The libraries that need no downloaded
weights call themselves experimental and unreliable on plain video, so none is used; README names the gap.
"""

import contextlib
import json
import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.core import files
from tasks.core.errors import UserError
from tasks.media import containers, decode
from tasks.provenance import git_revision, signing

ASSERTION = "org.lipgan.lineage"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
TAG = "AI-generated: the lips were made by a machine to fit the sound (LipGAN pipeline)"
TAG_PATTERN = re.compile(r"AI-generated: .*?; checkpoint ([0-9a-f]{32}), index ([0-9a-f]{32}|unknown), code (\w+)")
STATES = {
    "valid": "the manifest is whole, fits the bytes, and is signed by a key this machine trusts or holds",
    "untrusted": "the manifest is whole and fits the bytes; no one vouches for its signer, so it proves no origin",
    "altered": "there is a manifest, but the bytes or the manifest were changed after it was signed",
    "stripped": "there is no manifest; the plain tag says what made the video, and anyone can write such a tag",
    "unmarked": "there is neither manifest nor tag; that proves neither that a machine made it nor that none did",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file says of itself. `state` is a word of STATES; `about` as `about()` made it, None where it is lost."""

    state: str
    signer: str  # who the certificate names; empty without a manifest
    about: dict[str, Any] | None
    findings: list[str]  # what the reader of C2PA holds against it, in its words

    @property
    def line(self) -> str:
        return f"{self.state}: {STATES[self.state]}" + (f" ({'; '.join(self.findings)})" if self.findings else "")


def about(checkpoint: Path, description: Mapping[str, Any], sources: Mapping[str, Path]) -> dict[str, Any]:
    """What a generated video came from. `sources`: what each is ("face", "sound") -> its file."""
    lineage = description.get("lineage", {})
    return {
        "checkpoint": {
            "name": checkpoint.name,
            "md5": files.md5_file(checkpoint),
            "json_md5": files.md5_file(checkpoint.with_suffix(".json")),
        },
        "data": {
            "index_md5": lineage.get("index_md5", "unknown"),
            "corpora": lineage.get("corpora", []),
            "licences": lineage.get("licences", []),
        },
        "code": {
            "git_commit": git_revision.commit() or "unknown",
            "git_dirty": bool(git_revision.changed()),
        },
        "sources": {what: {"name": file.name, "sha256": files.sha256_file(file)} for what, file in sources.items()},
    }


def tags(about: Mapping[str, Any]) -> dict[str, str]:
    """The plain tag, for the container's metadata."""
    made_by = f"checkpoint {about['checkpoint']['md5']}, index {about['data']['index_md5']}"
    return {"comment": f"{TAG}; {made_by}, code {about['code']['git_commit']}"}


def mark(path: Path, about: Mapping[str, Any], sources: Mapping[str, Path] | None = None) -> None:
    """Sign an mp4 in its place. `sources` become ingredients; those of a kind that C2PA cannot read, by name and hash.

    Errors: UserError where the key cannot be used; OSError where nothing can be written.
    """
    import c2pa

    credentials = signing.credentials()
    info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain, credentials.key, None)
    signed = path.with_name(f".{path.stem}.signed.mp4")
    try:
        with c2pa.Builder.from_json(_manifest(path, about)) as builder, c2pa.Signer.from_info(info) as signer:
            for what, file in (sources or {}).items():
                _add_ingredient(builder, what, file, about["sources"][what]["sha256"])
            builder.sign_file(path, signed, signer)
        os.replace(signed, path)
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.Io) or isinstance(error.__cause__ or error.__context__, OSError):
            raise OSError(f"the signed copy cannot be written: {error}") from error  # a full disk
        raise UserError(f"{path.name}: C2PA cannot sign it with this certificate and key: {error}") from error
    finally:
        signed.unlink(missing_ok=True)


def _manifest(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    return {
        "claim_generator_info": [{"name": "LipGAN pipeline", "version": about["code"]["git_commit"][:12]}],
        "title": path.name,
        "format": "video/mp4",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": ASSERTION, "data": dict(about)},
        ],
    }


def _add_ingredient(builder: Any, what: str, file: Path, sha256: str) -> None:
    import c2pa

    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    words = {"title": f"{what}: {file.name}", "relationship": "inputTo", "instance_id": f"sha256:{sha256}"}
    if kind in builder.get_supported_mime_types():  # its own manifest, if it has one, comes along
        with (
            file.open("rb") as stream,
            contextlib.suppress(c2pa.C2paError),
        ):  # damaged, or of another kind than its name
            builder.add_ingredient(words, kind, stream)


def read(path: Path) -> Mark:
    """What `path` says of itself.  Errors: UserError where it is no video."""
    import c2pa

    files.demand_file(path)
    with c2pa.Context(c2pa.Settings.from_dict(_trust())) as trust:
        try:
            reader = c2pa.Reader.try_create("video/mp4", path.open("rb"), context=trust)
        except c2pa.C2paError as error:
            return _from_tag(path, [f"the manifest cannot be read: {error}"])
        if reader is None:
            return _from_tag(path, [])
        with reader:
            found = json.loads(reader.json())
            state = reader.get_validation_state()
    manifest = found["manifests"][found["active_manifest"]]
    told = [a["data"] for a in manifest["assertions"] if a["label"] == ASSERTION]
    wrong = [status["code"] for status in found.get("validation_status", [])]
    signer = manifest.get("signature_info", {})
    name = signer.get("common_name") or signer.get("issuer") or "a signer without a name"
    word = {"Trusted": "valid", "Valid": "untrusted"}.get(state or "", "altered")
    return Mark(word, name, told[0] if told else None, sorted(set(wrong)))


def _trust() -> dict[str, Any]:
    """Trusted is who the C2PA list names, and the key of this machine: the reader would not know it else."""
    own = signing.config_folder() / "c2pa" / "chain.pem"
    anchors = {"user_anchors": own.read_text()} if own.is_file() else {}
    return {"version": 1, "trust": anchors, "verify": {"verify_trust": True, "remote_manifest_fetch": False}}


def _from_tag(path: Path, findings: list[str]) -> Mark:
    with containers.readable(path, "not a video"):
        comment = decode.tags(path).get("comment", "")
    if not (tag := TAG_PATTERN.search(comment)):
        return Mark("unmarked", "", None, findings)
    told = {"checkpoint": {"md5": tag[1]}, "data": {"index_md5": tag[2]}, "code": {"git_commit": tag[3]}}
    return Mark("stripped", "", told, findings)


def text(found: Mark) -> str:
    """What the mark says, in lines."""
    lines = [f"  signed by {found.signer}"] if found.signer else []
    for name, facts in (found.about or {}).items():
        lines.append(f"  {name}: {'; '.join(f'{key} {_words(value)}' for key, value in facts.items())}")
    return "\n".join(lines) or "  it says nothing of what made it"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_dict(found: Mark) -> dict[str, Any]:
    return asdict(found) | {"means": STATES[found.state]}
