"""`audit`: verify the lineage by hashing, and answer what made a file or what contains a clip."""

import argparse
import json
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

EXAMPLE = """lipgan audit                          the whole chain, by hashing; exit status 1 at findings
lipgan audit --html out/lineage.html  the same, as a page
lipgan audit --output out/demo-lipgan.mp4    what made this video
lipgan audit --clip main/5535/00017   which commits, shards and checkpoints contain this clip
lipgan audit --rebuild 3              three shards rebuilt from raw and compared
lipgan audit --export out/lineage     OpenLineage, Croissant, MODEL_CARD.md"""


def add(commands: Any) -> None:
    audit = command(
        commands,
        "audit",
        "verify the lineage by hashing; find what made a file",
        run,
        what="Verify the chain checkpoint -> training -> code -> index -> shards -> clips -> raw bytes -> agreement "
        "against the commit, by hashing; or answer a question over the whole git history. "
        "Exit status 0: everything holds, 1: findings, 2: user error.",
        example=EXAMPLE,
    )
    asked = audit.add_mutually_exclusive_group()
    asked.add_argument("--clip", metavar="ID", help="what contains this clip, in every commit")
    asked.add_argument("--video", metavar="ID", help="what contains clips of this video, in every commit")
    asked.add_argument("--checkpoint", metavar="FILE|MD5", help="what made this checkpoint")
    asked.add_argument("--output", metavar="FILE.mp4", type=Path, help="what made this video")
    asked.add_argument("--export", metavar="DIR", type=Path, help="write OpenLineage, Croissant and model card there")
    audit.add_argument("--rebuild", metavar="N", type=int, default=0, help="also rebuild N random shards from raw")
    audit.add_argument("--without-raw", action="store_true", help="raw bytes that are missing here are no finding")
    audit.add_argument("--json", action="store_true", help="print JSON")
    audit.add_argument("--html", metavar="FILE", type=Path, help="also write a web page with the graph")


def run(args: argparse.Namespace) -> int:
    if args.rebuild < 0:
        raise UserError(f"--rebuild must be 0 or more, got {args.rebuild}")
    if args.clip or args.video or args.checkpoint:
        return ask(args)
    if args.output:
        return output(args)
    if args.export:
        return export(args.export)
    return verify(args)


def verify(args: argparse.Namespace) -> int:
    from tasks.audit import chain as audit
    from tasks.audit import page as audit_page
    from tasks.audit import rebuild
    from tasks.core import config

    links = audit.run(without_raw=args.without_raw)
    if args.rebuild:
        links.append(rebuild.run(config.load(paths.PARAMS), args.rebuild))
    if args.html:
        write_atomic(args.html, audit_page.page(links))
    if args.json:
        show(json.dumps(audit.as_dict(links), indent=2))
    else:
        for link in links:
            show("\n".join(link.lines))
        show(audit.summary(links))
    return 0 if audit.clean(links) else 1


def ask(args: argparse.Namespace) -> int:
    """Exit status 1 where the index of a commit is not in DVC's cache, or copies of a withdrawn video are left."""
    from tasks.audit import history

    if args.checkpoint:
        answer = history.of_checkpoint(args.checkpoint)
    else:
        answer = history.of_clips("clip" if args.clip else "video", args.clip or args.video)
    left, holds = withdrawn(args.video)
    if args.json:
        show(json.dumps(answer.as_dict() | ({"withdrawn": left} if left else {}), indent=2))
    else:
        show("\n".join([answer.text(), *left]))
    return 1 if answer.unknown or not holds else 0


def withdrawn(video: str | None) -> tuple[list[str], bool]:
    """What is left of a withdrawn video, one line each, and whether nothing is."""
    from tasks.core import config
    from tasks.provenance import withdrawals
    from tasks.withdrawal import purge

    if not video or video not in withdrawals.read():
        return [], True
    return purge.proof(video, config.load(paths.PARAMS))


def output(args: argparse.Namespace) -> int:
    """Exit status 1 where the mark is not valid, or its checkpoint is in no commit here."""
    from tasks.audit import history
    from tasks.provenance import c2pa_mark

    mark = c2pa_mark.read(args.output)
    answer, lack = None, ""
    if mark.about:
        try:
            answer = history.of_checkpoint(mark.about["checkpoint"]["md5"])
        except UserError as error:
            lack = str(error).removeprefix("--checkpoint ")
    if args.json:
        show(json.dumps(c2pa_mark.as_dict(mark) | {"made_by": answer.as_dict() if answer else None}, indent=2))
    else:
        show(f"{args.output}: {mark.line}")
        show(c2pa_mark.text(mark))
        show(answer.text() if answer else lack or "nothing leads from it to a checkpoint")
    return 0 if mark.state in ("valid", "untrusted") and answer else 1


def export(folder: Path) -> int:
    from tasks.audit import exports

    for file in exports.run(folder):
        show(str(file))
    return 0
