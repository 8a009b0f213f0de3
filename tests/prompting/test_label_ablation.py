"""The same prompts with right labels, random, flipped ones and none."""

import numpy as np
import pytest
from bigrams import BigramModel, bigram, tokenizer_of
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.metrics.bootstrap import Sampling
from lmkit.prompting.candidate_scoring import best, score
from lmkit.prompting.examples import Example
from lmkit.prompting.label_ablation import ARMS, outcome, relabelled, trials
from lmkit.prompting.layout import Layout

EXAMPLES = [Example(f"text {number}", label, number=number) for number, label in enumerate("abcabcab", 1)]


def test_labels_are_flipped_to_the_next_of_the_set():
    flipped = relabelled(EXAMPLES, "flipped", 0)
    assert [example.output for example in flipped] == list("bcabcabc")


def test_one_label_cannot_be_flipped():
    with pytest.raises(DataError, match="all examples have the same label"):
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
    assert same.difference == (0.0, None, None, 1.0)


class Copying(BigramModel):
    """A model that learns from its prompt: it gives an item the label last shown for the same kind (big, small)."""

    kind = "copying"
    SURE = 0.9

    def start(self):
        return (), None, None  # labels shown by kind, the kind at hand, the token before

    def advance(self, state, token):
        shown, kind, before = state
        piece = self.tokenizer.piece(token)
        if before == b"=>" and kind is not None:
            shown = (*((other, label) for other, label in shown if other != kind), (kind, token))
        return shown, piece if piece in (b"big", b"small") else kind, piece

    def next(self, state):
        shown, kind, before = state
        labels = [int(self.tokenizer.encode(label)[0]) for label in (b"a", b"b")]
        odds = np.full(self.tokenizer.size, 1e-9)
        odds[labels] = 0.5
        known = dict(shown).get(kind)
        if before == b"=>" and known is not None:
            odds[labels] = 1 - self.SURE
            odds[known] = self.SURE
        return np.log(odds / odds.sum())

    def score_many(self, ids, ends):
        nats = []
        for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            state = self.start()
            for token in ids[begin:end].tolist():
                nats.append(self.next(state)[token])
                state = self.advance(state, token)
        return np.array(nats)


def accuracies(model, arms=ARMS, count=6):
    kinds = ("big", "small")
    examples = [Example(f"{kinds[number % 2]} {number}", "ab"[number % 2]) for number in range(6)]
    items = [Example(f"{kinds[number % 2]} {number}", "ab"[number % 2]) for number in range(10, 12)]
    right = {arm: [] for arm in arms}
    layout = Layout(sep=" => ", example_sep=" . ")
    for trial in trials(examples, items, layout, arms=arms, counts=[count], seeds=range(10)):
        (scored,) = score(model, [trial.question(("a", "b"))])
        right[trial.arm].append("ab"[best(scored.nats)] == trial.item.output)
    return {arm: np.mean(found) for arm, found in right.items()}


WORDS = ["big", "small", "=>", ".", "a", "b", *map(str, range(18))]


def test_a_model_that_copies_shown_labels_is_right_by_right_ones_and_wrong_by_flipped_ones():
    found = accuracies(Copying(tokenizer_of("word", WORDS), TextFormat("stream", 1, 2), None))
    assert found["gold"] == 1.0
    assert found["flipped"] == 0.0
    assert abs(found["random"] - 0.5) < 4 * (0.25 / 20) ** 0.5  # 10 seeds, two kinds each, that are right or wrong
    assert found["none"] == 0.5  # it has seen no label, and the first wins


def test_a_model_that_ignores_labels_is_right_as_often_in_all_arms():
    found = accuracies(bigram(tokenizer_of("word", WORDS), "stream", 1))
    assert len(set(found.values())) == 1
    assert found == accuracies(bigram(tokenizer_of("word", WORDS), "stream", 1), count=1)
