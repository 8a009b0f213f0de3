"""`lmkit calc sgns` and `w2v-softmax`."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.word_vectors import exact_losses

COURSE = {"v_c": [1, 0], "u_o": [2, 0], "negatives": [[1, 1], [-1, 0]]}


def asked(lmkit, *arguments):
    done = lmkit("calc", *(word if isinstance(word, str) else json.dumps(word) for word in arguments))
    assert done.status == 0, done.stderr
    (found,) = (json.loads(line) for line in done.lines)
    return found


def s(x):
    return 1 / (1 + math.exp(-x))


def slopes(function, array):
    """Gradient by central differences."""
    found = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        step = np.zeros_like(array)
        step[place] = 1e-5
        found[place] = (function(array + step) - function(array - step)) / 2e-5
    return found


def test_negative_sampling_of_the_course(lmkit):
    found = asked(lmkit, "sgns", COURSE)
    assert found["nats"] == pytest.approx(1.7534514, abs=1e-7)
    assert found["nats"] == pytest.approx(-math.log(s(2)) - math.log(s(-1)) - math.log(s(1)))
    assert found["gradients"]["v_c"] == pytest.approx([2 * (s(2) - 1) + s(1) - s(-1), s(1)])
    assert found["gradients"]["u_o"] == pytest.approx([s(2) - 1, 0])
    assert np.array(found["gradients"]["negatives"]) == pytest.approx(np.array([[s(1), 0], [s(-1), 0]]))


NUMBER = st.integers(-30, 30).map(lambda n: n / 10)


@given(st.lists(st.lists(NUMBER, min_size=3, max_size=3), min_size=2, max_size=5))
def test_gradients_of_negative_sampling_are_slopes(rows):
    centre, context, *negatives = np.array(rows)
    negatives = np.array(negatives).reshape(-1, 3)
    found = exact_losses.negative_sampling(centre, context, negatives)

    def nats(centre=centre, context=context, negatives=negatives):
        return exact_losses.negative_sampling(centre, context, negatives).nats

    assert found.centre == pytest.approx(slopes(lambda x: nats(centre=x), centre), abs=1e-6)
    assert found.context == pytest.approx(slopes(lambda x: nats(context=x), context), abs=1e-6)
    assert found.negatives == pytest.approx(slopes(lambda x: nats(negatives=x), negatives), abs=1e-6)


def test_softmax_over_two_words(lmkit):
    """The text 0 1 1 has, a word on either side, the pairs (0, 1), (1, 0), (1, 1) and (1, 1)."""
    value = {"v": [[1], [2]], "u": [[3], [-1]], "text": [0, 1, 1]}
    found = asked(lmkit, "w2v-softmax", "--window", "1", value)
    near, far = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(-8))
    assert np.array(found["probabilities"]) == pytest.approx(np.array([[near, 1 - near], [far, 1 - far]]))
    assert found["nats"] == pytest.approx(-(math.log(1 - near) + math.log(far) + 2 * math.log(1 - far)) / 3)
    short = asked(lmkit, "w2v-softmax", {"v": [1, 0], "u": [[1, 0], [0, 1]]})
    assert short == {"probabilities": [[pytest.approx(s(1)), pytest.approx(s(-1))]]}


@given(
    vectors=st.lists(st.lists(NUMBER, min_size=4, max_size=4), min_size=1, max_size=4),
    data=st.data(),
    window=st.integers(1, 4),
)
def test_a_text_costs_what_each_of_its_pairs_does(vectors, data, window):
    rows = np.array(vectors)
    centres, contexts = rows[:, :2], rows[:, 2:]
    ids = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6)))
    found = exact_losses.softmax_loss(centres, contexts, ids, window)
    raised = np.exp(contexts @ centres.T)
    probabilities = (raised / raised.sum(axis=0)).T
    assert np.exp(exact_losses.log_probabilities(centres, contexts)) == pytest.approx(probabilities)
    total = 0.0
    for t, centre in enumerate(ids):
        for j in range(-window, window + 1):
            if j and 0 <= t + j < len(ids):
                total -= math.log(probabilities[centre, ids[t + j]])
    assert found.nats == pytest.approx(total / len(ids), abs=1e-12)

    def nats(centres=centres, contexts=contexts):
        return exact_losses.softmax_loss(centres, contexts, ids, window).nats

    assert found.centres == pytest.approx(slopes(lambda x: nats(centres=x), centres), abs=1e-6)
    assert found.contexts == pytest.approx(slopes(lambda x: nats(contexts=x), contexts), abs=1e-6)


@pytest.mark.parametrize(
    ("command", "value", "said"),
    [
        ("sgns", {"v_c": [1], "u_o": [1]}, "'negatives' is missing"),
        ("sgns", {**COURSE, "u_o": [1]}, "u_o has 1 numbers, expected 2"),
        ("sgns", {**COURSE, "negatives": [[1]]}, "negatives has 1 numbers, expected 2"),
        ("sgns", {**COURSE, "v_j": [1, 0]}, "'v_j' is unknown"),
        ("sgns", [1], "expected an object of v_c"),
        ("w2v-softmax", {"v": [1], "u": [[1, 2]]}, "u has 2 numbers, expected 1"),
        ("w2v-softmax", {"v": [1], "u": [[1], [2]], "text": [0]}, "v has 1 rows, u 2"),
        ("w2v-softmax", {"v": [1], "u": [1], "text": [0.5]}, "whole numbers from 0 to 0"),
        ("w2v-softmax", {"v": [1], "u": [1], "text": [1]}, "whole numbers from 0 to 0"),
    ],
)
def test_what_does_not_fit_together(command, value, said, fails):
    assert said in fails(3, "calc", command, json.dumps(value)).stderr
