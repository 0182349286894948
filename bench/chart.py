"""Peers side by side as one SVG: a panel for each measure, a bar for each peer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, LABELS, ROW, HEAD = 860, 170, 24, 40
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 } .note { fill: #59636e }
.page { fill: #ffffff } .bar { fill: #8c959f } .ours { fill: #1a7f37 }
.goal { stroke: #cf222e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 }
  .page { fill: #0d1117 } .bar { fill: #656c76 } .ours { fill: #3fb950 }
  .goal { stroke: #f85149 }
}
"""


def chart(panels: Sequence[tuple[str, float | None, Mapping[str, float]]], ours: str) -> str:
    """Return the SVG of (title, goal, {peer: value}) panels; each panel has its own scale."""
    parts: list[str] = []
    top = 12
    for title, goal, values in panels:
        top += HEAD - 12
        parts.append(f'<text class="title" x="12" y="{top - 10}">{escape(title)}</text>')
        longest = max([*values.values(), goal or 0]) or 1
        scale = (WIDTH - LABELS - 110) / longest
        begin = top
        for peer, value in values.items():
            length = max(value * scale, 1)
            kind = "bar ours" if peer == ours else "bar"
            parts.append(
                f'<text x="{LABELS - 8}" y="{top + 16}" text-anchor="end">{escape(peer)}</text>'
                f'<rect class="{kind}" x="{LABELS}" y="{top + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2"/>'
                f'<text x="{LABELS + length + 6:.1f}" y="{top + 16}">{value:,.4g}</text>'
            )
            top += ROW
        if goal is not None:
            place = LABELS + goal * scale
            parts.append(f'<line class="goal" x1="{place:.1f}" y1="{begin}" x2="{place:.1f}" y2="{top}"/>')
        top += 12
    parts.append(
        f'<text class="note" x="12" y="{top + 6}">Shorter is better. Dashed: the goal for {escape(ours)}.</text>'
    )
    top += 20
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="The handler beside its peers">\n<style>{STYLE}</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{top}"/>\n{body}\n</svg>\n'
    )
