"""The data set as Croissant 1.1: files with their hashes, the index as a record set, provenance as W3C PROV.

Source: Croissant Format Specification 1.1 (MLCommons, 2026), PROV-O (W3C). Validated by mlcroissant.
"""

import os
from pathlib import Path
from typing import Any

from tasks.audit import evidence, links
from tasks.audit.links import Case
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import md5_file, sha256_file
from tasks.provenance import dvc_lock, git_revision
from tasks.storage import index

VERSION = "http://mlcommons.org/croissant/1.1"
TEXT = ("clip", "video", "split", "corpus", "licence", "status", "reason", "shard", "source_sha256", "member_sha256")
INTEGER = ("offset", "size", "num_frames")
DECIMAL = ("duration_s", "found_share", "face_px")


def document(case: Case, folder: Path) -> dict[str, Any]:
    """JSON-LD of the shards and the index in the work tree, to be written into `folder`.

    Errors: UserError if they are not those of the commit.
    """
    import mlcroissant as mlc

    if not paths.INDEX.is_file() or md5_file(paths.INDEX) != dvc_lock.out(case.lock, paths.INDEX):
        raise UserError(f"{paths.INDEX} is not the one of commit {case.commit[:12]}; run `python -m flows audit`")
    rows = index.rows(paths.INDEX, ["licence"])
    context = mlc.Context(conforms_to=VERSION)
    shards = sorted(paths.SHARDS.glob("*.tar"))
    hashes = evidence.in_parallel(sha256_file, [paths.INDEX, *shards], "hashing")
    files = [
        mlc.FileObject(
            ctx=context,
            id=str(path),
            name=path.name,
            content_url=os.path.relpath(path, folder),  # relative to the document
            encoding_formats=["application/x-parquet" if path == paths.INDEX else "application/x-tar"],
            sha256=sha256,
        )
        for path, sha256 in zip([paths.INDEX, *shards], hashes, strict=True)
    ]
    fields = [
        _field(mlc, context, name, kind)
        for names, kind in ((TEXT, "TEXT"), (INTEGER, "INTEGER"), (DECIMAL, "FLOAT"))
        for name in names
    ]
    clips = mlc.RecordSet(ctx=context, id="clips", name="clips", key=["clips/clip"], fields=fields)
    kept = index.kept(rows)
    metadata = mlc.Metadata(
        ctx=context,
        name="lipsync-shards",
        description=f"Face crops, face meshes and MFCCs of {len(kept)} of {len(rows)} clips, for lip-sync.",
        license=sorted({*rows.column("licence")}),
        date_published=git_revision.date(case.commit),
        version=f"1.0.0+{dvc_lock.out(case.lock, paths.INDEX)[:12]}",
        cite_as=f"lipgan-pipeline, commit {case.commit}",
        url=f"urn:git:{case.commit}",
        distribution=files,
        record_sets=[clips],
    ).to_json()
    return _with_provenance(metadata, case)


def _field(mlc: Any, context: Any, name: str, kind: str) -> Any:
    source = mlc.Source(ctx=context, file_object=str(paths.INDEX), extract=mlc.Extract(ctx=context, column=name))
    return mlc.Field(
        ctx=context, id=f"clips/{name}", name=name, data_types=[getattr(mlc.DataType, kind)], source=source
    )


def _with_provenance(metadata: dict[str, Any], case: Case) -> dict[str, Any]:
    """Adds the data's sources, the activity that produced it, and its code."""
    preprocess = case.lock["preprocess"]
    entities = [
        {"@type": "prov:Entity", "@id": path, "md5": preprocess.deps[path]}
        for path in preprocess.deps
        if not path.endswith(".py")
    ]
    agent = {"@type": "prov:SoftwareAgent", "@id": f"urn:git:{case.commit}", "name": "lipgan-pipeline"}
    activity = {
        "@type": "prov:Activity",
        "@id": "#preprocess",
        "name": "python -m flows preprocess",
        "prov:used": [{"@id": entity["@id"]} for entity in entities],
        "prov:wasAssociatedWith": agent,
    }
    provenance = {
        "prov:wasDerivedFrom": entities,
        "prov:wasGeneratedBy": activity,
        "usageInfo": f"{links.licences(case).claim}. Faces and voices of people are personal data unless synthetic.",
    }
    return metadata | {"@context": metadata["@context"] | {"prov": "http://www.w3.org/ns/prov#"}} | provenance
