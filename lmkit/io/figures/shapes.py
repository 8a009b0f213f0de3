"""What drawings are made of: strokes, boxes, markers and words, in pixels, with roles instead of colours."""

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
CROSS = ((-3, -1), (-1, -1), (-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1))
"""Corners of a cross, in thirds of its size."""


@dataclass(frozen=True)
class Stroke:
    """A line through points."""

    points: Sequence[Point]
    color: str
    width: float = 1.0
    dashes: Sequence[float] = ()
    opacity: float = 1.0


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: Sequence[Point]
    color: str
    opacity: float = 0.2


@dataclass(frozen=True)
class Box:
    """A filled rectangle; `hint` is shown where a pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    color: str
    opacity: float = 1.0
    hint: str = ""


@dataclass(frozen=True)
class Marker:
    """A point of a shape of `style.MARKERS`."""

    x: float
    y: float
    shape: str
    size: float
    color: str
    hint: str = ""

    @property
    def corners(self) -> list[Point]:
        """Its polygon; none of a circle."""
        x, y, r = self.x, self.y, self.size
        return {
            "square": [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
            "triangle": [(x, y - 1.2 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)],
            "diamond": [(x, y - 1.4 * r), (x + 1.4 * r, y), (x, y + 1.4 * r), (x - 1.4 * r, y)],
            "cross": [(x + r * a / 3, y + r * b / 3) for a, b in CROSS],
        }.get(self.shape, [])


@dataclass(frozen=True)
class Words:
    """A text from a point on its baseline: to the right (`start`), around it (`middle`), up to it (`end`)."""

    x: float
    y: float
    text: str
    size: float
    color: str = "ink"
    anchor: str = "start"
    bold: bool = False
    upright: bool = False
    """Whether it is turned by a quarter, to be read from below."""


@dataclass(frozen=True)
class Image:
    """A rectangle of so many cells, deep where numbers are near 1."""

    x: float
    y: float
    width: float
    height: float
    depths: Sequence[Sequence[float]]
    color: str


Shape = Stroke | Area | Box | Marker | Words | Image


@dataclass(frozen=True)
class Drawing:
    """Shapes on a paper of so many pixels, the later ones on top."""

    width: float
    height: float
    shapes: Sequence[Shape]
    title: str
    description: str
