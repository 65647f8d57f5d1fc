"""`audit`: what made this, from what, and does it hold."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flows.commands import command
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

EXAMPLE = """python -m flows audit                          the whole chain, by hashing; exit 1 at findings
python -m flows audit --html out/lineage.html  the same, as a page
python -m flows audit --output out/demo.mp4    what made this video
python -m flows audit --clip main/5535/00017   which commits, shards and checkpoints hold this clip
python -m flows audit --rebuild 3              three shards made again from raw
python -m flows audit --export out/lineage     OpenLineage, Croissant, MODEL_CARD.md"""


def add(commands: Any) -> None:
    audit = command(
        commands,
        "audit",
        "verify the chain from video to raw bytes by hashing, and ask what holds a clip or made a video",
        run,
        what="Verify the chain checkpoint -> training -> code -> index -> shards -> clips -> raw bytes -> agreement "
        "against the\ncommit, by hashing; or answer a question over the whole git history.\n"
        "Exit 0: everything holds, 1: findings, 2: yours to mend.",
        example=EXAMPLE,
    )
    asked = audit.add_mutually_exclusive_group()
    asked.add_argument("--clip", metavar="ID", help="what holds this clip, in every commit")
    asked.add_argument("--video", metavar="ID", help="what holds clips of this video, in every commit")
    asked.add_argument("--checkpoint", metavar="FILE|MD5", help="what made this checkpoint")
    asked.add_argument("--output", metavar="FILE.mp4", type=Path, help="what made this video")
    asked.add_argument("--export", metavar="DIR", type=Path, help="write OpenLineage, Croissant and model card there")
    audit.add_argument("--rebuild", metavar="N", type=int, default=0, help="also make N random shards again from raw")
    audit.add_argument("--without-raw", action="store_true", help="the raw bytes may not lie on this machine")
    audit.add_argument("--json", action="store_true", help="print JSON")
    audit.add_argument("--html", metavar="FILE", type=Path, help="also write a page with the graph drawn")


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
        tell(json.dumps(audit.as_dict(links), indent=2))
    else:
        for link in links:
            tell("\n".join(link.lines))
        tell(audit.summary(links))
    return 0 if audit.clean(links) else 1


def ask(args: argparse.Namespace) -> int:
    """Exit 1 where some commits could not be answered: their index is not in DVC's cache."""
    from tasks.audit import history

    if args.checkpoint:
        answer = history.of_checkpoint(args.checkpoint)
    else:
        answer = history.of_clips("clip" if args.clip else "video", args.clip or args.video)
    gone, holds = withdrawn(args.video)
    if args.json:
        tell(json.dumps(answer.as_dict() | ({"withdrawn": gone} if gone else {}), indent=2))
    else:
        tell("\n".join([answer.text(), *gone]))
    return 1 if answer.unknown or not holds else 0


def withdrawn(video: str | None) -> tuple[list[str], bool]:
    """Of a video that has withdrawn: what is left of it, and whether nothing is."""
    from tasks.core import config
    from tasks.provenance import withdrawals
    from tasks.withdrawal import purge

    if not video or video not in withdrawals.read():
        return [], True
    return purge.proof(video, config.load(paths.PARAMS))


def output(args: argparse.Namespace) -> int:
    """Exit 1 where the mark does not hold, or its checkpoint is in no commit here."""
    from tasks.audit import history
    from tasks.provenance import c2pa_mark

    found = c2pa_mark.read(args.output)
    answer, lack = None, ""
    if found.about:
        try:
            answer = history.of_checkpoint(found.about["checkpoint"]["md5"])
        except UserError as error:
            lack = str(error).removeprefix("--checkpoint ")
    if args.json:
        tell(json.dumps(c2pa_mark.as_dict(found) | {"made_by": answer.as_dict() if answer else None}, indent=2))
    else:
        tell(f"{args.output}: {found.line}")
        tell(c2pa_mark.text(found))
        tell(answer.text() if answer else lack or "nothing leads from it to a checkpoint")
    return 0 if found.state in ("valid", "untrusted") and answer else 1


def export(folder: Path) -> int:
    from tasks.audit import exports

    for file in exports.run(folder):
        tell(str(file))
    return 0


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
