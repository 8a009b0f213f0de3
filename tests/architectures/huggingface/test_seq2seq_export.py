"""Encoder-decoders as folders that transformers loads: its numbers are ours, and the folder gives the model back."""

import numpy as np
import pytest
from seq2seq_folders import torch, transformers
from tiny_seq2seq import settings_of, tiny_rnn, tiny_transformer, weights_of

from lmkit import registry
from lmkit.architectures.huggingface import seq2seq_export
from lmkit.checkpoint import serialize
from lmkit.errors import CheckpointError
from lmkit.io.folders import Folder, write_folder

CLASSES = {
    "t5": "T5ForConditionalGeneration", "t5-1.1": "T5ForConditionalGeneration", "marian": "MarianMTModel",
    "bart": "BartForConditionalGeneration", "shared-stacks": "T5ForConditionalGeneration",
}  # fmt: skip


@pytest.mark.parametrize("form", CLASSES)
def test_transformers_loads_what_is_written(form, work):
    model = tiny_transformer(form)
    write_folder("folder", seq2seq_export.write(model.weights))
    kind = getattr(transformers, CLASSES[form])
    theirs, report = kind.from_pretrained("folder", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    text = b"the witch slap" if model.settings.shared else b"la bruja verde"
    source = model.source_ids(text)
    inputs = torch.tensor([[model.form.start, 3, 4, 5]])
    with torch.inference_mode():
        logits = theirs.eval()(torch.from_numpy(source.astype(np.int64))[None], decoder_input_ids=inputs).logits[0]
    logs = torch.log_softmax(logits, dim=-1).numpy()
    given = model.given(source)
    state = given.start()
    for row, token in zip(logs, (3, 4, 5, 2), strict=True):
        np.testing.assert_allclose(given.next(state), row, atol=1e-4)
        state = given.advance(state, token)
    if model.settings.shared:
        tokenizer = transformers.AutoTokenizer.from_pretrained("folder")
        assert tokenizer(text.decode()).input_ids == source.tolist()
    again = registry.load_folder(Folder("folder"), "folder")
    assert again.form == model.form
    assert again.weights.source_form == model.weights.source_form
    assert again.source_ids(text).tolist() == source.tolist()
    if form != "shared-stacks":
        assert again.settings == model.settings
        assert all(np.array_equal(array, again.weights.tensors[key]) for key, array in model.weights.tensors.items())


@pytest.mark.parametrize(
    ("form", "changes", "said"),
    [
        ("fast", {}, "norm pre: with sinusoidal positions transformers has post"),
        ("none", {}, "no positions"),
        ("t5", {"shared": False}, "shared False"),
        ("t5", {"bias": True}, "bias True"),
        ("t5", {"activation": "geglu"}, "activation geglu: T5's are relu"),
        ("marian", {"activation": "swiglu"}, "activation swiglu: marian's has no gate"),
    ],
)
def test_what_transformers_lacks_is_refused(form, changes, said):
    with pytest.raises(CheckpointError, match=said):
        seq2seq_export.write(tiny_transformer(form, **changes).weights)
    with pytest.raises(CheckpointError, match="of kind seq2seq-rnn"):
        seq2seq_export.write(tiny_rnn().weights)


def test_convert_writes_and_reads_folders(lmkit, write):
    weights = weights_of(settings_of("seq2seq-transformer", positions="relative", scaled_queries=False, shared=True))
    write("mt.lm", b"".join(map(bytes, serialize(weights.to_checkpoint({})))))
    assert lmkit("convert", "mt.lm", "-o", "folder").status == 0
    assert lmkit("convert", "folder", "-o", "again.lm").status == 0
    kinds = [lmkit("info", name, "--json").records[0] for name in ("mt.lm", "folder", "again.lm")]
    assert {one["kind"] for one in kinds} == {"seq2seq-transformer"}
    assert len({one["parameters"] for one in kinds}) == 1
