"""Matrices drawn with characters."""

import pytest

from lmkit.io import heat_maps
from lmkit.io.tables import cell_width

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


def test_shades_under_names_that_are_written_downwards():
    lines = list(heat_maps.named_matrix(["the", "cat"], ["el", "gato"], [[1.0, 0.0], [0.3, 0.7]], 80))
    assert lines == ["      g", "      a", "    e t", "    l o", "the ██", "cat ▒▒██"]


def test_columns_that_do_not_fit_follow_below():
    columns = [f"word{place}" for place in range(50)]
    lines = list(heat_maps.named_matrix(["x" * 40, "日本語"], columns, [[0.5] * 50, [1.0] * 50], 60))
    assert all(cell_width(line) <= 60 for line in lines)
    assert "".join(lines).count("█") == 100
    assert "" in lines
