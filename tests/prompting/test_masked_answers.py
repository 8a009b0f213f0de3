"""Answers by an encoder."""

import numpy as np
import pytest
from tiny_encoders import tiny_encoder

from lmkit.errors import DataError
from lmkit.inference.encoder import EncoderModel
from lmkit.prompting.answer_scorer import Normalization
from lmkit.prompting.masked_answers import MaskedAnswerScorer
from lmkit.prompting.multiple_choice import Question

MODEL = EncoderModel(tiny_encoder())


def scores(question, norm="none", window=False):
    scorer = MaskedAnswerScorer(MODEL, Normalization(norm, (norm,)), MODEL.tokenizer, window=window)
    return scorer.scores([(question, None)])[0][norm]


def by_hand(before, pieces, after):
    """The chain: of each piece the nats at its mask, those before it filled in."""
    total = 0.0
    for done in range(len(pieces)):
        filled = [*pieces[:done], *[MODEL.form.mask] * (len(pieces) - done)]
        ids, segments = MODEL.form.single(np.array([*before, *filled, *after], dtype=np.int32))
        hidden = MODEL.hidden_states(ids, segments, [len(ids)])[[1 + len(before) + done]]
        total += float(MODEL.log_probabilities(hidden)[0, pieces[done]])
    return total


def test_candidates_are_scored_by_the_chain_over_their_pieces():
    encode = MODEL.tokenizer.encode
    question = Question("the cat was too", ("tired", "wide", "crossing"), " ", " because it ran.")
    before, after = encode(b"the cat was too").tolist(), encode(b"because it ran.").tolist()
    pieces = [encode(one.encode()).tolist() for one in question.candidates]
    assert [len(some) for some in pieces] == [1, 1, 2]
    wanted = [by_hand(before, some, after) for some in pieces]
    assert scores(question) == pytest.approx(wanted, abs=1e-4)
    halves = scores(question, "tokens")
    assert halves == pytest.approx([wanted[0], wanted[1], wanted[2] / 2], abs=1e-4)
    assert scores(question, "chars")[0] == pytest.approx(wanted[0] / 5, abs=1e-4)


def test_a_question_too_long_needs_a_window():
    question = Question("a " * 40, ("tired",), "", " b" * 40, "stdin:1")
    with pytest.raises(DataError, match="stdin:1: prompt with answer of 83 tokens exceeds the model's context of 32"):
        scores(question)
    assert np.isfinite(scores(question, window=True)).all()
