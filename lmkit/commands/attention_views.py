"""Attention weights as figures, as pages, and as pictures made of characters."""

from typing import TYPE_CHECKING

from lmkit.errors import UsageError
from lmkit.io import heat_maps, outputs, streams, tables, terminal
from lmkit.io.figures import attention_page, charts, files, head_grid, style
from lmkit.protocols import AttentionParts

if TYPE_CHECKING:
    from lmkit.protocols import F32

LARGEST_PAGE = 50_000_000
"""Bytes of a page that browsers still open quickly."""


def draw(
    plot: str, name: str, tokens: list[str], parts: AttentionParts, layer: int | None, head: int | None
) -> None:  # fmt: skip
    """Draw one head or all into a file. Raises UsageError for a page that is too large, OutputError."""
    shown, title = list(map(style.shown_token, tokens)), f"Attention of {streams.display(name)}"
    if files.format_of(plot) == "html":
        views = [attention_page.AttentionView("self-attention", tokens, tokens, *parts)]
        if (size := attention_page.size(views)) > LARGEST_PAGE:
            raise UsageError(f"{plot}: a page of {size / 1e6:,.0f} MB", hint="a shorter text, or a .png or .svg")
        files.write_page(plot, attention_page.attention_page(title, views, layer or 0, head or 0))
    elif layer is None or head is None:
        files.write(plot, head_grid.head_grid(title, parts.weights))
    else:
        values, title = parts.weights[layer, head].tolist(), f"{title}, layer {layer}, head {head}"
        files.write(plot, charts.matrix(title, shown, shown, values, x="attended token", y="attending token", high=1.0))


def show(out: outputs.Output, tokens: list[str], weights: "F32", layer: int | None, head: int | None) -> None:
    """Draw one head, or a small picture of each, with characters as wide as the terminal."""
    screen = out.screen
    paints = (screen.weight, screen.most) if screen is not None else (heat_maps.plain, heat_maps.plain)
    shown = [terminal.visible(style.shown_token(token)) for token in tokens]
    lines = list[str]()
    if layer is not None and head is not None:
        lines += heat_maps.matrix(shown, weights[layer, head].tolist(), out.columns, *paints)
    else:
        for number, heads in enumerate(weights.tolist()):
            names = [f"layer {number} head {place}" for place in range(len(heads))]
            lines += [*heat_maps.thumbnails(names, heads, out.columns, *paints), ""]
        lines += tables.folded("  ".join(shown), out.columns)
    lines.append(f"weights from {heat_maps.LEGEND}; rows attend, columns are attended")
    for line in lines:
        if screen is not None:
            screen.show(line)
        else:
            out.line(line)
