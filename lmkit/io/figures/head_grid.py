"""All heads of a model as one picture: a row for each layer, a column for each head."""

from typing import TYPE_CHECKING

from lmkit.io.figures import style
from lmkit.io.figures.shapes import Drawing, Image, Shape, Words

if TYPE_CHECKING:
    from lmkit.protocols import F32

WIDTH, LARGEST, SMALLEST, GAP, MARGIN = 1100.0, 260.0, 60.0, 10.0, 24.0


def head_grid(title: str, weights: "F32") -> Drawing:
    """The drawing of weights (layers, heads, T, S): deep where they are large."""
    layers, heads = weights.shape[:2]
    left = MARGIN + style.width(f"layer {layers - 1}", style.SMALL) + GAP
    size = min(LARGEST, max(SMALLEST, (WIDTH - left) / heads - GAP))
    shapes: list[Shape] = []
    y = MARGIN
    width = left + heads * (size + GAP) + MARGIN
    for line in style.wrapped(title, style.TITLE, width - 2 * MARGIN, bold=True):
        y += style.TITLE
        shapes.append(Words(MARGIN, y, line, style.TITLE, bold=True))
        y += 8
    y += style.SMALL + 8
    for head in range(heads):
        shapes.append(
            Words(left + head * (size + GAP) + size / 2, y - 6, f"head {head}", style.SMALL, "aside", "middle")
        )
    for layer in range(layers):
        shapes.append(Words(left - GAP, y + size / 2 + style.SMALL / 3, f"layer {layer}", style.SMALL, "aside", "end"))
        for head in range(heads):
            shapes.append(Image(left + head * (size + GAP), y, size, size, weights[layer, head].tolist(), "c0"))
        y += size + GAP
    what = f"{title}: a picture of the attention weights of each of {heads} heads in each of {layers} layers."
    return Drawing(round(width), round(y + MARGIN - GAP), shapes, title, what)
