"""Pages of HTML that open from disk without a network: one style, light and dark, figures as inline SVG, tables."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from lmkit.io.figures import style, svg
from lmkit.io.figures.charts import Bars, Figure, Matrix, Panel, number
from lmkit.io.figures.layout import drawing

MOST_ROWS = 400
"""Rows of a table of a figure's numbers; of longer series so many are shown, evenly apart."""


THEME = '<button id="theme" type="button" aria-label="switch between light and dark">◐</button>'


def figure_page(figure: Figure) -> bytes:
    """A page of one figure, with its numbers as tables."""
    return page(figure.title, [figure_section(figure)]).encode(errors="replace")


def page(title: str, sections: Iterable[str], *, heading: bool = False) -> str:
    """A page in the style of all; `sections` are HTML."""
    sheet = files("lmkit.io.figures").joinpath("page.css").read_text(encoding="utf-8")
    script = files("lmkit.io.figures").joinpath("page.js").read_text(encoding="utf-8")
    body = "\n".join(sections)
    top = f"<h1>{text(title)}</h1>" if heading else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{text(title)}</title>\n'
        f"<style>\n{colors()}{sheet}</style>\n</head>\n<body>\n"
        f"<header>{top}{THEME}</header>\n"
        f"<main>\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def colors() -> str:
    """Rules that give the roles of colours their values, as the reader or the button of the page prefers."""
    light = "".join(f"--{role}:{color};" for role, color in style.LIGHT.items())
    dark = "".join(f"--{role}:{color};" for role, color in style.DARK.items())
    rules = "".join(f".f-{role}{{fill:var(--{role})}}.s-{role}{{stroke:var(--{role})}}" for role in style.LIGHT)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n{rules}\n"
    )


def text(shown: str) -> str:
    """Text as HTML has it."""
    return escape(shown.replace("\x00", "\ufffd"))


def figure_section(figure: Figure) -> str:
    """A figure, and its numbers where a reader asks for them."""
    tables = "".join(_numbers(panel) for panel in figure.panels)
    return f"<figure>{svg.element(drawing(figure))}<details><summary>Numbers</summary>{tables}</details></figure>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> str:
    """A table that a click on a heading sorts. Cells that are numbers are to the right."""
    head = "".join(f'<th scope="col"><button type="button">{text(name)}</button></th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    top = f"<caption>{text(caption)}</caption>" if caption else ""
    inner = f"{top}<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>"
    return f'<div class="wide"><table class="sorts">{inner}</table></div>'


def _cell(shown: str) -> str:
    return f'<td class="n">{text(shown)}</td>' if _is_number(shown) else f"<td>{text(shown)}</td>"


def _is_number(shown: str) -> bool:
    try:
        float(shown.replace(",", ""))
    except ValueError:
        return False
    return True


def _numbers(panel: Panel) -> str:
    """The tables of a panel's series."""
    found = []
    for mark in panel.marks:
        if isinstance(mark, Matrix):
            rows = [[name, *map(number, row)] for name, row in zip(panel.y.names, mark.values, strict=True)]
            found.append(table([panel.y.label or "row", *panel.x.names], rows))
        elif isinstance(mark, Bars):
            names = panel.y.names or panel.x.names
            columns: list[Sequence[str]] = [
                names,
                *([number(v) for v in part] for part in (mark.values, mark.low, mark.high) if part),
            ]
            axis = panel.y if panel.y.names else panel.x
            header = [axis.label or "name", mark.label or panel.x.label or panel.y.label, "low", "high"][: len(columns)]
            found.append(table(header, zip(*columns, strict=True)))
        elif len(mark.x) and (mark.label or len(panel.marks) == 1):
            every = max(1, -(-len(mark.x) // MOST_ROWS))
            places = range(0, len(mark.x), every)
            names = [panel.x.names[round(x)] for x in mark.x] if panel.x.names else [number(x) for x in mark.x]
            parts = [part for part in (mark.y, mark.low, mark.high) if len(part)]
            rows = [[names[place], *(number(part[place]) for part in parts)] for place in places]
            header = [panel.x.label or "x", panel.y.label or "y", "low", "high"][: 1 + len(parts)]
            found.append(table(header, rows, caption=mark.label))
    return "".join(found)
