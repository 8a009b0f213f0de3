"""Figures as files: the ending of a name chooses the format."""

import importlib.util

from lmkit.errors import MissingError, UsageError
from lmkit.io import outputs
from lmkit.io.figures.charts import Figure
from lmkit.io.figures.shapes import Drawing

FORMATS = ("png", "svg", "html")


def check(name: str | None) -> None:
    """Raises UsageError where a name says no format, MissingError without matplotlib, OutputError without a folder."""
    if name is None:
        return
    if format_of(name) not in FORMATS:
        raise UsageError(f"{name}: a figure is a .png, .svg or .html")
    if format_of(name) == "png" and importlib.util.find_spec("matplotlib") is None:
        hint = "name an .svg or .html, which need nothing"
        raise MissingError("PNG figures are drawn with matplotlib", package="matplotlib", hint=hint)
    outputs.expect_output(name)


def format_of(name: str) -> str:
    """The ending of a name, in small letters."""
    return name.rpartition(".")[2].lower()


def write(name: str | None, figure: Figure | Drawing) -> None:
    """Draws a figure into a file, atomically; the same figure, the same bytes. Raises what `check` does."""
    if name is None:
        return
    check(name)
    write_page(name, rendered(figure, format_of(name)))


def write_page(name: str, data: bytes) -> None:
    """Writes what was drawn elsewhere, such as a page, atomically. Raises OutputError."""
    with outputs.open_output(name, binary=True) as out:
        out.write(data)


def rendered(figure: Figure | Drawing, kind: str) -> bytes:
    """The bytes of a figure in a format."""
    from lmkit.io.figures import page, png, svg
    from lmkit.io.figures.layout import drawing

    drawn = drawing(figure) if isinstance(figure, Figure) else figure
    if kind == "png":
        return png.png(drawn)
    if kind == "svg":
        return svg.standalone(drawn).encode()
    if isinstance(figure, Figure):
        return page.figure_page(figure)
    return page.page(drawn.title, [f"<figure>{svg.element(drawn)}</figure>"]).encode()
