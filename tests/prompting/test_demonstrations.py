"""Tests of: demonstrations.py, prompt_records.py. The examples that prompts show, and the records of prompts."""

import numpy as np
import pytest

from lmkit.errors import DataError
from lmkit.prompting.demonstrations import DemonstrationSelector, Selection
from lmkit.prompting.examples import Example
from lmkit.prompting.layout import Layout
from lmkit.prompting.prompt_records import PromptRecords
from lmkit.prompting.token_budget import Budget

SHOTS = [Example(text, label, number=number) for number, (text, label) in enumerate(
    [("red car", "A"), ("blue sky", "B"), ("red sun", "A"), ("Red  car", "A")], 1,
)]  # fmt: skip


def selector(said=None, **selection):
    return DemonstrationSelector(Selection(**selection), SHOTS, "shots", [].append if said is None else said.append)


def names(found):
    return [example.number for example in found]


def test_examples_that_come_twice_are_left_out():
    said = []
    assert names(selector(said, count=3).chosen(Example("x"))) == [1, 2, 3]
    assert said == ["shots: 1 example repeats an earlier one, left out"]


@pytest.mark.parametrize(("select", "expected"), [("similar", [3, 1]), ("fixed", [2, 1])])
def test_examples_are_chosen_as_asked_for(select, expected):
    chosen = selector(count=2, select=select, names=("2", "1") if select == "fixed" else ())
    assert names(chosen.chosen(Example("a red sun is up"))) == expected


def test_vectors_are_opened_when_they_are_compared():
    def vectors():
        return lambda text: np.array([float("sky" in text), 1.0])

    assert names(selector(count=1, select="similar", open_vectors=vectors).chosen(Example("the sky"))) == [2]


def test_too_few_examples_and_names_that_are_none_are_refused():
    with pytest.raises(DataError, match=r"^shots: too few examples: expected 4, got 3$"):
        selector(count=4)
    with pytest.raises(DataError, match=r"^shots: .* expected 3, .* differ from f:9$"):
        selector(count=3).chosen(Example("red car", place="f:9"))
    with pytest.raises(DataError, match=r"^shots: no example with the id '7'$"):
        selector(count=None, select="fixed", names=["7"])


def test_a_record_says_what_its_prompt_shows():
    records = PromptRecords(Layout(), selector(count=1, arrange="reversed"), None, SHOTS)
    item = Example("x", "B", number=9, record={"more": 1, "prompt": "old"})
    assert records.record(item) == {
        "id": 9, "prompt": "red car => A\nx =>", "joint": " ", "gold": "B", "input": "x", "shots": [1],
        "labels": ["A", "B"], "more": 1,
    }  # fmt: skip
    assert "shots" not in PromptRecords(Layout(), None, None).record(item)


def test_a_budget_drops_examples_and_names_items_without_room():
    records = PromptRecords(Layout(), selector(count=2), Budget(20, len))
    assert records.record(Example("x"))["dropped"] == 1
    assert records.kept == {(1, 2): 1}
    with pytest.raises(DataError, match=r"^f:1: the prompt has 33 tokens"):
        records.record(Example("x" * 30, place="f:1"))
