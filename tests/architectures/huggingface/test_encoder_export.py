"""Encoders as folders that transformers loads: its numbers are ours, and the folder gives the encoder back."""

from dataclasses import replace

import numpy as np
import pytest
from encoder_folders import torch, transformers
from tiny_encoders import BERT, tiny_encoder

from lmkit import registry
from lmkit.architectures.encoder_model import Pooling
from lmkit.architectures.huggingface import encoder_export
from lmkit.errors import CheckpointError
from lmkit.inference.encoder import EncoderModel
from lmkit.io.folders import Folder, write_folder

SHAPES = {
    "BertForPreTraining": ("bert", {}),
    "BertModel": ("bert", {"task": "none"}),
    "BertForMaskedLM": ("bert", {"task": "mlm", "pooler": False, "tied": False}),
    "RobertaForMaskedLM": ("bert", {"task": "mlm", "pooler": False, "segments": 1}),
    "DistilBertForMaskedLM": ("bert", {"task": "mlm", "pooler": False, "segments": 0, "norm_epsilon": 1e-12}),
    "ElectraForPreTraining": ("electra", {}),
    "ElectraForMaskedLM": ("electra", {"task": "mlm"}),
    "ModernBertForMaskedLM": ("modern", {}),
    "ModernBertModel": ("modern", {"task": "none", "activation": "swiglu", "bias": True, "norm_bias": True}),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", SHAPES)
def test_transformers_loads_what_is_written(name, work):
    shape, changes = SHAPES[name]
    weights = tiny_encoder(shape, **changes)
    write_folder("folder", encoder_export.write(weights))
    kind = getattr(transformers, name)
    theirs, report = kind.from_pretrained("folder", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokenizer = transformers.AutoTokenizer.from_pretrained("folder")
    ids = tokenizer("The cat sat on the mat, it was too wide.", return_tensors="pt").input_ids
    own, segments = weights.form.single(weights.tokenizer.encode(b"The cat sat on the mat, it was too wide."))
    assert ids[0].tolist() == own.tolist()
    with torch.inference_mode():
        body = getattr(theirs.eval(), theirs.base_model_prefix, theirs)
        hidden = body(ids).last_hidden_state[0].numpy()
        logits = theirs(ids)
    model = EncoderModel(weights)
    found = model.hidden_states(own, segments, [len(own)])
    np.testing.assert_allclose(found, hidden, atol=1e-4)
    if weights.settings.task.startswith("mlm"):
        said = logits[0][0]
        np.testing.assert_allclose(
            model.log_probabilities(found), torch.log_softmax(said, dim=-1).numpy(), atol=1e-4
        )  # fmt: skip
    again = registry.weights_in(Folder("folder"), "folder")
    assert again.settings == weights.settings
    assert again.form.cls == weights.form.cls
    assert all(np.array_equal(array, again.tensors[key]) for key, array in weights.tensors.items())


def test_pooling_of_sentences_is_written(work):
    weights = replace(tiny_encoder(task="none"), pooling=Pooling("cls", True, 20))
    write_folder("folder", encoder_export.write(weights))
    assert registry.weights_in(Folder("folder"), "folder").pooling == weights.pooling


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        ("ours", {}, "normalisation rmsnorm"),
        ("bert", {"positions": "none"}, "positions 'none'"),
        ("bert", {"norm": "pre"}, "norm pre: with learned positions transformers has post"),
        ("modern", {"activation": "gelu"}, "activation gelu: ModernBERT's has a gate"),
    ],
)
def test_what_transformers_lacks_is_refused(shape, changes, said):
    with pytest.raises(CheckpointError, match=said):
        encoder_export.write(tiny_encoder(shape, **changes))


def test_convert_writes_and_reads_folders(lmkit, write):
    from tiny_encoders import encoder_file

    assert BERT["task"] == "mlm+pair"
    write("enc.lm", encoder_file())
    assert lmkit("convert", "enc.lm", "-o", "folder").status == 0
    assert lmkit("convert", "folder", "-o", "again.lm").status == 0
    asked = ("fill", "the [MASK] sat", "--json", "-m")
    answers = [lmkit(*asked, name).stdout for name in ("enc.lm", "folder", "again.lm")]
    assert answers[0] == answers[1] == answers[2] != b""
    assert (
        lmkit("info", "folder", "--json").records[0]["parameters"]
        == lmkit("info", "enc.lm", "--json").records[0]["parameters"]
    )
