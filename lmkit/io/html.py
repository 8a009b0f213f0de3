"""Pages of HTML that open without a network: one file that has its data and all that shows it."""

import html
import json
from importlib.resources import files

from lmkit.io.plots import MapFigure


def word_map(figure: MapFigure) -> bytes:
    """A map of words to move about in, to zoom and to search; the same map, the same bytes."""
    data = {
        "words": list(figure.words), "x": list(figure.points.x), "y": list(figure.points.y),
        "marked": sorted(figure.marked),
    }  # fmt: skip
    page = files("lmkit.io").joinpath("wordmap.html").read_text(encoding="utf-8")
    head, _, tail = page.partition("@DATA@")
    shown = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # no word ends the script
    return f"{head.replace('@TITLE@', html.escape(figure.title))}{shown}{tail}".encode(errors="replace")
