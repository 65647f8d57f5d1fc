"""What README and docs/ print can be typed: every command parses, every parameter, file and link they name exists."""

import ast
import importlib.util
import re
import shlex
from dataclasses import is_dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from markdown.extensions.toc import slugify
from test_architecture import ROOMS

from flows.cli import parser
from tasks.core.errors import REASONS
from tasks.lips.__main__ import arguments as lips_arguments
from tasks.motion.__main__ import order

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [ROOT / "README.md", *DOCS]}
TEXT = "\n".join(PAGES.values())
BLOCKS = re.findall(r"^ *```(?:bash|sh)\n(.*?)```", TEXT, re.S | re.M)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.split("#")[0].strip()]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
FENCE = re.compile(r"^ *```.*?^ *```$", re.S | re.M)


def from_docs(name):
    """A module of docs/_site, which makes pages from the code; it is in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/_site/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = from_docs("pages")


def nav_of_site():
    """The files in the navigation, in their order."""

    def files(entry):
        if isinstance(entry, str):
            return [entry]
        return [file for part in (entry.values() if isinstance(entry, dict) else entry) for file in files(part)]

    return files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def table_of(page, num_columns):
    """The rows of the tables of a page with so many columns, without their heads."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGES[page].splitlines() if line[:1] == "|"
    ]
    heads = {at - 1 for at, row in enumerate(rows) if set("".join(row)) <= set("- :")}
    return [row for at, row in enumerate(rows) if len(row) == num_columns and not {at, at - 1} & heads]


def value_of(name):
    place = PARAMS
    for part in name.split("."):
        place = place[part]
    return place


def test_the_pages_show_commands():
    assert len(COMMANDS) >= 8


def test_the_readme_is_a_landing_page():
    assert len((ROOT / "README.md").read_bytes()) <= 12_000


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.match("python -m flows |lipgan ", c)])
def test_commands_of_ours_parse(command):
    parser().parse_args(shlex.split(re.sub("^(python -m flows|lipgan) ", "", command)))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m tasks.lips")])
def test_commands_of_the_lip_refiner_parse(command):
    lips_arguments().parse_args(shlex.split(command)[3:])


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m tasks.motion ")])
def test_commands_of_the_motion_network_parse(command):
    assert order(shlex.split(command)[3:]).data


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command):
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("dvc")])
def test_dvc_commands_name_stages_and_parameters_that_exist(command):
    words = shlex.split(command)
    for name in re.findall(r"(?:-S|--set-param) ([\w.]+)=", command):
        value_of(name)
    if words[1] == "repro":
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        assert {word for word in words[2:] if not word.startswith("-")} <= set(stages)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("dask ")])
def test_dask_has_the_command(command):
    assert command.split()[1] in {entry.name for entry in entry_points(group="dask_cli")}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_of_a_kind_that_is_checked_here(command):
    plain = re.sub(r"^([A-Z0-9_]+=\S+ )*", "", command)  # variables before it
    ours = ("make ", "lipgan ", "python -m flows", "python -m tasks")
    others = ("dvc ", "git ", "cd ", "cp ", "pip install", "export ", "prefect ", "torchrun ", "dask ")
    assert plain.startswith((*ours, *others))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:flows|tasks|model|tests|benchmarks)/[\w./-]*)`", TEXT))))
def test_files_that_are_named_exist(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"python (?:-m )?(benchmarks[./]\w+)", TEXT))))
def test_benchmarks_that_are_named_exist(name):
    assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"`((?:{'|'.join(PARAMS)})\.[a-z0-9_.]+)(?::[^`]*)?`", TEXT))))
def test_parameters_that_are_named_exist(name):
    if name.rpartition(".")[2] not in ("json", "safetensors", "csv", "dat"):  # expert.json is a file
        value_of(name)


def test_help_of_every_command_shows_an_example():
    [commands] = [action for action in parser("lipgan")._actions if action.dest == "command"]
    for name, command in commands.choices.items():
        assert f"lipgan {name}" in command.format_help()


LINKS = sorted({(page, to) for page in PAGES for to in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page]))})


@pytest.mark.parametrize(("page", "to"), LINKS)
def test_links_lead_to_a_file_and_a_heading(page, to):
    name, _, anchor = to.partition("#")
    target = (ROOT / page).parent / name if name else ROOT / page
    assert target.is_file()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", FENCE.sub("", target.read_text()), re.M)
        assert anchor in [slugify(heading, "-") for heading in headings]


