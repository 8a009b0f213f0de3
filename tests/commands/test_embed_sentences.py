"""`lmkit embed` with an encoder."""

import io

import numpy as np
import pytest
from tiny_encoders import encoder_file

LINES = b"the cat sat on the mat\n\nthe dog ran\nit was too wide, it was\n"


@pytest.fixture
def model(write):
    write("enc.lm", encoder_file())


def vectors(done):
    assert done.status == 0, done.stderr
    return [None if r["vector"] is None else np.array(r["vector"]) for r in done.records]


def test_lines_have_vectors_in_their_order(lmkit, model):
    found = vectors(lmkit("embed", "-m", "enc.lm", "--json", stdin=LINES))
    assert [one is None for one in found] == [False, True, False, False]
    (alone,) = vectors(lmkit("embed", "-m", "enc.lm", "--json", stdin=b"the dog ran"))
    np.testing.assert_allclose(found[2], alone, atol=1e-6)
    unit = vectors(lmkit("embed", "-m", "enc.lm", "--json", "--normalize", stdin=LINES))
    assert np.linalg.norm(unit[0]) == pytest.approx(1, abs=1e-6)
    first = vectors(lmkit("embed", "-m", "enc.lm", "--json", "--pool", "cls", stdin=LINES))
    assert np.abs(first[0] - found[0]).max() > 1e-3


def test_an_array_has_a_row_for_each_line(lmkit, model):
    pytest.importorskip("torch")
    many = LINES * 400  # more than numpy reads: torch answers
    done = lmkit("embed", "-m", "enc.lm", "--as", "npy", stdin=many)
    array = np.load(io.BytesIO(done.stdout))
    assert array.shape == (1600, 16)
    few = np.load(io.BytesIO(lmkit("embed", "-m", "enc.lm", "--as", "npy", stdin=LINES).stdout))
    assert not few[1].any()
    np.testing.assert_allclose(array, np.tile(few, (400, 1)), atol=2e-5)


def test_tokens_have_vectors_of_their_own_in_context(lmkit, model):
    text = b"it was too tired\nit was too wide\n"
    asked = ("embed", "-m", "enc.lm", "--token", "it", "--json")
    one, other = vectors(lmkit(*asked, "--contextual", stdin=text))
    assert np.abs(one - other).max() > 1e-3
    one, other = vectors(lmkit(*asked, "--static", stdin=text))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ((), 3, "line 2: 42 tokens with the special ones, the model takes 32"),
        (("--each", "token"), 3, "line 2: enc.lm: 42 tokens"),
        (("--truncate", "--window"), 2, "exclude each other"),
        (("--pool", "last"), 2, "--pool last is for models that read from left to right"),
        (("--as", "npy", "--json"), 2, "--as npy cannot be combined with --json"),
        (("--static", "--window"), 2, "--window is for lines under an encoder"),
    ],
)
def test_bad_input(fails, model, options, status, said):
    done = fails(status, "embed", "-m", "enc.lm", *options, stdin=b"a\n" + b"a " * 40 + b"\n")
    assert said in done.stderr


def test_long_lines_where_asked(lmkit, model):
    long = b"a " * 4000
    for option in ("--truncate", "--window"):
        (found,) = vectors(lmkit("embed", "-m", "enc.lm", "--json", option, stdin=long))
        assert np.isfinite(found).all()


def test_attention_reaches_both_ways(lmkit, fails, model):
    (found,) = lmkit("attention", "-m", "enc.lm", "--text", "the cat sat", "--json").records
    assert found["tokens"] == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    assert np.array(found["weights"]).shape == (3, 4, 5, 5)
    assert np.array(found["weights"])[0, 0, 0, 4] > 0
    fails(3, "attention", "-m", "enc.lm", "--text", "a " * 40)
