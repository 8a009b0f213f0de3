"""States of texts that grow by turns: the numbers of a fresh run, for the tokens that are new."""

import numpy as np
import pytest
from random_weights import random_weights

from lmkit import registry
from lmkit.generation.prompt_encoding import state_after
from lmkit.generation.state_reuse import CHUNK, StateReuse
from lmkit.inference.transformer import TransformerModel


@pytest.fixture(params=["ffn.lm", "lstm.lm", "char-witten-bell.lm", "transformer"])
def model(request, shelf):
    if request.param == "transformer":  # with room for the text
        tokenizer = registry.load(shelf["char-witten-bell.lm"].read_bytes(), "characters").tokenizer
        shape = {"layers": 2, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 12, "context": 32}
        return TransformerModel(random_weights("transformer", tokenizer, **shape))
    return registry.load(shelf[request.param].read_bytes(), request.param)


def test_a_text_that_grows_runs_what_is_new(model):
    """Also where its end changed, and where nothing of it is the same; a state that was given stays good."""
    ids = np.random.default_rng(1).integers(3, 20, 14).astype(np.int32)
    texts = [ids[:5], ids[:9], ids[:12], np.append(ids[:9], ids[3]), ids, ids[::-1].copy()]
    reuse = StateReuse(model)
    given = []
    for text, run in zip(texts, [5, 4, 3, 1, 5, 14], strict=True):
        given.append(reuse.after(text))
        assert reuse.run == run
    for text, state in zip(texts, given, strict=True):
        assert model.next(state) == pytest.approx(model.next(state_after(model, text)), abs=1e-5)


def test_work_can_be_ended_between_chunks(shelf):
    model = registry.load(shelf["lstm.lm"].read_bytes(), "lstm")
    ids = np.tile(np.arange(3, 13, dtype=np.int32), CHUNK)
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    reuse = StateReuse(model, stop)
    with pytest.raises(KeyboardInterrupt):
        reuse.after(ids)
    stop = calls.append
    assert reuse.after(ids[: 2 * CHUNK]) is not None
    assert reuse.run == 0
