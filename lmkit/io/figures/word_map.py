"""Words on a plane: a figure, and a page to move about in, to zoom and to search."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from lmkit.io.figures.charts import Axis, Dots, Figure, Panel


@dataclass(frozen=True)
class WordMap:
    """Words and their places; those at the places in `marked` stand out."""

    title: str
    words: Sequence[str]
    x: Sequence[float]
    y: Sequence[float]
    marked: frozenset[int]


def figure(shown: WordMap) -> Figure:
    """The words as points, with their names where there is room."""
    marks = [
        _dots(shown, [place for place in range(len(shown.words)) if (place in shown.marked) == marked], marked)
        for marked in (False, True)
    ]
    alt = f"{shown.title}: {', '.join(shown.words[:40])}{', ...' if len(shown.words) > 40 else ''}"
    return Figure(shown.title, (Panel(marks, Axis(), Axis(), plane=True),), alt=alt)


def _dots(shown: WordMap, places: Sequence[int], marked: bool) -> Dots:
    x, y = ([values[place] for place in places] for values in (shown.x, shown.y))
    return Dots("", x, y, names=[shown.words[place] for place in places], small=not marked, color=1 if marked else 0)


def page(shown: WordMap) -> bytes:
    """The page; the same map, the same bytes."""
    data = {"words": list(shown.words), "x": list(shown.x), "y": list(shown.y), "marked": sorted(shown.marked)}
    text = files("lmkit.io.figures").joinpath("word_map.html").read_text(encoding="utf-8")
    head, _, tail = text.partition("@DATA@")
    inside = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # no word ends the script
    return f"{head.replace('@TITLE@', html.escape(shown.title))}{inside}{tail}".encode(errors="replace")
