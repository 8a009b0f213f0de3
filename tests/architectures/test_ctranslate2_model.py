"""Encoder-decoders for CTranslate2, which gives them the same log-probabilities."""

import numpy as np
import pytest
from tiny_seq2seq import TRANSFORMERS, tiny_rnn, tiny_transformer

from lmkit.checkpoint import serialize
from lmkit.errors import CheckpointError

ctranslate2 = pytest.importorskip("ctranslate2")


@pytest.mark.parametrize("form", [form for form in TRANSFORMERS if form not in ("none", "t5-1.1")])
def test_scores_are_those_of_ctranslate2(form, lmkit, write, work):
    model = tiny_transformer(form)
    write("mt.lm", b"".join(map(bytes, serialize(model.to_checkpoint({})))))
    assert lmkit("convert", "mt.lm", "--to", "ctranslate2", "-o", "folder").status == 0
    theirs = ctranslate2.Translator("folder", compute_type="float32", inter_threads=1, intra_threads=1)
    text = b"the witch slap did" if model.settings.shared else b"la bruja verde no"
    source = [model.source_tokenizer.written(token).decode() for token in model.source_tokenizer.encode(text)]
    target = np.array([3, 4, 5, 6, model.form.newline_id], dtype=np.int32)
    scored = theirs.score_batch([source], [[model.tokenizer.written(token).decode() for token in target[:-1]]])[0]
    np.testing.assert_allclose(model.score_pairs([model.source_ids(text)], [target])[0], scored.log_probs, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "said"), [(tiny_transformer("none"), "no positions"), (tiny_rnn(), "of kind seq2seq-rnn")]
)
def test_what_ctranslate2_lacks_is_refused(model, said):
    from lmkit.architectures.ctranslate2_model import specification

    with pytest.raises(CheckpointError, match=said):
        specification(model.weights)
