"""Our docstrings as Markdown: `Shape:`, `Errors:` and `Source:` begin paragraphs, lists of names become lists."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from griffe import Extension, Object

LABELS = "Shape|Errors|Source|Differs|Misses|Units?|Range"
LABEL = re.compile(rf"((?:{LABELS})(?=:)|(?:reads|writes|keeps)(?= {{2}})):? +(\S.*)")
PARAMETER = re.compile(r"([a-z_]\w*(?:, *\w+)*): +(\S.*)")
NAME = re.compile(r"(\S.*?)(?:(?<![.:;)]) {2,}| {3,})(\S.*)")  # a name, a gap, what it is
GAP = re.compile(r"\S {3,}\S")  # columns within columns


class Docstrings(Extension):
    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring:
            names = {each.name for each in getattr(obj, "parameters", ())}
            obj.docstring.value = markdown(obj.docstring.value, names)


def markdown(text: str, parameters: set[str]) -> str:
    return "\n\n".join(paragraph(each, parameters) for each in re.split(r"\n\s*\n", text) if each.strip())


def paragraph(text: str, parameters: set[str]) -> str:
    lines = [re.sub(r" +-> +", " -> ", line) for line in text.rstrip().splitlines()]
    if lines[0].startswith(" ") or any(line.startswith(" ") and GAP.search(line.strip()) for line in lines):
        return f"```text\n{textwrap.dedent(text).rstrip()}\n```"
    return "\n".join(parts(lines, parameters)).strip()


def parts(lines: list[str], parameters: set[str]) -> Iterator[str]:
    """The lines as Markdown. An indented line goes on with what the one before it began."""
    in_list = in_text = False
    for line in lines:
        parameter = PARAMETER.fullmatch(line)
        if line.startswith(" "):
            yield f"    {escaped(line.strip())}" if in_list else escaped(line.strip())
        elif label := LABEL.fullmatch(line):
            yield f"\n**{label[1]}:** {escaped(label[2])}"
            in_list, in_text = False, False
        elif name := (parameter if parameter and set(re.split(r", *", parameter[1])) <= parameters else named(line)):
            yield f"{'' if in_list else chr(10)}- {code(name[1])}: {escaped(name[2])}"
            in_list, in_text = True, False
        else:
            yield escaped(line) if in_text else f"\n{escaped(line)}"
            in_list, in_text = False, True


def named(line: str) -> re.Match[str] | None:
    """`line` as a name and what it is; the gap before a label is none."""
    return NAME.fullmatch(re.sub(rf" {{2,}}(?=({LABELS}):)", " ", line))


def code(name: str) -> str:
    return name if "`" in name else f"`{name}`"


def escaped(text: str) -> str:
    """What Markdown would take for markup, outside of code; a label within a line begins a paragraph."""
    pieces = re.split(r"(`[^`]*`)", text)
    plain = [
        each if each.startswith("`") else re.sub(r"([*\[\]_#])", r"\\\1", each).replace("<", "&lt;") for each in pieces
    ]
    return re.sub(rf" {{2,}}({LABELS}): *", r"\n\n**\1:** ", "".join(plain))
