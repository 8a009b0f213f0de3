"""Figures as SVG, HTML and PNG."""

import re
from xml.etree import ElementTree

import pytest

from lmkit.io.figures import charts, files, label_placement, style, training_curve
from lmkit.io.figures.layout import drawing
from lmkit.io.figures.shapes import Words

HOSTILE = "</script><script>alert(1)</script>\x00\x1b & \"'"
SVG = "{http://www.w3.org/2000/svg}"


def curve(points=40):
    steps = list(range(1, points + 1))
    losses = [3 + (-1) ** n / n for n in steps]
    return training_curve.training_curve("t", (steps, losses), ([20, 40], [3.1, 3.0]), (steps, losses), 1.4)


FIGURES = {
    "curve": curve(),
    "bars": charts.bars("accuracy", ["a", HOSTILE], [charts.Bars("k = 4", [0.5, 0.7], [0.4, 0.6], [0.6, 0.8])], y="p"),
    "flat": charts.bars("next", ["a", HOSTILE, "long " * 30], [charts.Bars("", [0.5, 0.2, 0.0])], y="p", flat=True),
    "matrix": charts.matrix("attention", [HOSTILE, "b"], ["c", "d", "e"], [[1, 0, 0], [0.2, 0.3, float("nan")]]),
    "log": charts.lines(
        "law", [charts.Line("runs", [1e18, 1e20], [3, 2.5])], x="FLOPs", y="loss", log_x=True, log_y=True
    ),
    "reliability": charts.reliability("calibration", [0.2, 0.9], [0.3, 0.8], [4, 9]),
    "empty": charts.lines("nothing", [charts.Line("none", [], []), charts.Line("one", [1], [1])], x="x", y="y"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_svg_is_xml_with_an_alternative_text_and_the_same_each_time(name):
    data = files.rendered(FIGURES[name], "svg")
    root = ElementTree.fromstring(data.decode())
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}desc").text != ""
    assert files.rendered(FIGURES[name], "svg") == data
    page = files.rendered(FIGURES[name], "html").decode()
    assert page.count("<script") == page.count("</script") == 1
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


def test_png_is_the_same_each_time():
    pytest.importorskip("matplotlib")
    data = files.rendered(FIGURES["matrix"], "png")
    assert data.startswith(b"\x89PNG")
    assert files.rendered(FIGURES["matrix"], "png") == data


def test_lines_have_a_point_for_each_step_and_long_ones_their_extremes():
    def longest(figure):
        paths = re.findall(r'<path d="([^"]*)"', files.rendered(figure, "svg").decode())
        return max(len(re.findall("[ML]", path)) for path in paths)

    assert longest(curve()) == 40
    assert longest(curve(100_000)) < 4000


def test_all_is_inside_the_paper():
    for figure in FIGURES.values():
        drawn = drawing(figure)
        for shape in drawn.shapes:
            if isinstance(shape, Words):
                assert 0 <= shape.x <= drawn.width
                assert 0 <= shape.y <= drawn.height


@pytest.mark.parametrize("colors", [style.LIGHT, style.DARK], ids=["light", "dark"])
def test_words_and_series_contrast_with_the_paper(colors):
    def luminance(color):
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(role):
        low, high = sorted([luminance(colors[role]), luminance(colors["paper"])])
        return (high + 0.05) / (low + 0.05)

    assert min(contrast("ink"), contrast("aside")) > 4.5  # WCAG 2.2: text
    assert min(contrast(role) for role in style.SERIES if role != "c5") > 3  # and parts of figures


def test_labels_have_room():
    places = [(0.0, 0.0), (1.0, 1.0), (0.0, 50.0), (200.0, 0.0), (2.0, 1.0)]
    words = ["one", "two", "three", "four", "five"]
    assert label_placement.unobstructed(places, words, 7.0) == [0, 2, 3]
    assert label_placement.unobstructed(places, words, 7.0, frozenset([4])) == [4, 2, 3]


def test_averages_keep_ends_and_straight_lines():
    assert training_curve.averaged(list(range(100))) == pytest.approx(list(range(100)))
    found = training_curve.averaged([5.0, 1.0] * 50)
    assert (found[0], found[-1]) == (5.0, 1.0)
    assert 2.5 < min(found[3:-3]) <= max(found[3:-3]) < 3.7
