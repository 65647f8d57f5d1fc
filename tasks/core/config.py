"""params.yaml -> model.params.Params. A wrong name, type or range is one line that names the key.

python -m tasks.core.config [params.yaml]        check the file, print its hash
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from model.params import Params, Range
from tasks.core import names, paths
from tasks.core.errors import UserError


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check every section, used or not: a bad value stops the first stage, not the last."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run from the repository root, or `lipgan init` in an empty folder"
        ) from None
    return parse(content, path)


def load_here() -> Params:
    """params.yaml of this folder; where there is none, that of the package: dubbing needs no project."""
    return load(paths.PARAMS if paths.PARAMS.exists() else paths.shipped(str(paths.PARAMS)))


def parse(content: bytes, path: Path) -> Params:
    """Params of the bytes of a file.  Errors: UserError that names the file, and the key or the line"""
    try:
        values = yaml.load(content.decode("utf-8-sig"), UniqueKeys)
        params: Params = _build(Params, values, "")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8; save the file in UTF-8") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{path}: not YAML: nested too deep") from None
    except (ValueError, OverflowError) as error:  # of a key; of YAML's numbers and dates
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    return params


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key may occur once: of two, the second would be taken silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is there twice; keep one of them", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def as_dict(section: Any) -> dict[str, Any]:
    return dataclasses.asdict(section)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as one level: {"train": {"lr": 1}} -> {"train.lr": 1}."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return leaves


def digest(*sections: Any) -> str:
    """sha256 of the values of some sections; comments and the order in the file do not matter."""
    text = json.dumps([as_dict(section) for section in sections], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def build(schema: type, values: object) -> Any:
    """A section of parameters, as of a checkpoint's description.  Errors: ValueError naming the key"""
    return _build(schema, values, "")


def _build(schema: type, values: object, where: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{where.rstrip('.') or 'the file'} must be a section of parameters, got {values!r}")
    hints = get_type_hints(schema, include_extras=True)
    known = ", ".join(sorted(hints))
    if unknown := sorted(str(key) for key in values.keys() - hints.keys()):
        raise ValueError(f"{where}{unknown[0]} is not a parameter; known: {known}")
    if missing := sorted(hints.keys() - values.keys()):
        raise ValueError(f"{where}{missing[0]} is missing")
    return schema(**{name: _check(hint, values[name], where + name) for name, hint in hints.items()})


def _check(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where + ".")
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{where} must be one of {', '.join(get_args(hint))}, got {value!r}")
        return value
    if get_origin(hint) is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, got {value!r}")
        return [_check(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(hint, UnionType) or get_origin(hint) is Union:  # a number, or one of some words
        words = [word for part in get_args(hint) if get_origin(part) is Literal for word in get_args(part)]
        if isinstance(value, str):
            if value not in words:
                raise ValueError(f"{where} must be a number or {', '.join(words)}, got {value!r}")
            return value
        [hint] = [part for part in get_args(hint) if get_origin(part) is not Literal]
    kind, limits = hint, None
    if get_origin(hint) is Annotated:
        kind, limits = get_args(hint)
    right_type = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not right_type or (isinstance(value, bool) and kind is not bool):
        hint_text = "; YAML reads 1e-3 as text, write 1.0e-3" if kind is float and isinstance(value, str) else ""
        raise ValueError(f"{where} must be {kind.__name__}, got {value!r}{hint_text}")
    if isinstance(value, str) and names.valid(value) != value:  # "\\uD800" in YAML
        raise ValueError(f"{where} has half a character in it: {names.valid(value)}")
    if isinstance(limits, Range):
        if not limits.low <= value <= limits.high:
            raise ValueError(f"{where} must be from {limits.low:g} to {limits.high:g}, got {value!r}")
        if limits.step != 1 and value % limits.step:
            raise ValueError(f"{where} must be a multiple of {limits.step}, got {value!r}")
    return kind(value)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"params.yaml is valid, sha256 {digest(load(Path(*sys.argv[1:] or ['params.yaml'])))[:12]}\n")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
