"""`lmkit calc`."""

import json
import math
import sys

import numpy as np
import pytest

from lmkit.generation import log_softmax


def answers(done):
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.lines]


def test_softmax(lmkit, write):
    (found,) = answers(lmkit("calc", "softmax", "[1, 2, 3]"))
    assert found == pytest.approx([0.09003057, 0.24472847, 0.66524096], abs=5e-9)
    (sharp,) = answers(lmkit("calc", "softmax", "-t", "0.5", "[1, 2, 3]"))
    assert sharp == pytest.approx([math.exp(2 * n) / sum(math.exp(2 * m) for m in (1, 2, 3)) for n in (1, 2, 3)])
    assert answers(lmkit("calc", "softmax", "-t", "0", "[1, 3, 3]")) == [[0, 1, 0]]
    assert answers(lmkit("calc", "softmax", "[1e4, -Infinity, 1e4]")) == [[0.5, 0, 0.5]]
    lines = lmkit("calc", "softmax", write("x", b"[1, 2, 3]\n[0]\n"))
    assert answers(lines) == [found, [1.0]]


def test_softmax_is_the_one_that_models_use():
    logits = np.array([0.1, -3.0, 700.0, 701.5])
    assert log_softmax.softmax(logits).tolist() == np.exp(log_softmax.normalise(logits)).tolist()


def test_cross_entropy(lmkit):
    text = b'{"p": [0.5, 0.5], "q": [0.75, 0.25]}\n{"logits": [1, 2, 3], "target": 2}\n{"p": [1, 0], "q": [0, 1]}\n'
    bits = 2 - math.log2(3) / 2
    nats = answers(lmkit("calc", "cross-entropy", stdin=text))
    assert nats == pytest.approx([bits * math.log(2), 0.40760596, math.inf])
    assert answers(lmkit("calc", "cross-entropy", "--unit", "bits", stdin=text)) == pytest.approx(
        [bits, 0.40760596 / math.log(2), math.inf]
    )


def test_entropy(lmkit):
    assert answers(lmkit("calc", "entropy", stdin=b"[0.5, 0.5]\n[1, 0]\n[0.5, 0.25, 0.25]")) == [1.0, 0.0, 1.5]
    assert lmkit("calc", "entropy", "[1]").text == "0.0\n"
    assert answers(lmkit("calc", "entropy", "--unit", "nats", "[0.5, 0.5]")) == pytest.approx([math.log(2)])


def test_perplexity(lmkit):
    assert answers(lmkit("calc", "perplexity", "--probabilities", "[0.5, 0.125]", "[1]", "[0]")) == pytest.approx(
        [4, 1, math.inf]
    )
    assert answers(lmkit("calc", "perplexity", f"[{math.log(0.5)}, {math.log(0.125)}]")) == pytest.approx([4])
    assert answers(lmkit("calc", "perplexity", "[-1e6]")) == [math.inf]


@pytest.mark.few(10)
@pytest.mark.parametrize("verb", ["softmax", "cross-entropy", "entropy", "perplexity"])
@pytest.mark.parametrize(
    "text",
    ["", "\n", "[", "x", "[]", "[1, 'a']", '["a"]', "[true]", "[null]", "[[0.5, 0.5]]", "{}", '{"p": [1]}', "3",
     "[NaN]", "[" * 100_000, f"[1{'0' * 5000}]", f"[1{'0' * 400}]", '{"p": [1], "q": [0.5, 0.5]}',
     '{"logits": [1], "target": 1}', '{"logits": [1], "target": true}', '{"logits": [1, Infinity], "target": 0}',
     '{"logits": [], "target": 0}'],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_no_input(verb, text, fails):
    """One line that names the place."""
    done = fails(3, "calc", verb, stdin=text.encode())
    assert done.stdout == b""
    assert "<stdin>:1: " in done.stderr or text == ""


@pytest.mark.parametrize(
    ("verb", "text"),
    [("entropy", "[0.5, 0.4]"), ("entropy", "[1.5, -0.5]"), ("perplexity", "[0.1]"), ("perplexity", "[1, 2]"),
     ("softmax", "[1e999]"), ("softmax", "[-Infinity]"), ("cross-entropy", '{"p": [0.5], "q": [1]}')],
)  # fmt: skip
def test_numbers_out_of_range(verb, text, fails):
    assert "argument: " in fails(3, "calc", verb, text).stderr


def test_the_largest_numbers(lmkit, fails):
    assert answers(lmkit("calc", "perplexity", "[-1e308, -1e308]")) == [math.inf]
    text = '{"logits": [1e308, -1e308], "target": %d}'
    assert answers(lmkit("calc", "cross-entropy", text % 0, text % 1)) == [0, math.inf]
    assert answers(lmkit("calc", "softmax", "[1e308, -1e308]")) == [[1, 0]]
    assert "argument: the probabilities sum to inf" in fails(3, "calc", "entropy", "[1e308, 1e308]").stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        (f"[1{'0' * 5000}]", f"a number of more than {sys.get_int_max_str_digits()} digits"),
    ],
    ids=["nested", "long"],
)
def test_json_that_is_too_much(text, message, fails):
    assert fails(3, "calc", "entropy", stdin=text.encode()).stderr.endswith(f"<stdin>:1: {message}\n")


def test_answers_before_an_error_stand(lmkit):
    done = lmkit("calc", "entropy", stdin=b"[1]\n[2]\n")
    assert (done.status, done.stdout) == (3, b"0.0\n")
    assert "<stdin>:2: " in done.stderr
