"""Training curves as pictures."""

import importlib.util
import json

import pytest

from lmkit.io.figures import files

pytest.importorskip("matplotlib")

TEXT = b"the cat sat on the mat\nthe dog sat on the log\na bird sang in the tree\n" * 40
TRAIN = ("train", "ffn", "--width", 8, "--hidden", 8, "--threads", 1, "--quiet")
SIZE = {"png": b"\x89PNG\r\n", "svg": b"<?xml"}


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
    monkeypatch.setattr(files, "write", lambda name, figure: drawn.append(figure))
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
    loss, rate = figure.panels
    each, _, validation = loss.marks
    assert (each.x, each.y) == ([1, 2], [3.0, 2.0])
    assert rate.marks[0].y == [0.1, 0.2]
    assert (validation.x, validation.y) == ([1], [2.5])


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