def test_links_are_found():
    assert len(LINKS) > 40


def test_every_page_is_in_the_navigation_once():
    assert sorted(nav_of_site()) == sorted(path.name for path in DOCS)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_a_page_opens_with_what_the_reader_wants(path):
    assert re.match(r"# [^\n]+\n\n(?:You want [^|#`!]+?[.:])\n\n", path.read_text()), path.name


def test_a_page_that_is_filled_from_the_code_is_a_page():
    assert set(pages.FILLED) <= {path.name for path in DOCS}
    for name, fill in pages.FILLED.items():
        assert fill(ROOT).splitlines()[0] == PAGES[f"docs/{name}"].splitlines()[0]


def test_every_page_has_one_title():
    for page, text in PAGES.items():
        assert len(re.findall(r"^# ", FENCE.sub("", text), re.M)) == 1, page


def variables_of_code():
    """LIPGAN_* that the code reads: string constants that are such a name, and what prefect.yaml takes."""
    found = set(re.findall(r"\$(LIPGAN_\w+)", (ROOT / "prefect.yaml").read_text()))
    for layer in ("model", "tasks", "flows"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and re.fullmatch(r"LIPGAN_[A-Z0-9_]+", str(node.value)):
                    found.add(node.value)
    return found


def test_the_page_of_variables_has_those_that_the_code_reads():
    rows = table_of("docs/environment.md", 3)
    assert {name for row in rows for name in re.findall(r"`(LIPGAN_\w+)`", row[0])} == variables_of_code()


def test_pages_name_only_variables_that_the_code_reads():
    assert set(re.findall(r"\bLIPGAN_[A-Z0-9_]+", TEXT)) <= variables_of_code()


def test_every_reason_of_a_refused_clip_is_explained_once():
    rows = table_of("docs/when-refused.md", 3)
    assert sorted(row[0].strip("`") for row in rows) == sorted(REASONS)
    assert all(all(row) for row in rows)


def test_the_glossary_is_sorted_and_explains_each_term_in_a_sentence():
    rows = table_of("docs/glossary.md", 2)
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=str.lower)
    assert all(row[1].endswith(".") for row in rows)


def test_the_table_of_rooms_is_the_one_that_is_held():
    rows = {row[0].strip("`"): set(filter(None, row[3].split(", "))) for row in table_of("docs/architecture.md", 4)}
    assert rows == ROOMS


def test_the_page_of_commands_has_every_command():
    [commands] = [action for action in parser()._actions if action.dest == "command"]
    text = pages.commands(ROOT)
    assert re.findall(r"^## (.+)$", text, re.M) == list(commands.choices)
    assert "--side-by-side" in text


def test_the_page_of_parameters_has_every_parameter_with_its_value():
    def leaves(values, before=""):
        for name, value in values.items():
            yield from leaves(value, f"{before}{name}.") if isinstance(value, dict) else [f"{before}{name}"]

    text = pages.parameters(ROOT)
    assert re.findall(r"^\| `([\w.]+)` \|", text, re.M) == list(leaves(PARAMS))
    assert "| `faces.size` | `96` | int, 96 to 192, multiples of 96 |" in text


def test_a_field_of_the_schema_is_a_section_or_a_leaf():
    """What the page of parameters relies on."""
    from model.params import Params

    assert {name for name, hint in Params.__annotations__.items() if not is_dataclass(hint)} == {"seed"}


def test_docstrings_become_markdown():
    markdown = from_docs("docstrings").markdown
    assert markdown("A mask.  Shape: (T,) -> (T,)", set()) == "A mask.\n\n**Shape:** (T,) -> (T,)"
    assert markdown("What it is.\n\nwidth    of it\nErrors:  ValueError for <0", set()) == (
        "What it is.\n\n- `width`: of it\n\n**Errors:** ValueError for &lt;0"
    )
    assert markdown("Take it.\n\nnotes: where\n    they lie", {"notes"}) == "Take it.\n\n- `notes`: where\n    they lie"
    assert markdown("note: this is prose", set()) == "note: this is prose"
    assert markdown("Shape letters: B batch,\nT time", set()) == "Shape letters: B batch,\nT time"
    assert markdown("    python -m flows gc", set()) == "```text\npython -m flows gc\n```"
