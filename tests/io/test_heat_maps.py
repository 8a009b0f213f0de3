"""Matrices drawn with characters."""

import pytest

from lmkit.io import heat_maps

ROWS = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.04, 0.76]]


def test_a_matrix_has_a_row_per_token_and_numbered_columns():
    assert list(heat_maps.matrix(["a", "中", "c"], ROWS, 80)) == [
        "   0 1 2", "a  ██", "中 ▓▓▓▓", "c  ▒▒  ██",
    ]  # fmt: skip
    marked = list(heat_maps.matrix(["a", "中", "c"], ROWS, 80, str.lower, lambda text: f"<{text}>"))
    assert marked[1:] == ["a  <██>", "中 <▓▓><▓▓>", "c  ▒▒  <██>"]


@pytest.mark.parametrize("count", [1, 10, 40, 200])
@pytest.mark.parametrize("screen", [20, 80])
def test_all_columns_are_drawn_within_the_screen(count, screen):
    identity = [[float(i == j) for j in range(count)] for i in range(count)]
    lines = list(heat_maps.matrix([f"{i}:word" for i in range(count)], identity, screen))
    assert max(map(len, lines)) <= screen
    assert sum(line.count("█") for line in lines) in (count, 2 * count)
    small = list(heat_maps.thumbnails(["one", "two"], [identity, identity], screen))
    assert max(map(len, small)) <= max(screen, 30)
