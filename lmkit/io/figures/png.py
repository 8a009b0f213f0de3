"""PNG of drawings, painted by matplotlib without a screen."""

import io
from itertools import groupby
from typing import Any

from lmkit.io.figures import style
from lmkit.io.figures.shapes import Area, Box, Drawing, Image, Marker, Shape, Stroke, Words

SCALE = 2.0
"""Dots a pixel, so that projectors show sharp letters."""
INCH = 72.0
"""Pixels an inch: then a pixel is a point, in which matplotlib counts sizes."""


def png(drawing: Drawing) -> bytes:
    """The same drawing, the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.family": "DejaVu Sans", "text.parse_math": False}):
        paper = Figure(figsize=(drawing.width / INCH, drawing.height / INCH), dpi=INCH * SCALE, facecolor="white")
        axes = paper.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        for order, (boxes, shapes) in enumerate(groupby(drawing.shapes, key=lambda shape: isinstance(shape, Box))):
            if boxes:
                _fill(axes, [shape for shape in shapes if isinstance(shape, Box)], order)
            else:
                for shape in shapes:
                    _paint(axes, shape, order)
        axes.set_xlim(0, drawing.width)  # pictures change them
        axes.set_ylim(drawing.height, 0)
        buffer = io.BytesIO()
        paper.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _fill(axes: Any, boxes: list[Box], order: int) -> None:
    """Paints boxes at once: a matrix has thousands."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    corners = [
        [(b.x, b.y), (b.x + b.width, b.y), (b.x + b.width, b.y + b.height), (b.x, b.y + b.height)] for b in boxes
    ]
    colors = [to_rgba(style.LIGHT[box.color], box.opacity) for box in boxes]
    axes.add_collection(PolyCollection(corners, facecolors=colors, edgecolors="none", zorder=order), autolim=False)


def _paint(axes: Any, shape: Shape, order: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Polygon

    color = style.LIGHT[shape.color]
    filled: Any = {"facecolor": color, "edgecolor": "none", "linewidth": 0, "zorder": order}
    match shape:
        case Stroke():
            x, y = zip(*shape.points, strict=True)
            line = Line2D(x, y, color=color, linewidth=shape.width, alpha=shape.opacity, zorder=order)
            if shape.dashes:
                line.set_dashes([length / shape.width for length in shape.dashes])
            axes.add_line(line)
        case Area():
            axes.add_patch(Polygon(list(shape.points), closed=True, alpha=shape.opacity, **filled))
        case Marker():
            corners = shape.corners
            patch = (
                Polygon(corners, closed=True, **filled) if corners else Circle((shape.x, shape.y), shape.size, **filled)
            )
            axes.add_patch(patch)
        case Image():
            _picture(axes, shape, order)
        case Words():
            _write(axes, shape, color, order)


def _picture(axes: Any, image: Image, order: int) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    red, green, blue, _ = to_rgba(style.LIGHT[image.color])
    colors = [[(red, green, blue, min(1.0, max(0.0, depth))) for depth in row] for row in image.depths]
    extent = (image.x, image.x + image.width, image.y + image.height, image.y)
    axes.imshow(colors, extent=extent, aspect="auto", interpolation="nearest", zorder=order)
    frame = Rectangle((image.x, image.y), image.width, image.height, fill=False, edgecolor=style.LIGHT["grid"])
    frame.set_zorder(order)
    axes.add_patch(frame)


def _write(axes: Any, words: Words, color: str, order: int) -> None:
    anchor = {"start": "left", "middle": "center", "end": "right"}[words.anchor]
    place: Any = {"ha": anchor, "va": "baseline"}
    if words.upright:  # turned text ends where it begins to be read from below
        place = {
            "ha": "right",
            "va": {"start": "bottom", "middle": "center", "end": "top"}[words.anchor],
            "rotation": 90,
        }
    weight = "bold" if words.bold else "normal"
    shown = "".join(character if character >= " " else "\ufffd" for character in words.text)
    axes.text(
        words.x, words.y, shown, fontsize=words.size, color=color, weight=weight, zorder=order, clip_on=False, **place
    )
