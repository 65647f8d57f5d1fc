"""The mark of a generated video: a signed C2PA manifest, and a plain tag that remains if the manifest is stripped.

Manifest   C2PA, bound to the bytes: what made the video (checkpoint, index, code, by hash), from which face and sound
           (by hash), under which licences; signed with the key of tasks/provenance/signing.py
Tag        the container's `comment`, unsigned: "AI-generated ... checkpoint <md5> ..."; copying the streams into
           another file keeps the tag and loses the manifest

Neither survives a screen recording: there is no invisible watermark. The libraries that need no downloaded weights
call themselves experimental and unreliable on plain video, so none is used; the documentation names the gap.
"""

import contextlib
import io
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.core import files, json_files, names
from tasks.core.errors import UserError
from tasks.media import containers, decode
from tasks.provenance import git_revision, signing

JPEG = "image/jpeg"
ASSERTION = "org.lipgan.lineage"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
CREATED = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
TAG = "AI-generated: the lips were made by a machine to fit the sound (LipGAN pipeline)"
TAG_PATTERN = re.compile(r"AI-generated: .*?; checkpoint ([0-9a-f]{32}), index ([0-9a-f]{32}|unknown), code (\w+)")
STATES = {
    "valid": "the manifest is complete, matches the bytes, and is signed by a key that this machine trusts or owns",
    "untrusted": "the manifest is complete and matches the bytes; its signer is not trusted, so it proves no origin",
    "altered": "there is a manifest, but it or the bytes were changed after signing",
    "stripped": "there is no manifest; a plain tag says what made the video, but anyone can write such a tag",
    "unmarked": "there is neither manifest nor tag; it may or may not be generated",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark read from a file. `state` is a key of STATES; `about` is the result of `about()`, None if lost."""

    state: str
    signer: str  # the name in the certificate; empty without a manifest
    about: dict[str, Any] | None
    findings: list[str]  # codes of the C2PA reader: why the manifest is not valid

    @property
    def line(self) -> str:
        return f"{self.state}: {STATES[self.state]}" + (f" ({'; '.join(self.findings)})" if self.findings else "")


def about(
    checkpoint: Path, description: Mapping[str, Any], sources: Mapping[str, Path], further: Sequence[Path] = ()
) -> dict[str, Any]:
    """What a generated video was made from. `sources`: role ("face", "sound") -> file; `further`: other checkpoints."""
    lineage = description.get("lineage", {})
    licences = lineage.get("licences") or _licences(description)
    for path in further:
        licences = [*licences, *_licences(json_files.read(path.with_suffix(".json")))]
    return {
        "checkpoint": _checkpoint(checkpoint),
        **({"further": [_checkpoint(path) for path in further]} if further else {}),
        "data": {
            "index_md5": lineage.get("index_md5", "unknown"),
            "corpora": lineage.get("corpora", []),
            "licences": list(dict.fromkeys(licences)),
        },
        "code": {
            "git_commit": git_revision.commit() or "unknown",
            "git_dirty": bool(git_revision.changed()),
        },
        "sources": {
            role: {"name": names.valid(file.name), "sha256": files.sha256_file(file)} for role, file in sources.items()
        },
    }


def _checkpoint(path: Path) -> dict[str, str]:
    return {
        "name": names.valid(path.name),
        "md5": files.md5_file(path),
        "json_md5": files.md5_file(path.with_suffix(".json")),
    }


def _licences(description: Mapping[str, Any]) -> list[str]:
    """Of weights trained outside the pipeline, whose JSON states the licence of the data and the attribution."""
    stated = [description[name] for name in ("licence", "attribution") if description.get(name)]
    return [": ".join(stated)] if stated else []


def tags(about: Mapping[str, Any]) -> dict[str, str]:
    """The plain tag, as metadata of the container."""
    made_by = f"checkpoint {about['checkpoint']['md5']}, index {about['data']['index_md5']}"
    return {"comment": f"{TAG}; {made_by}, code {about['code']['git_commit']}"}


def mark(
    path: Path, about: Mapping[str, Any], sources: Mapping[str, Path] | None = None,
    actions: Sequence[Mapping[str, Any]] = (),
) -> None:  # fmt: skip
    """Sign an mp4 in place. `sources` become ingredients; formats that C2PA cannot read are named with their hash.

    actions  what was done after it was made from them, as of an edit

    Errors: UserError if the key cannot be used; OSError if the file cannot be written.
    """
    import c2pa

    credentials = signing.credentials()
    info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain, credentials.key, None)
    try:
        with (
            files.all_or_nothing(path) as signed,
            c2pa.Builder.from_json(_manifest(path, about, actions)) as builder,
            c2pa.Signer.from_info(info) as signer,
        ):
            for role, file in (sources or {}).items():
                _add_ingredient(builder, role, file, about["sources"][role]["sha256"])
            builder.sign_file(path, signed, signer)
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.Io) or isinstance(error.__cause__ or error.__context__, OSError):
            raise OSError(f"the signed copy cannot be written: {error}") from error  # a full disk
        raise UserError(f"{path.name}: C2PA cannot sign it with this certificate and key: {error}") from error


def demand_signer() -> None:
    """Sign a picture of one colour in memory.

    Errors: UserError if certificate and key cannot be read, or C2PA does not sign with them
    """
    import c2pa

    try:
        credentials = signing.credentials()
    except OSError as error:
        raise UserError(
            f"{signing.config_folder()}: the key that signs videos cannot be kept there: {error.strerror}; set "
            "LIPGAN_CONFIG, or HOME, to a folder that can be written"
        ) from error
    info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain, credentials.key, None)
    _, picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    made = {"label": "c2pa.actions.v2", "data": {"actions": [CREATED]}}
    manifest = {"claim_generator_info": [{"name": "LipGAN pipeline", "version": "0"}], "assertions": [made]}
    try:
        with c2pa.Builder.from_json(manifest) as builder, c2pa.Signer.from_info(info) as signer:
            builder.sign(signer, JPEG, io.BytesIO(picture.tobytes()), io.BytesIO())
    except c2pa.C2paError as error:
        pair = "the self-made certificate and key" if credentials.self_made else f"{signing.CERT} and {signing.KEY}"
        raise UserError(f"C2PA cannot sign with {pair}: {' '.join(str(error).split())}") from error


def _manifest(path: Path, about: Mapping[str, Any], actions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "claim_generator_info": [{"name": "LipGAN pipeline", "version": about["code"]["git_commit"][:12]}],
        "title": names.valid(path.name),
        "format": "video/mp4",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [CREATED, *actions]}},
            {"label": ASSERTION, "data": dict(about)},
        ],
    }


def _add_ingredient(builder: Any, role: str, file: Path, sha256: str) -> None:
    import c2pa

    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    ingredient = {
        "title": f"{role}: {names.valid(file.name)}",
        "relationship": "inputTo",
        "instance_id": f"sha256:{sha256}",
    }
    if kind in builder.get_supported_mime_types():  # its own manifest, if it has one, is included
        # an error: the file is damaged, or not of the type that its name says
        with file.open("rb") as stream, contextlib.suppress(c2pa.C2paError):
            builder.add_ingredient(ingredient, kind, stream)


def read(path: Path) -> Mark:
    """The mark of a file.  Errors: UserError if it is not a video."""
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
            store = json.loads(reader.json())
            state = reader.get_validation_state()
    manifest = store["manifests"][store["active_manifest"]]
    lineage = [a["data"] for a in manifest["assertions"] if a["label"] == ASSERTION]
    codes = [status["code"] for status in store.get("validation_status", [])]
    signer = manifest.get("signature_info", {})
    name = signer.get("common_name") or signer.get("issuer") or "a signer without a name"
    mark_state = {"Trusted": "valid", "Valid": "untrusted"}.get(state or "", "altered")
    return Mark(mark_state, name, lineage[0] if lineage else None, sorted(set(codes)))


def _trust() -> dict[str, Any]:
    """Settings of the reader: it trusts the C2PA list and, in addition, the key of this machine."""
    own = signing.config_folder() / "c2pa" / "chain.pem"
    anchors = {"user_anchors": own.read_text()} if own.is_file() else {}
    return {"version": 1, "trust": anchors, "verify": {"verify_trust": True, "remote_manifest_fetch": False}}


def _from_tag(path: Path, findings: list[str]) -> Mark:
    with containers.readable(path, "not a video"):
        comment = decode.tags(path).get("comment", "")
    if not (tag := TAG_PATTERN.search(comment)):
        return Mark("unmarked", "", None, findings)
    about = {"checkpoint": {"md5": tag[1]}, "data": {"index_md5": tag[2]}, "code": {"git_commit": tag[3]}}
    return Mark("stripped", "", about, findings)


def text(mark: Mark) -> str:
    """The mark's content, as lines to print."""
    lines = [f"  signed by {mark.signer}"] if mark.signer else []
    for name, facts in (mark.about or {}).items():
        parts = (
            [f"{key} {_as_text(value)}" for key, value in facts.items()]
            if isinstance(facts, dict)
            else [_as_text(facts)]
        )
        lines.append(f"  {name}: {'; '.join(parts)}")
    return "\n".join(lines) or "  it does not say what made the video"


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_as_text(part)}" for key, part in value.items())
    return "; ".join(map(_as_text, value)) if isinstance(value, list) else str(value)


def as_dict(mark: Mark) -> dict[str, Any]:
    return asdict(mark) | {"means": STATES[mark.state]}
