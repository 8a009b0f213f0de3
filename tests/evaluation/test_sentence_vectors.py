"""Vectors of texts under an encoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_encoders import PIECES, tiny_encoder

from lmkit.evaluation.sentence_vectors import TRUNCATE, WINDOW, SentencePooling, TooLong, sentence_vectors
from lmkit.inference.encoder import EncoderModel

MODEL = EncoderModel(tiny_encoder())
WORDS = [piece.encode() for piece in PIECES[7:27]]


def vectors(lines, *, batch_tokens=64, model=MODEL, **pooling):
    ids, ends = model.tokenizer.encode_block(b"".join(line + b"\n" for line in lines))
    return sentence_vectors(model, ids, ends, SentencePooling(**pooling), batch_tokens)


@pytest.mark.parametrize("mode", ["mean", "max", "cls"])
def test_a_vector_is_pooled_of_all_states(mode):
    (found,) = vectors([b"the cat sat"], mode=mode)
    ids, segments = MODEL.form.single(MODEL.tokenizer.encode(b"the cat sat"))
    states = MODEL.hidden_states(ids, segments, [len(ids)])
    wanted = {"mean": states.mean(axis=0), "max": states.max(axis=0), "cls": states[0]}[mode]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    (unit,) = vectors([b"the cat sat"], mode=mode, normalize=True)
    np.testing.assert_allclose(unit, wanted / np.linalg.norm(wanted), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(b" ".join), min_size=1, max_size=9), st.integers(1, 99)
)
def test_a_vector_does_not_depend_on_the_texts_beside_it(lines, batch_tokens):
    together = vectors(lines, batch_tokens=batch_tokens)
    for line, vector in zip(lines, together, strict=True):
        (alone,) = vectors([line])
        assert (vector is None) is (not line)
        if vector is not None:
            np.testing.assert_allclose(vector, alone, atol=1e-6)


def test_texts_too_long_are_refused_cut_or_read_in_windows():
    long = b"the cat sat on the mat " * 8
    with pytest.raises(TooLong, match="50 tokens with the special ones, the model takes 32") as caught:
        vectors([b"a", long])
    assert caught.value.line == 2
    beginning = b" ".join(long.split()[:30])
    cut, alone = vectors([long], long=TRUNCATE)[0], vectors([beginning])[0]
    np.testing.assert_allclose(cut, alone, atol=1e-6)
    rest = b" ".join(long.split()[30:])
    windows, second = vectors([long], long=WINDOW)[0], vectors([rest])[0]
    np.testing.assert_allclose(windows, (32 * alone + 20 * second) / 52, atol=1e-5)
    with pytest.raises(TooLong, match="the model takes 16"):
        vectors([beginning], limit=16)
