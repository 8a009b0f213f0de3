"""Matrices in characters."""

from lmkit.io.shaded_matrix import shaded
from lmkit.io.tables import cell_width


def test_shades_under_names_that_are_written_downwards():
    lines = list(shaded(["the", "cat"], ["el", "gato"], [[1.0, 0.0], [0.3, 0.7]], 80))
    assert lines == ["      g", "      a", "    e t", "    l o", "the ██", "cat ░░▓▓"]


def test_columns_that_do_not_fit_follow_below():
    columns = [f"word{place}" for place in range(50)]
    lines = list(shaded(["x" * 40, "日本語"], columns, [[0.5] * 50, [1.0] * 50], 60))
    assert all(cell_width(line) <= 60 for line in lines)
    assert "".join(lines).count("█") == 100
    assert "" in lines
