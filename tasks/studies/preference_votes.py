"""Votes of the blind preference test -> how often each condition was preferred, with an interval.

python -m flows votes votes-1.json votes-2.json
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model.metrics.registry import wilson
from tasks.core.errors import UserError

FORMAT = "lipsync-votes-1"


@dataclass(frozen=True, slots=True)
class Score:
    """How often `first` was chosen of two conditions (two-alternative forced choice); chance is 0.5."""

    first: str
    second: str
    wins: int
    votes: int
    share: float
    low: float  # 95 % interval after Wilson
    high: float
    verdict: Literal["first", "second", "cannot tell"]


def read(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The votes of all files; a session that appears twice counts once.

    Errors: UserError for a file that is missing, or not from the page
    """
    votes: dict[str, list[dict[str, Any]]] = {}
    for path in files:
        try:
            answers = json.loads(path.read_text())
            if answers["format"] != FORMAT:
                raise UserError(f"{path}: format is {answers['format']!r}, not {FORMAT}")
            for vote in answers["votes"]:
                if vote["chosen"] not in (vote["left"], vote["right"]) or vote["left"] == vote["right"]:
                    raise UserError(f"{path}: a vote for {vote['chosen']!r} of {vote['left']!r} and {vote['right']!r}")
            votes[answers["session"]] = answers["votes"]
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; download it from the page of `listen`") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a file of votes from the page of `listen` ({error!r})") from error
    return [vote for session in votes.values() for vote in session]


def score(votes: Sequence[dict[str, Any]]) -> list[Score]:
    """One score per pair of conditions.  Errors: UserError if there is no vote"""
    if not votes:
        raise UserError("votes: these files contain no votes; vote on the page of `listen` first")
    pairs: dict[tuple[str, str], list[str]] = {}
    for vote in votes:
        first, second = sorted((vote["left"], vote["right"]))
        pairs.setdefault((first, second), []).append(vote["chosen"])
    scores = []
    for (first, second), chosen in sorted(pairs.items()):
        wins = chosen.count(first)
        low, high = wilson(wins, len(chosen))
        verdict: Literal["first", "second", "cannot tell"] = "cannot tell"
        if low > 0.5 or high < 0.5:
            verdict = "first" if low > 0.5 else "second"
        scores.append(Score(first, second, wins, len(chosen), wins / len(chosen), low, high, verdict))
    return scores


def lines(scores: Sequence[Score]) -> Iterator[str]:
    for s in scores:
        verdict = {"first": f"people prefer {s.first}", "second": f"people prefer {s.second}"}.get(s.verdict, s.verdict)
        yield (
            f"{s.first} against {s.second}: chosen {s.wins} of {s.votes} times, {s.share:.0%} "
            f"(95 % interval {s.low:.0%} to {s.high:.0%}): {verdict}"
        )
