"""SVG of drawings: light colours as attributes, which every program knows, dark ones where a reader prefers them."""

import base64
from collections.abc import Sequence
from html import escape

from lmkit.io.figures import style
from lmkit.io.figures.pixels import pixels
from lmkit.io.figures.shapes import Area, Box, Drawing, Image, Marker, Point, Shape, Stroke, Words


def standalone(drawing: Drawing) -> str:
    """A file of its own."""
    rules = "".join(f".f-{role}{{fill:{color}}}.s-{role}{{stroke:{color}}}" for role, color in style.DARK.items())
    head = f"<style>@media(prefers-color-scheme:dark){{{rules}}}</style>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element(drawing, head=head, size=True)}\n'


def element(drawing: Drawing, *, head: str = "", size: bool = False) -> str:
    """The element, with a title and a description for those who can't see it; as a part of a page, which has styles."""
    box = f"{_n(drawing.width)} {_n(drawing.height)}"
    measures = f' style="max-width:{_n(1.3 * drawing.width)}px"'
    if size:
        measures = f' width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
    body = "\n".join(_shape(shape) for shape in drawing.shapes)
    paper = f'<rect width="{_n(drawing.width)}" height="{_n(drawing.height)}" class="f-paper" fill="#ffffff"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box}"{measures} role="img" '
        f'aria-label="{_text(drawing.description)}" font-family="{style.FONT}">{head}\n'
        f"<title>{_text(drawing.title)}</title><desc>{_text(drawing.description)}</desc>\n{paper}\n{body}\n</svg>"
    )


def _n(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def _text(text: str) -> str:
    """Text as XML takes it: escaped, and without the control characters that XML does not know."""
    known = "".join(c if c >= " " or c in "\t" else "\ufffd" for c in text)
    return escape(known.encode(errors="replace").decode())


def _fill(color: str, opacity: float = 1.0) -> str:
    return f'class="f-{color}" fill="{style.LIGHT[color]}"' + (f' fill-opacity="{opacity:g}"' if opacity != 1 else "")


def _titled(tag: str, hint: str) -> str:
    return f"<{tag}><title>{_text(hint)}</title></{tag.split()[0]}>" if hint else f"<{tag}/>"


def _shape(shape: Shape) -> str:
    match shape:
        case Stroke():
            return _stroke(shape)
        case Area():
            return f'<polygon points="{_points(shape.points)}" {_fill(shape.color, shape.opacity)}/>'
        case Box():
            place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
            return _titled(f"rect {place} {_fill(shape.color, shape.opacity)}", shape.hint)
        case Marker():
            if corners := shape.corners:
                return _titled(f'polygon points="{_points(corners)}" {_fill(shape.color)}', shape.hint)
            circle = f'cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.size)}"'
            return _titled(f"circle {circle} {_fill(shape.color)}", shape.hint)
        case Image():
            return _image(shape)
        case Words():
            return _words(shape)


def _image(image: Image) -> str:
    """An embedded picture in a frame; one pixel a cell, which stays sharp when it is enlarged."""
    place = f'x="{_n(image.x)}" y="{_n(image.y)}" width="{_n(image.width)}" height="{_n(image.height)}"'
    data = base64.b64encode(pixels(image.depths, style.LIGHT[image.color])).decode()
    look = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
    frame = f'<rect {place} fill="none" class="s-grid" stroke="{style.LIGHT["grid"]}"/>'
    return f'{frame}<image {place} {look} href="data:image/png;base64,{data}"/>'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _stroke(stroke: Stroke) -> str:
    dashes = f' stroke-dasharray="{" ".join(map(_n, stroke.dashes))}"' if stroke.dashes else ""
    opacity = f' stroke-opacity="{stroke.opacity:g}"' if stroke.opacity != 1 else ""
    path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in stroke.points)
    color = f'class="s-{stroke.color}" stroke="{style.LIGHT[stroke.color]}"'
    look = f'{color} stroke-width="{_n(stroke.width)}" stroke-linejoin="round"'
    return f'<path d="{path}" fill="none" {look}{dashes}{opacity}/>'


def _words(words: Words) -> str:
    place = f'x="{_n(words.x)}" y="{_n(words.y)}"'
    if words.upright:
        place = f'transform="translate({_n(words.x)} {_n(words.y)}) rotate(-90)"'
    anchor = f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    bold = ' font-weight="bold"' if words.bold else ""
    look = f'font-size="{_n(words.size)}"{anchor}{bold} {_fill(words.color)} xml:space="preserve"'
    return f"<text {place} {look}>{_text(words.text)}</text>"
