"""What an encoder says of places of a text."""

import numpy as np
import pytest
from tiny_encoders import tiny_encoder

from lmkit.errors import DataError
from lmkit.evaluation import masked_places
from lmkit.evaluation.sentence_vectors import TooLong
from lmkit.inference.encoder import EncoderModel

LINES = b"the cat sat on the mat.\n\nthe dog ran\nit was too wide\n"


@pytest.fixture(params=["bert", "ours"])
def model(request):
    return EncoderModel(tiny_encoder(request.param))


def test_pseudo_likelihood_is_the_sum_over_masked_copies(model):
    found = list(masked_places.pseudo_lines(model, LINES))
    assert [line.text for line in found] == LINES[:-1].split(b"\n")
    for line in found:
        by_hand = []
        for place, token in enumerate(line.ids.tolist()):
            copy = line.ids.copy()
            copy[place] = model.form.mask
            ids, segments = model.form.single(copy)
            hidden = model.hidden_states(ids, segments, [len(ids)])
            by_hand.append(model.log_probabilities(hidden[place + 1 : place + 2])[0, token])
        np.testing.assert_allclose(line.nats, by_hand, atol=1e-4)
    totals = masked_places.pseudo_totals(model, LINES)
    assert totals.tokens == sum(len(line.ids) for line in found)
    assert totals.nats == pytest.approx(sum(line.total for line in found), abs=1e-3)
    assert totals.bytes == len(LINES) - 4


def test_batches_change_nothing(model):
    ids, ends = model.tokenizer.encode_block(LINES)
    few = masked_places.pseudo_nats(model, ids, ends, batch_tokens=1)
    np.testing.assert_allclose(few, masked_places.pseudo_nats(model, ids, ends), atol=1e-5)


def test_a_text_too_long_is_named_by_its_number(model):
    ids, ends = model.tokenizer.encode_block(b"a\n" + b"a b c " * 20 + b"\n")
    with pytest.raises(TooLong, match="62 tokens with the special ones, the model takes 32") as caught:
        masked_places.pseudo_nats(model, ids, ends)
    assert caught.value.line == 2


def test_fills_are_sorted_and_a_window_lies_around_its_mask(model):
    tokenizer = model.tokenizer.with_specials()
    one = masked_places.masked_text(model, tokenizer.encode(b"the [MASK] sat on [MASK] ."))
    assert [text.places.tolist() for text in one] == [[2, 5]]
    filled = masked_places.fill(model, one, 40)
    assert len(filled) == 2
    assert sum(np.exp(each.nats) for each in filled[0]) == pytest.approx(1, abs=1e-4)
    assert [each.nats for each in filled[0]] == sorted((each.nats for each in filled[0]), reverse=True)
    ids = tokenizer.encode(b"a " * 50 + b"[MASK] " + b"b " * 50 + b"[MASK]")
    several = masked_places.masked_text(model, ids, window=True)
    assert [len(text.ids) for text in several] == [32, 32]
    assert all(text.ids[text.places[0]] == model.form.mask for text in several)
    with pytest.raises(TooLong):
        masked_places.masked_text(model, ids)
    with pytest.raises(DataError, match="no mask"):
        masked_places.masked_text(model, tokenizer.encode(b"a b"))
