"""Fetching LRS2's lists and parts into corpus.lrs2.folder; and whether they are the ones they should be."""

from pathlib import Path

from model.params import Params
from tasks import lrs2_lists, units
from tasks.stage import UserError

# Source: the page of the data set
LIST_MD5 = {
    "train.txt": "ae240cd86c8432afb5a6b8935c863f24",
    "val.txt": "3b7502de5c102519d62477f209c4cd35",
    "test.txt": "e76bb897a2141f3581266daa850966bc",
}
SUMS = "MD5SUMS"


def known_md5(folder: Path) -> dict[str, str]:
    """File -> md5: those of MD5SUMS, as `md5sum` writes it, before those that are known here.

    Errors: UserError where MD5SUMS has a line of another kind.
    """
    known = dict(LIST_MD5)
    if (folder / SUMS).is_file():
        for number, line in enumerate((folder / SUMS).read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split()
            if len(words) != 2 or len(words[0]) != 32 or set(words[0].lower()) - set("0123456789abcdef"):
                raise UserError(f"{folder / SUMS}:{number}: wanted `<md5> <file>`, as md5sum writes it")
            known[words[1].lstrip("*")] = words[0].lower()
    return known


def check_lists(p: Params) -> None:
    """UserError where a list is not the published one."""
    folder = Path(p.corpus.lrs2.folder)
    known = known_md5(folder)
    for name in (f"{split}.txt" for split in lrs2_lists.LISTS):
        if name in known and (folder / name).is_file() and (got := units.md5_file(folder / name)) != known[name]:
            raise UserError(
                f"{folder / name}: md5 is {got}, wanted {known[name]}; fetch it again, or, if yours is right, say so "
                f"in {folder / SUMS}"
            )
