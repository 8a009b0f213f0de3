"""Training curves as pictures."""

import importlib.util
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.io import plots

pytest.importorskip("matplotlib")

TEXT = b"the cat sat on the mat\nthe dog sat on the log\na bird sang in the tree\n" * 40
TRAIN = ("train", "ffn", "--width", 8, "--hidden", 8, "--threads", 1, "--quiet")
SIZE = {"png": b"\x89PNG\r\n", "svg": b"<?xml"}


def lines(svg):
    """How many points the lines of a picture have, the longest first."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*clip-path', svg.decode(), re.DOTALL)
    return sorted((len(re.findall("[ML]", path)) for path in paths), reverse=True)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_run_has_the_same_picture(kind, lmkit, write, work):
    text = write("text.txt", TEXT)
    for name in ("a", "b"):
        done = lmkit(
            *TRAIN, "--steps", 12, "--valid-fraction", 0.2, "--evaluate-every", 4, text, "-o", "x.lm",
            "--plot", f"{name}.{kind}",
        )  # fmt: skip
        assert done.status == 0, done.stderr
    picture = (work / f"a.{kind}").read_bytes()
    assert picture.startswith(SIZE[kind])
    assert picture == (work / f"b.{kind}").read_bytes()


def test_a_picture_does_not_change_the_model(lmkit, write, work):
    text = write("text.txt", TEXT)
    assert lmkit(*TRAIN, "--steps", 5, text, "-o", "plain.lm").status == 0
    assert lmkit(*TRAIN, "--steps", 5, text, "-o", "drawn.lm", "--plot", "a.svg").status == 0
    assert (work / "plain.lm").read_bytes() == (work / "drawn.lm").read_bytes()


def test_with_a_log_the_whole_of_a_resumed_run_is_drawn(lmkit, write, work, monkeypatch):
    from lmkit.commands.training_run.reporter import Curve

    drawn = []
    monkeypatch.setattr(plots, "write_training", lambda figure, name: drawn.append(figure))
    curve = Curve("a.svg", "title", 1.0)
    events = [
        {"event": "step", "step": 1, "nats": 3.0, "lr": 0.1},
        {"event": "evaluation", "step": 1, "nats": 2.5},
        {"event": "saved", "step": 1},
    ]
    curve.take_up([*map(json.dumps, events), "junk", "3", '{"event": "step", "step": "x"}'])
    curve.stepped(2, 2.0, 0.2)
    curve.draw()
    (figure,) = drawn
    assert (figure.loss.x, figure.loss.y) == ([1, 2], [3.0, 2.0])
    assert figure.rate.y == [0.1, 0.2]
    assert (figure.validation.x, figure.validation.y) == ([1], [2.5])


def test_lines_have_a_point_for_each_step(work):
    many = plots.Points(list(range(1, 41)), [3 + (-1) ** n / n for n in range(1, 41)])
    few = plots.Points([20, 40], [3.1, 3.0])
    plots.write_training(plots.TrainingFigure("t", many, few, many, 1.4), "a.svg")
    assert lines((work / "a.svg").read_bytes())[0] == 40


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_averages_keep_ends_and_stay_within(values):
    found = plots.averaged(values)
    assert len(found) == len(values)
    assert found[0] == pytest.approx(values[0])
    assert found[-1] == pytest.approx(values[-1])
    assert all(min(values) - 1e-9 <= value <= max(values) + 1e-9 for value in found)


def test_averages_of_a_straight_line_are_the_line():
    assert plots.averaged(list(range(100))) == pytest.approx(list(range(100)))


def test_what_cannot_be_drawn_is_told_before_training(fails, write, monkeypatch):
    text = write("text.txt", TEXT)
    assert ".png" in fails(2, *TRAIN, text, "-o", "x.lm", "--plot", "a.gif").stderr
    fails(2, *TRAIN, text, "-o", "a.svg", "--plot", "a.svg")
    fails(74, *TRAIN, text, "-o", "x.lm", "--plot", "nowhere/a.svg")
    named = write("text.svg", TEXT)
    fails(2, *TRAIN, named, "-o", "x.lm", "--plot", "text.svg")
    assert named.read_bytes() == TEXT
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert "matplotlib" in fails(69, *TRAIN, text, "-o", "x.lm", "--plot", "a.png").stderr
