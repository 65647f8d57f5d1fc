"""Progress of long steps: a bar with rate and time left on a terminal, a line every few seconds in a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(total: int, what: str, unit: str, initial: int = 0) -> "tqdm[Any]":
    """A bar to be advanced by hand: `with bar(10, "training", "step") as b: b.update()`."""
    on_terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit=f" {unit}",
        mininterval=0.2 if on_terminal else 5,
        file=sys.stderr,
        ascii=None if on_terminal else True,
        bar_format=None
        if on_terminal
        else "{desc}: {n_fmt}/{total_fmt} {unit}, {elapsed} gone, {remaining} left{postfix}\n",
    )


def progress(things: Iterable[T], what: str, unit: str) -> Iterator[T]:
    items = list(things)
    with bar(len(items), what, unit) as b:
        for item in items:
            yield item
            b.update()


def say(line: str) -> None:
    """One line for the person at the terminal, beside any bar."""
    tqdm.write(line, file=sys.stderr)
