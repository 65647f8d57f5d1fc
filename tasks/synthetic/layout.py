"""The corpus as files in the layout of unpacked LRS2, to test code that reads LRS2.

writes  OUT/mvlrs_v1/main/<19 digits>/<5 digits>.mp4 and .txt, OUT/mvlrs_v1/pretrain/... likewise
        OUT/{train,val,test,hard,pretrain}.txt   one clip per line, `<19 digits>/<5 digits>`; more words may follow
        OUT/truth/{main,pretrain}/<19 digits>/<5 digits>.json   see clip.SyntheticClip

    python -m tasks.synthetic.layout --out out/lrs2 --size tiny
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.synthetic import clip
from tasks.synthetic import plan as plans
from tasks.synthetic.clip import SyntheticClip
from tasks.synthetic.plan import ClipSpec

log = logging.getLogger(__name__)


def write_tree(root: Path, specs: Sequence[ClipSpec]) -> None:
    """Render `specs` into a new folder, all-or-nothing.

    Errors: UserError if the folder exists and is not empty.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root}: exists and is not empty; name a new folder")
    with all_or_nothing(root) as partial:
        for number, spec in enumerate(specs, 1):
            rendered = clip.render(spec)
            _write(partial / "mvlrs_v1" / f"{spec.key}.mp4", rendered.mp4)
            _write(partial / "mvlrs_v1" / f"{spec.key}.txt", _text(spec, rendered).encode())
            truth = json.dumps(rendered.truth, sort_keys=True) + "\n"
            _write(partial / "truth" / f"{spec.key}.json", truth.encode())
            log.info("clip %d of %d: %s, %s", number, len(specs), spec.key, spec.case)
        for split in sorted({spec.split for spec in specs}):
            lines = sorted(_line(spec) for spec in specs if spec.split == split)
            _write(partial / f"{split}.txt", "".join(f"{line}\n" for line in lines).encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _line(spec: ClipSpec) -> str:
    """A line of a list. LRS2's test list has a second word, NF or MV; here the hard list has the case."""
    name = spec.key.split("/", 1)[1]
    if spec.split == "test":
        return f"{name} {'NF' if spec.female else 'MV'}"
    return f"{name} {spec.case}" if spec.split == "hard" else name


def _text(spec: ClipSpec, rendered: SyntheticClip) -> str:
    """The transcript; in the part `pretrain` with the times of each word."""
    if spec.split != "pretrain":
        return rendered.text
    rows = [f"{word} {start_s:.2f} {end_s:.2f} 9.0\n" for word, start_s, end_s in rendered.truth["words"]]
    return f"{rendered.text}\nWORD START END ASDSCORE\n{''.join(rows)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--size", choices=sorted(plans.SIZES), default="tiny", help="default: %(default)s")
    parser.add_argument("--pretrain", type=int, default=0, help="clips of the part `pretrain`; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    specs = plans.plan(args.seed, args.size) + plans.pretrain(args.seed, args.pretrain, args.size)
    try:
        write_tree(args.out, specs)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
