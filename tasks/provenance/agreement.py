"""The agreement under which a corpus is used: data/agreement.json, written once by hand, never committed.

python -m flows agree --who "A. Person" --organisation "A University" --signed agreement.pdf
"""

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from tasks.core import files, paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

LRS2_LICENCE = "LRS2: BBC agreement, non-commercial research only, no redistribution, file lists included"
FIELDS = ("corpus", "who", "organisation", "date", "signed_sha256", "licence")


def write(who: str, organisation: str, signed: Path, day: str) -> str:
    """Record who agreed, for which organisation, when, and the hash of the signed document; return one line to print.

    Errors: UserError for an empty field, a bad date, or a missing document.
    """
    for name, value in (("--who", who), ("--organisation", organisation)):
        if not value.strip():
            raise UserError(f"{name} is empty: the agreement names a person and an organisation")
    try:
        date.fromisoformat(day)
    except ValueError:
        raise UserError(f"--date: must be YYYY-MM-DD, got {day!r}") from None
    values = ("lrs2", who.strip(), organisation.strip(), day, hash_of("--signed", signed), LRS2_LICENCE)
    write_atomic(paths.AGREEMENT, json.dumps(dict(zip(FIELDS, values, strict=True)), indent=2) + "\n")
    return f"{paths.AGREEMENT} written: {who.strip()}, {organisation.strip()}, {day}"


def hash_of(option: str, signed: Path) -> str:
    """sha256 of a signed document, which itself is not kept.  Errors: UserError for a missing or an empty one"""
    if not signed.is_file() or signed.stat().st_size == 0:
        raise UserError(
            f"{option}: {signed}: no such file, or an empty one; give the signed agreement, a PDF or a scan"
        )
    return files.sha256_file(signed)


def of(corpora: Iterable[str]) -> dict[str, str]:
    """What a model of these corpora states about its agreement: organisation, date and the document's hash, but not
    who signed. Empty if none is needed, or none is on this machine (the index came from another).
    """
    if "lrs2" not in corpora or not paths.AGREEMENT.is_file():
        return {}
    try:
        fields = json.loads(paths.AGREEMENT.read_text())
        return {name: str(fields[name]) for name in ("organisation", "date", "signed_sha256")}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{paths.AGREEMENT}: not an agreement; write it with `python -m flows agree`") from None


def demand() -> str:
    """The licence that every row of LRS2 carries.  Errors: UserError without a complete data/agreement.json."""
    try:
        fields = json.loads(paths.AGREEMENT.read_text())
        missing = [name for name in FIELDS if not fields.get(name)]
    except FileNotFoundError:
        raise UserError(
            f"{paths.AGREEMENT}: no such file; LRS2 needs an agreement signed with the BBC. Once you have it, run "
            "`python -m flows agree --who ... --organisation ... --signed agreement.pdf`"
        ) from None
    except (ValueError, AttributeError):
        raise UserError(f"{paths.AGREEMENT}: not an agreement; write it with `python -m flows agree`") from None
    if missing or fields["corpus"] != "lrs2":
        problem = f"lacks {', '.join(missing)}" if missing else f"is for corpus {fields['corpus']}, not lrs2"
        raise UserError(f"{paths.AGREEMENT} {problem}; write it with `python -m flows agree`")
    return str(fields["licence"])
