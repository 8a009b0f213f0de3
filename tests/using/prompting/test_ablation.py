"""The same prompts with right labels, random, flipped ones and none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.using.metrics.bootstrap import Sampling
from lmkit.using.prompting.ablation import ARMS, outcome, relabelled, trials
from lmkit.using.prompting.examples import Example
from lmkit.using.prompting.layout import Layout

EXAMPLES = [Example(f"text {number}", label, number=number) for number, label in enumerate("abcabcab", 1)]


def test_labels_are_flipped_to_the_next_of_the_set():
    flipped = relabelled(EXAMPLES, "flipped", 0)
    assert [example.output for example in flipped] == list("bcabcabc")


def test_one_label_cannot_be_flipped():
    with pytest.raises(DataError, match="1 label in all examples"):
        relabelled([Example("one", "a")], "flipped", 0)


def test_random_labels_hang_on_the_seed_alone_and_are_spread_evenly():
    many = [Example(str(number), "ab"[number % 2], number=number) for number in range(4000)]
    drawn = [example.output for example in relabelled(many, "random", 3)]
    assert drawn == [example.output for example in relabelled(many, "random", 3)]
    assert drawn != [example.output for example in relabelled(many, "random", 4)]
    right = sum(output == example.output for output, example in zip(drawn, many, strict=True))
    assert abs(right - 2000) < 4 * (4000 * 0.25) ** 0.5  # 4 standard deviations of a fair coin


@given(st.integers(0, 99), st.sets(st.integers(0, 5), min_size=1))
def test_arms_of_a_trial_differ_in_labels_alone(seed, counts):
    items = [Example("text 2", "b"), Example("another", "a")]
    layout = Layout("Label:", " -> ")
    found = list(trials(EXAMPLES, items, layout, arms=ARMS, counts=sorted(counts), seeds=[seed]))
    assert len(found) == len(ARMS) * len(counts) * len(items)
    shown = {}
    for trial in found:
        assert len(trial.shots) == trial.count
        assert all(shot.input != trial.item.input for shot in trial.shots)
        shown.setdefault((trial.count, trial.item.input), []).append([shot.input for shot in trial.shots])
        if trial.arm == "none":
            assert trial.laid.text.count("->") == 1
    assert all(inputs == several[0] for several in shown.values() for inputs in several)


def test_arms_without_examples_are_the_same_prompt():
    found = trials(EXAMPLES, [Example("x", "a")], Layout(), arms=ARMS, counts=[0], seeds=[0, 1])
    assert len({trial.laid for trial in found}) == 1


def test_outcomes_are_means_over_seeds_and_items():
    gold = np.array([[True, True, False, True], [True, False, False, True]])
    flipped = ~gold
    found = outcome("flipped", 2, flipped, gold, Sampling(0, 200, 0.95))
    assert (found.seeds, found.items) == (2, 4)
    assert found.accuracy.value == pytest.approx(3 / 8)
    assert found.by_seed == (0.25, 0.5)
    assert found.difference.value == pytest.approx(3 / 8 - 5 / 8)
    assert found.accuracy.low <= 3 / 8 <= found.accuracy.high
    same = outcome("random", 2, gold, gold, Sampling(0, 200, 0.95))
    assert same.difference[:3] == (0.0, 0.0, 0.0)
