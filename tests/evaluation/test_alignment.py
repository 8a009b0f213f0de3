"""Alignment of a source and a target, given or generated."""

import numpy as np
import pytest
from rounding import assert_close
from tiny_seq2seq import SOURCE, TARGET, tiny_rnn

from lmkit.errors import CheckpointError, DataError
from lmkit.evaluation.alignment import align


def test_rows_are_those_of_the_model():
    model = tiny_rnn("general")
    found = align(model, "llegó la bruja".encode(), b"the green witch")
    assert (found.source, found.target) == (["llegó", "la", "bruja", "</s>"], ["the", "green", "witch", "</s>"])
    assert found.scores == 16
    assert_close(found.weights.sum(axis=-1), np.ones((1, 1, 4)))
    ids = np.append(TARGET.encode(b"the green witch"), TARGET.specials["eos"])
    assert (found.weights == model.alignment(model.source_ids("llegó la bruja".encode()), ids)).all()
    alone = align(model, b"", b"")
    assert (alone.source, alone.target, alone.weights.tolist()) == (["</s>"], ["</s>"], [[[[1.0]]]])


def test_a_target_is_generated_greedily():
    model = tiny_rnn("dot", seed=3)
    found = align(model, SOURCE.decode([4, 5]))
    state = model.given(model.source_ids(SOURCE.decode([4, 5]))).start()
    for token in found.target[:5]:
        best = int(np.argmax(model.next(state)))
        assert TARGET.piece(best).decode() == token
        state = model.advance(state, best)


def test_what_cannot_be_aligned():
    with pytest.raises(CheckpointError, match="no attention"):
        align(tiny_rnn("fixed"), b"la", b"the")
    with pytest.raises(DataError, match="several lines"):
        align(tiny_rnn(), b"la", b"the\nthe")
