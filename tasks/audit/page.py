"""The audit as a self-contained page: the chain as a graph (SVG), and every link in words."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.audit import chain
from tasks.audit.links import Link
from tasks.core import paths
from tasks.core.html import document

WIDTH, HEIGHT, GAP_X, GAP_Y, LEFT, TOP = 180, 74, 34, 38, 12, 12  # px
COLOURS = {"holds": "#1b7f4b", "broken": "#b3261e", "unchecked": "#8a6d1d"}
SIGNS = {"holds": "holds", "broken": "does not hold", "unchecked": "not checked"}


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the graph; it shows the worst state of its links."""

    title: str
    column: int
    row: int
    links: tuple[str, ...]
    after: tuple[str, ...] = ()  # titles of the boxes with arrows to this one


SHARD_LINKS = ("bytes of preprocess", "clips in shards", "rebuilt shards")
NODES = (
    Node("corpus, agreement", 0, 1, ("agreement",)),
    Node("raw bytes", 1, 1, ("bytes of acquire", "raw bytes"), ("corpus, agreement",)),
    Node("landmarks", 1, 2, ("bytes of landmarks",)),  # in commits before the face mesh
    Node("clips", 2, 0, ("clips", "withdrawals"), ("raw bytes",)),
    Node("index, shards", 2, 1, SHARD_LINKS, ("raw bytes", "landmarks")),
    Node("code, params", 3, 0, ("code", "stages")),
    Node("training run", 3, 1, ("training run",), ("index, shards", "clips", "code, params", "sync expert")),
    Node("sync expert", 3, 2, ("bytes of expert",), ("index, shards",)),
    Node("checkpoint", 4, 1, ("bytes of train", "checkpoint"), ("training run",)),
    Node("motion network", 4, 2, ("bytes of motion",), ("index, shards",)),
    Node("mouth's inside", 4, 0, ("bytes of inside",), ("index, shards",)),
    Node("evaluation", 5, 1, ("bytes of evaluate", "evaluation"), ("checkpoint", "motion network", "mouth's inside")),
)  # fmt: skip
STYLE = """
body { max-width: 82rem } svg text { font: 13px system-ui, sans-serif; fill: #444 }
svg .title { font-weight: 600; font-size: 15px; fill: #111 }
table { width: 100%; font-size: 1rem } td:nth-child(-n+2) { white-space: nowrap; width: 1%; font-weight: 600 }"""


def page(links: Sequence[Link]) -> str:
    """One HTML document, without scripts and external resources."""
    verdict = "Every checked link holds." if chain.clean(links) else "Some links do not hold: see in red below."
    commit = next((link.facts.get("commit", "") for link in links if link.name == "code"), "")
    body = f"""<h1>Lineage of the model</h1>
<p class="first"><b>{verdict}</b> {html.escape(chain.summary(links))}.</p>
<p>All files were hashed and compared with commit <code>{html.escape(commit)}</code>.</p>
{graph(links)}
<h2>Link by link</h2>
<table>{"".join(map(line, links))}</table>"""
    return document("Lineage", body, STYLE)


def graph(links: Sequence[Link]) -> str:
    by_name = {link.name: link for link in links}
    shown = [node for node in NODES if any(name in by_name for name in node.links)]
    titles = {node.title: node for node in shown}
    width = LEFT * 2 + (max(node.column for node in shown) + 1) * (WIDTH + GAP_X) - GAP_X
    height = TOP * 2 + 3 * (HEIGHT + GAP_Y) - GAP_Y
    arrows = "".join(arrow(titles[before], node) for node in shown for before in node.after if before in titles)
    boxes = "".join(box(node, [by_name[name] for name in node.links if name in by_name]) for node in shown)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="The chain, corpus to evaluation">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L10 5L0 10z" fill="#777"/></marker></defs>{arrows}{boxes}</svg>'
    )


def corner(node: Node) -> tuple[int, int]:
    return LEFT + node.column * (WIDTH + GAP_X), TOP + node.row * (HEIGHT + GAP_Y)


def arrow(before: Node, after: Node) -> str:
    (x, y), (to_x, to_y) = corner(before), corner(after)
    if before.column == after.column:
        down = to_y > y
        start, end = (x + WIDTH // 2, y + HEIGHT * down), (to_x + WIDTH // 2, to_y + HEIGHT * (not down))
        path = f"M{start[0]} {start[1]}L{end[0]} {end[1]}"
    else:
        start, end = (x + WIDTH, y + HEIGHT // 2), (to_x, to_y + HEIGHT // 2)
        middle = (start[0] + end[0]) // 2
        path = f"M{start[0]} {start[1]}C{middle} {start[1]} {middle} {end[1]} {end[0]} {end[1]}"
    return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.5" marker-end="url(#tip)"/>'


def box(node: Node, links: Sequence[Link]) -> str:
    x, y = corner(node)
    state = max((link.state for link in links), key=_badness)
    colour = COLOURS[state]
    lines = [node.title, short(node, links), SIGNS[state]]
    words = "".join(
        f'<text x="{x + 14}" y="{y + 24 + 19 * k}"{style}>{html.escape(text)}</text>'
        for k, (text, style) in enumerate(
            zip(lines, (' class="title"', "", f' style="fill:{colour};font-weight:600"'), strict=True)
        )
    )
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" stroke="{colour}" '
        f'stroke-width="2"/><rect x="{x}" y="{y + 10}" width="5" height="{HEIGHT - 20}" fill="{colour}"/>{words}'
    )


def _badness(state: str) -> int:
    return ("holds", "unchecked", "broken").index(state)


def short(node: Node, links: Sequence[Link]) -> str:
    """The hash or name shown in the box."""
    facts: dict[str, Any] = {}
    for link in links:
        facts |= link.facts
    by_title = {
        "corpus, agreement": lambda: ", ".join(facts["corpora"]),
        "raw bytes": lambda: facts[str(paths.RAW)][:12],
        "landmarks": lambda: facts["models/landmarks.dat"][:12],
        "clips": lambda: links[0].claim.split(",")[0],
        "index, shards": lambda: facts[str(paths.INDEX)][:12],
        "code, params": lambda: facts["commit"][:12],
        "training run": lambda: f"{facts['machine']['cores']} cores, seed {facts['seed']}",
        "checkpoint": lambda: facts[str(paths.GENERATOR)][:12],
        "evaluation": lambda: facts[str(paths.METRICS)][:12],
    }.get(node.title, lambda: next(iter(facts.values()), "")[:12])
    try:
        return str(by_title())
    except KeyError:  # an unchecked link has no facts
        return "-"


def line(link: Link) -> str:
    texts = link.findings or [link.claim + (f" ({link.unchecked})" if link.unchecked else "")]
    words = "<br>".join(html.escape(text) for text in texts)
    state = f'<td style="color:{COLOURS[link.state]}">{SIGNS[link.state]}</td>'
    return f"<tr><td>{html.escape(link.name)}</td>{state}<td>{words}</td></tr>"
