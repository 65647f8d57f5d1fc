"""A project folder for the installed package: what `dvc repro` needs, laid out from the files of the wheel.

In a checkout each stage depends on its code files. A project has no code, so its dvc.yaml depends on code.json instead,
which has one hash for each stage: of the same files, in the installed package. An update of the package then reruns
exactly the stages whose code changed, once `lipgan init` has written the new hashes.
"""

import configparser
import hashlib
import json
import re
from pathlib import Path

import yaml

from tasks.core import paths, programs
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing, write_atomic
from tasks.core.version import version
from tasks.provenance.stage_deps import DVC_YAML, ROOMS

ROOT = Path(__file__).parents[2]  # of the checkout, or the folder of installed packages
FILES = ("params.yaml", "withdrawals.csv", "splits.csv", ".gitignore", ".dvcignore")
CODE = Path("code.json")
PREFECT = Path("prefect.toml")
DVC_SETTINGS = Path(".dvc/config")
CODE_LINE = re.compile(rf" +- (?:{'|'.join(ROOMS)}|released)/\S+")
ABOUT = (
    "# What a stage needs of the code is its hash in code.json; `lipgan init` renews it after an update of lipgan.\n"
)


def lay_out() -> list[str]:
    """Write what is missing here; returns a line for each thing done. What is there stays, but for code.json.

    Errors: UserError in a checkout, and if git or DVC fails
    """
    if Path("pyproject.toml").is_file() and Path("flows/cli.py").is_file():
        raise UserError("this is a checkout of lipgan, which has all that a project needs; run `make demo` here")
    texts = {Path(name): paths.shipped(name).read_text() for name in FILES}
    texts |= {
        DVC_YAML: pipeline(paths.shipped(str(DVC_YAML)).read_text()),
        PREFECT: prefect_settings(paths.shipped("pyproject.toml").read_text()),
    }
    done = [*_repository()]
    for path, text in texts.items():
        if not path.is_file():
            write_atomic(path, text)
            done.append(str(path))
        elif path == DVC_YAML and path.read_text() != text:
            done.append(f"{path} is not that of lipgan {version()}: move it away and run this again to get that")
    if (renewed := code_of_stages()) != recorded():
        write_atomic(CODE, json.dumps(renewed, indent=2) + "\n")
        done.append(str(CODE))
    Path("data/videos").mkdir(parents=True, exist_ok=True)  # the default of corpus.folder, on which acquire depends
    return done


def pipeline(text: str) -> str:
    """dvc.yaml of a checkout -> of a project: a key of code.json instead of code files, the installed command."""
    lines: list[str] = []
    stage = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("# The .py deps"):
            line = ABOUT
        elif match := re.fullmatch(r"  (\w+):\n", line):
            stage = match[1]
        if CODE_LINE.match(line):
            continue
        lines.append(line.replace("cmd: python -m flows ", "cmd: lipgan "))
        if line == "    params:\n":
            lines.append(f"      - {CODE}:\n          - {stage}\n")
    return "".join(lines)


def prefect_settings(text: str) -> str:
    """The tables [tool.prefect...] of pyproject.toml as a prefect.toml."""
    tables = re.findall(r"^\[tool\.prefect(?:\.([\w.]+))?\]\n((?:[^\[\n].*\n)*)", text, re.M)
    return "".join((f"\n[{name}]\n" if name else "") + body for name, body in tables)


def code_of_stages() -> dict[str, str]:
    """The version, and stage -> hash of the files of this package that it depends on."""
    stages = yaml.safe_load(paths.shipped(str(DVC_YAML)).read_text())["stages"]
    hashes = {"lipgan": version()}
    for name, stage in stages.items():
        digest = hashlib.md5()
        for file in sorted(file for file in stage["deps"] if CODE_LINE.match(f"      - {file}")):
            digest.update(f"{file}\0".encode() + hashlib.md5((ROOT / file).read_bytes()).digest())
        hashes[name] = digest.hexdigest()
    return hashes


def recorded() -> dict[str, str]:
    """What code.json here says; empty without one, and in a checkout."""
    try:
        values: dict[str, str] = json.loads(CODE.read_text())
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError:
        raise UserError(f"{CODE}: not JSON; delete it and run `lipgan init`") from None
    return values


def demand_current(stage: str) -> None:
    """Before a stage of a project: dvc.lock must not name other code than runs.

    Errors: UserError if code.json is of another version of the package
    """
    here = recorded()
    if here and here.get(stage) != code_of_stages()[stage]:
        raise UserError(
            f"{CODE} is of lipgan {here.get('lipgan')}, this is {version()} with other code for stage {stage}; run "
            "`lipgan init`, then `dvc repro`"
        )


def _repository() -> list[str]:
    """A git repository with DVC, where there is none; without git, DVC alone."""
    if DVC_SETTINGS.is_file():
        return []
    done = []
    if programs.git("--version") and top_folder() is None:
        programs.demand_git("init", "--quiet")
        done.append("a git repository")
    top = top_folder()
    options = ["--no-scm"] if top is None else [] if top == Path.cwd().resolve() else ["--subdir"]
    programs.ask_dvc("init", "--quiet", *options)
    settings = configparser.RawConfigParser()
    settings.read_string(DVC_SETTINGS.read_text())  # without git it says so
    settings.read_string(paths.shipped(str(DVC_SETTINGS)).read_text())
    with all_or_nothing(DVC_SETTINGS) as partial, partial.open("w") as file:
        settings.write(file)
    return [*done, str(DVC_SETTINGS)]


def top_folder() -> Path | None:
    """Of the git repository here; None outside one."""
    top = programs.git("rev-parse", "--show-toplevel")
    return Path(top).resolve() if top else None
