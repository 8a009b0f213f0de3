"""`lmkit calc`: the formulas of neural models."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def asked(lmkit, *arguments):
    done = lmkit("calc", *(word if isinstance(word, str) else json.dumps(word) for word in arguments))
    assert done.status == 0, done.stderr
    (found,) = (json.loads(line) for line in done.lines)
    return found


def near(numbers):
    return pytest.approx(np.array(numbers), abs=1e-6)


# Recurrent cells.

STEP = {"x": [1, -1], "h": [0.5, 0.5], "w_ih": [[0.5, 0], [0, 0.5]], "w_hh": [[0.1, 0.2], [0.3, 0.4]]}


def test_a_step_of_the_course(lmkit):
    found = asked(lmkit, "rnn-step", {**STEP, "b_ih": [0.1, -0.1], "w_ho": [[1, 0], [0, 1], [1, 1]]})
    assert np.array(found["h"]) == near([0.6351490, -0.2449187])
    assert np.array(found["y"]) == near([0.4550578, 0.1887374, 0.3562048])


def test_a_step_without_bias_is_the_product_by_hand(lmkit):
    assert asked(lmkit, "rnn-step", STEP)["h"] == pytest.approx([math.tanh(0.65), math.tanh(-0.15)])
    first = {key: value for key, value in STEP.items() if key != "h"}
    assert asked(lmkit, "rnn-step", first)["h"] == pytest.approx([math.tanh(0.5), math.tanh(-0.5)])


def logistic(x):
    return 1 / (1 + math.exp(-x))


def test_a_step_of_an_lstm(lmkit):
    value = {"x": [2], "h": [0.5], "c": [-0.3], "w_ih": [[0.1], [0.2], [0.3], [0.4]], "w_hh": [[1], [2], [3], [4]],
             "b_ih": [0.1, 0.2, 0.3, 0.4], "b_hh": [0, 0.1, 0, -1]}  # fmt: skip
    i, f, g, o = 0.2 + 0.5 + 0.1, 0.4 + 1 + 0.3, 0.6 + 1.5 + 0.3, 0.8 + 2 - 0.6
    cell = logistic(f) * -0.3 + logistic(i) * math.tanh(g)
    found = asked(lmkit, "lstm-step", value)
    assert found["c"] == pytest.approx([cell])
    assert found["h"] == pytest.approx([logistic(o) * math.tanh(cell)])
    del value["c"]
    assert asked(lmkit, "lstm-step", value)["c"] == pytest.approx([logistic(i) * math.tanh(g)])


def test_a_step_of_a_gru(lmkit):
    value = {"x": [2], "h": [0.5], "w_ih": [[0.1], [0.2], [0.3]], "w_hh": [[1], [2], [3]],
             "b_ih": [0.1, 0.2, 0.3], "b_hh": [0, 0.1, -1]}  # fmt: skip
    reset, keep = logistic(0.2 + 0.5 + 0.1), logistic(0.4 + 1 + 0.3)
    new = math.tanh(0.6 + 0.3 + reset * (1.5 - 1))
    assert asked(lmkit, "gru-step", value)["h"] == pytest.approx([(1 - keep) * new + keep * 0.5])


# Attention.

KEYS = [[1, 0], [0, 1], [1, 1]]
LUONG = {"q": [1, 2], "k": KEYS}


@pytest.mark.parametrize(
    ("score", "weights"), [("scaled", [0.401112, 0.197776, 0.401112]), ("dot", [0.422319, 0.155362, 0.422319])]
)
def test_attention_of_the_course(score, weights, lmkit):
    found = asked(lmkit, "attention", "--score", score, {"q": [1, 0], "k": KEYS, "v": [[1, 2], [3, 4], [5, 6]]})
    assert np.array(found["weights"]) == near([weights])
    assert np.array(found["output"]) == near([[3, 4]])


@pytest.mark.parametrize(
    ("score", "more", "scores", "weights", "output"),
    [
        ("dot", {}, [1, 2, 3], [0.090031, 0.244728, 0.665241], [0.755272, 0.909969]),
        ("general", {"w_a": [[2, 0], [0, 1]]}, [2, 2, 4], [0.106507, 0.106507, 0.786986], [0.893493, 0.893493]),
        ("concat", {"w_a": [[1, 0, 0, 0], [0, 0, 1, 0]], "v_a": [1, -1]}, [0, 0.761594, 0],
         [0.241447, 0.517105, 0.241447], [0.482895, 0.758553]),
    ],
)  # fmt: skip
def test_scores_of_luong(score, more, scores, weights, output, lmkit):
    found = asked(lmkit, "attention", "--score", score, {**LUONG, **more})
    assert np.array(found["scores"]) == near([scores])
    assert np.array(found["weights"]) == near([weights])
    assert np.array(found["output"]) == near([output])


def test_general_scores_multiply_the_query_from_the_left(lmkit):
    found = asked(
        lmkit, "attention", "--score", "general", {"q": [1, 2], "k": [[1, 0, 5]], "w_a": [[0, 1, 3], [0, 0, 1]]}
    )
    assert found["scores"] == [[25]]


def test_a_large_scale_looks_up(lmkit):
    value = {"q": KEYS[1], "k": [[1, 0], [0, 1]], "v": [[1, 2], [3, 4]]}
    assert np.array(asked(lmkit, "attention", "--scale", "1e4", value)["output"]) == near([[3, 4]])
    value["q"] = [0, 1e4]
    assert np.array(asked(lmkit, "attention", "--score", "dot", value)["output"]) == near([[3, 4]])


@given(st.integers(1, 5), st.integers(0, 3), st.sampled_from(["scaled", "dot", "general"]), st.integers(0, 99))
def test_weights_under_a_mask(lmkit, queries, more, score, seed):
    draw = np.random.default_rng(seed).normal
    keys = queries + more
    value = {
        "q": draw(size=(queries, 3)).tolist(),
        "k": draw(size=(keys, 3)).tolist(),
        "v": draw(size=(keys, 2)).tolist(),
    }
    if score == "general":
        value["w_a"] = draw(size=(3, 3)).tolist()
    found = asked(lmkit, "attention", "--causal", "--score", score, value)
    weights = np.array(found["weights"])
    assert weights.sum(axis=1) == pytest.approx(np.ones(queries))
    assert (weights[np.arange(keys) > np.arange(queries)[:, None] + more] == 0).all()
    assert weights @ np.array(value["v"]) == pytest.approx(np.array(found["output"]))


# Norms and positions.


def test_layernorm_divides_by_the_root_of_the_variance(lmkit):
    assert np.array(asked(lmkit, "layernorm", [1, 2, 3, 4])) == near([-1.3416354, -0.4472118, 0.4472118, 1.3416354])
    scaled = asked(lmkit, "layernorm", "--epsilon", "0", {"x": [1, 3], "weight": [2, 3], "bias": [10, 20]})
    assert scaled == [8, 23]
    root = math.sqrt(12.5)
    found = asked(lmkit, "layernorm", "--normalisation", "rmsnorm", "--epsilon", "0", {"x": [3, 4], "weight": [1, 2]})
    assert found == pytest.approx([3 / root, 8 / root])


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("vaswani", [0.841471, 0.540302, 0.010000, 0.999950]), ("slide", [0.010000, 0.999950, 0.000100, 1.000000])],
)
def test_positions(variant, expected, lmkit):
    assert np.array(asked(lmkit, "posenc", "--d", 4, "--pos", 1, "--variant", variant)) == near(expected)


def test_an_odd_number_of_dimensions(lmkit):
    slow = 10000 ** (-2 / 3)
    found = asked(lmkit, "posenc", "--dimensions", 3, "--position", 1)
    assert found == pytest.approx([math.sin(1), math.cos(1), math.sin(slow)])


# What makes no sense.


@pytest.mark.parametrize(
    ("verb", "value", "told"),
    [
        ("rnn-step", [1], "expected an object of x, w_ih, w_hh"),
        ("rnn-step", {"x": [1]}, "'w_ih' is missing"),
        ("rnn-step", {**STEP, "b": [1, 2]}, "'b' is unknown"),
        ("rnn-step", {**STEP, "h": [1]}, "h has 1 numbers, expected 2"),
        ("rnn-step", {**STEP, "w_ih": [[1], [2]]}, "w_ih has 2 by 1 numbers, expected 2 by 2"),
        ("rnn-step", {**STEP, "w_hh": [[1, 2]]}, "w_hh has 1 by 2 numbers, expected 2 by 2"),
        ("rnn-step", {**STEP, "w_ho": [[1]]}, "w_ho has 1 by 1 numbers, expected any by 2"),
        ("rnn-step", {**STEP, "w_ih": [[1, 2], [3]]}, "w_ih: rows of different lengths"),
        ("rnn-step", {**STEP, "x": ["a", 1]}, "x: \"a\" is not a number"),
        ("rnn-step", {**STEP, "x": [math.inf, 1]}, "too large"),
        ("lstm-step", STEP, "w_hh has 2 by 2 numbers, expected 8 by 2"),
        ("gru-step", {**STEP, "c": [1, 1]}, "'c' is unknown"),
        ("attention", LUONG | {"v": [[1]]}, "k has 3 rows, v 1"),
        ("attention", {"q": [1], "k": KEYS}, "k has 2 numbers, expected 1"),
        ("attention", {"q": [], "k": KEYS}, "q: expected an array of arrays"),
        ("attention", {"q": [1e308], "k": [[1e308]]}, "too large"),
        ("layernorm", {"x": [1, 2], "weight": [1]}, "weight has 1 numbers, expected 2"),
        ("layernorm", [1e308, -1e308, math.inf], "too large"),
        ("layernorm", "[" * 100_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_values_that_make_no_sense(verb, value, told, fails):
    text = value if isinstance(value, str) else json.dumps(value)
    done = fails(3, "calc", verb, stdin=text.encode())
    assert done.stderr.startswith(f"lmkit calc {verb}: <stdin>:1: ")
    assert told in done.stderr


def test_a_query_that_sees_no_key(fails):
    value = json.dumps({"q": [[1], [2]], "k": [[1]]})
    assert "the first query would see no key" in fails(3, "calc", "attention", "--causal", value).stderr


@pytest.mark.parametrize(
    "arguments",
    [["--position", 1], ["--dimensions", 0, "--position", 1], ["--dimensions", 4, "--position", -1],
     ["--dimensions", 4, "--position", 1, "--variant", "x"], ["--dimensions", 4, "--position", 1 << 60]],
)  # fmt: skip
def test_positions_that_make_no_sense(arguments, fails):
    fails(2, "calc", "posenc", *arguments)
