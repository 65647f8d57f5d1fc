"""The text of the pages that are made from the code: commands, parameters, modules."""

import argparse
import ast
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml


def commands(root: Path) -> str:
    """Every command of the command line, as its own help tells it."""
    from flows.cli import parser

    top = parser()
    [choices] = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    text = ["# Commands", f"You want to look up a command or an option of `{top.prog}`: this is what `--help` prints."]
    for name, command in choices.choices.items():
        text += [f"## {name}", f"```text\n{command.format_help().strip()}\n```"]
    return "\n\n".join(text) + "\n"


def parameters(root: Path) -> str:
    """Every number of params.yaml: its value there, its range and its meaning in the schema."""
    from model import params

    given = yaml.safe_load((root / "params.yaml").read_text())
    of_file, of_schema = comments_of_yaml(root / "params.yaml"), comments_of_classes(Path(params.__file__))
    text = [
        "# Parameters",
        "You want to change a number that changes a result: edit `params.yaml`, or use `dvc exp run -S name=value`.",
        "This page is made from `params.yaml` and its schema in `model/params.py`. A name that is missing or unknown, "
        "or a value out of range, is reported in one line before any stage runs.",
        *table("General", [row for row in rows(params.Params, given, "", of_file, of_schema) if "." not in row[0]], ""),
    ]
    for name, hint in get_type_hints(params.Params, include_extras=True).items():
        if is_dataclass(hint):
            found = list(rows(hint, given[name], f"{name}.", of_file, of_schema))
            text += table(name, found, of_file.get(name, ""))
    return "\n\n".join(text) + "\n"


Row = tuple[str, str, str, str]  # name, value, allowed, meaning


def rows(
    schema: Any, given: dict[str, Any], before: str, of_file: dict[str, str], of_schema: dict[str, str]
) -> Iterator[Row]:
    hints = get_type_hints(schema, include_extras=True)
    for field in fields(schema):
        name, hint, value = f"{before}{field.name}", hints[field.name], given[field.name]
        if is_dataclass(hint):
            if before:
                yield from rows(hint, value, f"{name}.", of_file, of_schema)
            continue
        meaning = either(of_schema.get(f"{schema.__name__}.{field.name}", ""), of_file.get(name, ""))
        yield name, yaml_value(value), allowed(hint), meaning


def either(one: str, other: str) -> str:
    """The longer of two comments that say the same, or both."""
    words = [set(re.findall(r"\w+", text.lower())) for text in (one, other)]
    if 2 * len(words[0] & words[1]) >= min(map(len, words)):
        return max(one, other, key=len)
    return f"{one}; {other}"


def table(title: str, found: list[Row], about: str) -> list[str]:
    lines = ["| name | value | allowed | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{name}` | {cell(value)} | {limits} | {escaped(said)} |" for name, value, limits, said in found]
    return [f"## {title}", *([escaped(about)] if about else []), "\n".join(lines)]


def cell(value: str) -> str:
    return f"`{value}`" if value else ""


def yaml_value(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def escaped(text: str) -> str:
    """As the text of a cell: a bar would end it."""
    return text.replace("|", r"\|").replace("<", "&lt;")


def allowed(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(hint))
    if get_origin(hint) is list:
        return f"list of {allowed(get_args(hint)[0])}"
    if get_origin(hint) is typing.Annotated:
        kind, limits = get_args(hint)[:2]
        step = f", multiples of {limits.step}" if limits.step > 1 else ""
        return f"{kind.__name__}, {number(limits.low)} to {number(limits.high)}{step}"
    return {"str": "text", "bool": "`true`, `false`"}.get(hint.__name__, hint.__name__)


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def comments_of_yaml(path: Path) -> dict[str, str]:
    """The comment behind each key; one that begins with ... goes on from the key before."""
    found: dict[str, str] = {}
    at: list[tuple[int, str]] = []
    last = ""
    for line in path.read_text().splitlines():
        key = re.match(r"( *)([\w]+):", line)
        if not key:
            continue
        at = [*[(depth, name) for depth, name in at if depth < len(key[1])], (len(key[1]), key[2])]
        name = ".".join(word for _, word in at)
        comment = line.partition(" # ")[2].strip()
        if comment.startswith("..."):
            found[last] += " " + comment.removeprefix("...").strip()
        elif comment:
            found[name] = comment
        last = name
    return found


def comments_of_classes(path: Path) -> dict[str, str]:
    """The comment behind each field of the schema, by Class.field."""
    source = path.read_text()
    lines, found = source.splitlines(), {}
    for node in ast.walk(ast.parse(source)):
        for each in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                said = [lines[at - 1].partition("  # ")[2].strip() for at in (each.lineno, each.end_lineno or 0)]
                found[f"{node.name}.{each.target.id}"] = next((text for text in said if text), "")
    return found


def api(root: Path) -> list[tuple[str, str, str]]:
    """A page for each package: its file, its title, its text."""
    packages = [root / "model", *sorted(each.parent for each in (root / "tasks").glob("*/__init__.py"))]
    return [api_page(root, package) for package in [*packages, root / "flows"]]


def api_page(root: Path, package: Path) -> tuple[str, str, str]:
    title = ".".join(package.relative_to(root).parts)
    text = [f"# {title}", inspect.cleandoc(ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or "")]
    files = package.rglob("*.py") if title == "model" else package.glob("*.py")
    for file in sorted(files):
        if file.name not in ("__init__.py", "__main__.py"):
            text.append(f"::: {'.'.join(file.relative_to(root).with_suffix('').parts)}")
    return f"api/{title.removeprefix('tasks.')}.md", title, "\n\n".join(text) + "\n"


FILLED = {"commands.md": commands, "parameters.md": parameters}  # what lies in docs/ of them says where to look else
