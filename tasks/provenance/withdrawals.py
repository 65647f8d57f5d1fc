"""Withdrawn videos: withdrawals.csv, tracked by git and read by stage `acquire`, which refuses their clips.

    video,date,reason,source_sha256

A row withdraws every clip of a video (a programme, a speaker, a file). The hashes are of the original bytes, so that
the same file under another name is refused too. The rows of every branch count, not only those of the work tree:
checking out an old commit does not undo a withdrawal.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tasks.core import paths, programs
from tasks.core.errors import UserError
from tasks.core.files import write_atomic


@dataclass(frozen=True, slots=True)
class Withdrawal:
    video: str
    date: str  # YYYY-MM-DD
    reason: str  # as the person gave it; none is required
    source_sha256: str = ""  # of the video's clips, separated by spaces, as far as known


COLUMNS = [field.name for field in fields(Withdrawal)]


def read() -> dict[str, Withdrawal]:
    """Rows by video: of the work tree's file, and of all branches for videos that it does not name."""
    rows = {row.video: row for row in _parse(_of_branches(), "withdrawals.csv of a branch")}
    if paths.WITHDRAWALS.is_file():
        rows |= {row.video: row for row in _parse(_text(paths.WITHDRAWALS), str(paths.WITHDRAWALS))}
    return rows


def _text(path: Path) -> str:
    """Errors: UserError if the file is not UTF-8: a name that is misread would withdraw nobody."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8; save the file in UTF-8") from None


def add(video: str, date: str, reason: str, hashes: Iterable[str] = ()) -> Withdrawal:
    """Write the row of a video; an existing row keeps its date and reason and gets the new hashes."""
    rows = read()
    known = rows.get(video) or Withdrawal(video, date, " ".join(reason.split()))
    merged = sorted({*known.source_sha256.split(), *hashes} - {""})
    row = Withdrawal(known.video, known.date, known.reason, " ".join(merged))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in sorted({**rows, video: row}.values(), key=lambda row: row.video):
        table.writerow([getattr(each, name) for name in COLUMNS])
    write_atomic(paths.WITHDRAWALS, text.getvalue())
    return row


def redacted(md5: str) -> Path:
    """The copy of a deleted table, without texts and sources of withdrawn clips; it keeps old commits explainable."""
    return paths.cache() / "redacted" / f"{md5}.parquet"


def leave_out(
    wanted: list[dict[str, Any]], refused: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Clips to acquire and rows of refused clips, with withdrawn clips moved from the first to the second.

    A withdrawn clip stays in the table by name and hash, without its text and source.
    """
    rows = read()
    if not rows:
        return wanted, refused
    hashes = {sha256: row for row in rows.values() for sha256 in row.source_sha256.split()}

    def withdrawal(clip: dict[str, Any]) -> Withdrawal | None:
        return rows.get(clip["video"]) or hashes.get(clip.get("source_sha256") or "")

    stay, out = [], []
    for clip in wanted:
        if row := withdrawal(clip):
            names = ("clip", "video", "person", "split", "corpus", "licence", "source_sha256")
            out.append(_blank({name: clip.get(name, "") for name in names}, row))
        else:
            stay.append(clip)
    others = [_blank(clip, row) if (row := withdrawal(clip)) else clip for clip in refused]
    return stay, [*others, *out]


def _blank(clip: dict[str, Any], row: Withdrawal) -> dict[str, Any]:
    why = {"status": "refused", "reason": "withdrawn", "detail": f"withdrawn {row.date}"}
    return clip | {"text": "", "words": None, "source": ""} | why


def _of_branches() -> str:
    """The lines of withdrawals.csv at the tip of every branch; "" outside a git repository."""
    names = programs.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
    if not names:
        return ""
    return programs.git("grep", "-h", "-e", ".", *names.split("\n"), "--", str(paths.WITHDRAWALS)) or ""


def _parse(text: str, where: str) -> list[Withdrawal]:
    rows = []
    for number, cells in enumerate(_rows(text, where), 1):
        if not cells or cells[0] == COLUMNS[0]:
            continue
        if not 3 <= len(cells) <= len(COLUMNS) or not cells[0]:
            raise UserError(f"{where}: line {number} must be {','.join(COLUMNS)}, got {','.join(cells)!r}")
        rows.append(Withdrawal(*cells))
    return rows


def _rows(text: str, where: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UserError(f"{where}: not a CSV: {error}") from None
