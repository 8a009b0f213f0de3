"""Figures of entropies of texts: over orders, and over windows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmkit.commands.entropy.request import EntropyRequest
from lmkit.io.figures import charts, files

if TYPE_CHECKING:
    from lmkit.information.text_entropy import TextStatistics


NAMES = {"char": "character"}


def draw_orders(asked: EntropyRequest, unit: str, parts: "Sequence[tuple[str, TextStatistics]]") -> None:
    """Draw conditional entropies over the order, a line for each file. Raises OutputError."""
    lines = [
        charts.Line(
            name if len(parts) > 1 else "",
            [one.order for one in part.orders],
            [asked.information(one.entropy(asked.correction)) for one in part.orders],
            points=True,
        )
        for name, part in parts
    ]
    symbol = NAMES.get(unit, unit)
    title = f"Entropy given the {symbol}s before"
    files.write(asked.plot, charts.lines(title, lines, x="order", y=f"{asked.unit} a {symbol}"))


def draw_windows(asked: EntropyRequest, unit: str, begins: Sequence[int], entropies: Sequence[float]) -> None:
    """Draw the entropies of windows over where they begin. Raises OutputError."""
    line = charts.Line("", begins, entropies)
    symbol = NAMES.get(unit, unit)
    title = f"Entropy of windows of {asked.window} {symbol}s"
    y = f"{asked.unit} a {symbol}"
    files.write(asked.plot, charts.lines(title, [line], x=f"first {symbol} of the window", y=y))
