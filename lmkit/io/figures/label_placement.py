"""Labels beside points: which of them can be written without one lying on another."""

from collections.abc import Sequence

BESIDE = 2.5
"""How far right of its point a label begins, in the unit of the places."""
CELL = 60.0


def unobstructed(
    places: Sequence[tuple[float, float]], words: Sequence[str], size: float, first: frozenset[int] = frozenset()
) -> list[int]:
    """Which words can be written right of their places, in letters of a size, without overlap; earlier ones win."""
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    kept = []
    for place in [*sorted(first), *(place for place in range(len(words)) if place not in first)]:
        x, y = places[place]
        width, height = 0.65 * size * len(words[place]) + BESIDE, 1.2 * size
        rows, columns = int(y // height), range(int(x // CELL), int((x + width) // CELL) + 1)
        near = [
            other for row in (rows - 1, rows, rows + 1) for column in columns for other in taken.get((row, column), ())
        ]
        if any(abs(other[1] - y) < height and x < other[0] + other[2] and other[0] < x + width for other in near):
            continue
        kept.append(place)
        for column in columns:
            taken.setdefault((rows, column), []).append((x, y, width))
    return kept
