"""Measures of predicted labels: equal to scikit-learn's, and to figures worked out by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as learned

from lmkit.metrics import classification

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=1, max_size=40)


def sides(pairs):
    return [list(side) for side in zip(*pairs, strict=True)]


def figures(gold, predicted):
    return classification.values(classification.cells(gold, predicted))


@settings(max_examples=40)
@given(PAIRS)
def test_measures_are_those_of_scikit_learn(pairs):
    gold, predicted = sides(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": learned.accuracy_score(gold, predicted),
            "macro_f1": learned.f1_score(gold, predicted, average="macro", zero_division=0),
            "micro_f1": learned.f1_score(gold, predicted, average="micro", zero_division=0),
            "matthews": learned.matthews_corrcoef(gold, predicted),
        }
        labels = sorted({*gold, *predicted})
        columns = learned.precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
        table = learned.confusion_matrix(gold, predicted, labels=labels)
    found = classification.cells(gold, predicted)
    assert figures(gold, predicted) == pytest.approx(expected, abs=1e-12)
    assert found.labels == tuple(labels)
    assert found.table.tolist() == table.tolist()
    for label, one, *row in zip(labels, classification.classes(found), *columns, strict=True):
        assert one.label == label
        assert (one.precision, one.recall, one.f1, one.support) == pytest.approx(tuple(row), abs=1e-12)


def test_matthews_of_two_classes_by_its_formula():
    gold = ["y"] * 6 + ["n"] * 4
    predicted = ["y"] * 5 + ["n"] * 4 + ["y"]  # TP 5, FN 1, TN 3, FP 1
    assert figures(gold, predicted)["matthews"] == pytest.approx((5 * 3 - 1 * 1) / np.sqrt(6 * 6 * 4 * 4))


def test_what_is_zero_by_zero_is_named():
    found = classification.cells(["a", "a"], ["a", "b"])
    assert figures(["a", "a"], ["a", "b"])["matthews"] == 0
    assert classification.undefined(found) == [
        "the recall of 'b', which is never right",
        "Matthews' correlation, since every gold label is the same",
    ]
    assert classification.undefined(classification.cells(["a", "b"], ["a", "a"])) == [
        "the precision of 'b', which is never predicted",
        "Matthews' correlation, since every prediction is the same",
    ]
    assert classification.undefined(classification.cells(["a", "b"], ["b", "a"])) == []


@given(PAIRS, st.integers(0, 5))
def test_counts_of_cells_stand_for_items(pairs, seed):
    """A sample given as counts of cells has the measures of its items written out."""
    gold, predicted = sides(pairs)
    found = classification.cells(gold, predicted)
    counts = np.random.default_rng(seed).integers(0, 4, size=(2, len(found.counts)))
    counts[:, 0] += 1
    measures = classification.measured(found, counts)
    for place, row in enumerate(counts):
        right = [found.labels[label] for label in np.repeat(found.gold, row)]
        guessed = [found.labels[label] for label in np.repeat(found.predicted, row)]
        written = figures(right, guessed)
        assert {name: value[place] for name, value in measures.items()} == pytest.approx(written, abs=1e-12)


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1, max_size=30))
def test_systems_together_are_as_each_alone(triples):
    gold, *systems = sides(triples)
    found = classification.together(gold, systems)
    assert found[0].counts.sum() == len(triples)
    assert found[0].counts.tolist() == found[1].counts.tolist()
    for one, predicted in zip(found, systems, strict=True):
        assert classification.values(one) == pytest.approx(figures(gold, predicted))
    alone = [sum(a == g != b for g, a, b in triples), sum(b == g != a for g, a, b in triples)]
    assert list(classification.alone_right(*found)) == alone


def test_a_label_that_is_asked_about():
    found = classification.cells(["y", "y", "n"], ["y", "n", "n"], ["y"])
    assert classification.values(found, "y") == pytest.approx(
        {**figures(["y", "y", "n"], ["y", "n", "n"]), "precision": 1, "recall": 0.5, "f1": 2 / 3}
    )
    absent = classification.cells(["y", "n"], ["y", "n"], ["z"])
    assert classification.values(absent, "z") == {
        "accuracy": 1, "macro_f1": 1, "micro_f1": 1, "matthews": 1, "precision": 0, "recall": 0, "f1": 0,
    }  # fmt: skip
    assert "the F1 of 'z', which is neither" in classification.undefined(absent)
