"""Classifiers, regressors and taggers of transformers: its logits are ours, and what we write is what it reads."""

import json
from dataclasses import replace

import encoder_folders
import numpy as np
import pytest
from encoder_folders import torch, transformers
from tiny_encoders import tiny_encoder

from lmkit import registry
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.huggingface import encoder_export
from lmkit.errors import CheckpointError
from lmkit.inference.fine_tuned import model_of
from lmkit.io.folders import Folder, write_folder

TEXT = "the cat sat on a mat"
SEQUENCE, TOKENS = "SequenceClassification", "TokenClassification"


def save(folder, family, kind, labels, monkeypatch):
    pooling = {"classifier_pooling": "mean"} if family.endswith("-mean") else {}
    name, settings = encoder_folders.FAMILIES[family.removesuffix("-mean")]
    settings = {**settings, **pooling}
    named = {number: f"L{number}" for number in range(labels)}
    headed = (name.partition("For")[0] + "For" + kind, {**settings, "id2label": named})
    monkeypatch.setitem(encoder_folders.FAMILIES, "headed", headed)
    return encoder_folders.save(folder, "headed")


def logits_of(model):
    """Numbers of the head of ours for TEXT, and the sequence."""
    if model.head.task == "tag":
        item = model._format.words(TEXT.split())
        return model._headed(model._states(item)), item
    item = model._format.item((TEXT, "it ran"))
    return model._headed(model._pooled(model._states(item))), item


def theirs_of(model, item):
    inputs = {"input_ids": torch.from_numpy(item.ids.astype(np.int64))[None]}
    if getattr(model.config, "type_vocab_size", 1) > 1:
        inputs["token_type_ids"] = torch.from_numpy(item.segments.astype(np.int64))[None]
    with torch.inference_mode():
        return model.eval()(**inputs).logits[0].numpy()


@pytest.mark.few(6)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra", "modernbert", "modernbert-mean"])
@pytest.mark.parametrize(("kind", "labels"), [(SEQUENCE, 3), (SEQUENCE, 1), (TOKENS, 4)])
def test_a_folder_answers_as_transformers_does(family, kind, labels, work, monkeypatch):
    theirs = save(work, family, kind, labels, monkeypatch)
    ours = registry.load_folder(Folder(str(work)), "folder")
    assert ours.head.task == ("tag" if kind == TOKENS else "classify" if labels > 1 else "regress")
    found, item = logits_of(ours)
    np.testing.assert_allclose(found, theirs_of(theirs, item), atol=1e-4)
    write_folder("again", encoder_export.write_fine_tuned(ours.weights))
    again = getattr(transformers, f"AutoModelFor{kind}").from_pretrained("again")
    assert type(again) is type(theirs)
    np.testing.assert_allclose(theirs_of(again, item), found, atol=1e-4)
    assert registry.load_folder(Folder("again"), "again").head == ours.head
    assert registry.weights_in(Folder("again"), "again").digest  # and the body, to be tuned further


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "BertForSequenceClassification"),
        ({"pooler": False}, "BertForSequenceClassification"),
        ({"pooler": False, "embedding": 8}, "ElectraForSequenceClassification"),
        ({"pooler": False, "segments": 0}, "DistilBertForSequenceClassification"),
        ({"segments": 1}, "RobertaForSequenceClassification"),
        ({"segments": 1, "pooler": False}, "RobertaForSequenceClassification"),
    ],
)
def test_heads_of_ours_as_folders(changes, name, work):
    weights = headed(tiny_encoder("bert", **{"task": "none", **changes}))
    found, item = logits_of(model_of(weights))
    write_folder("folder", encoder_export.write_fine_tuned(weights))
    theirs, report = transformers.AutoModelForSequenceClassification.from_pretrained("folder", output_loading_info=True)
    assert type(theirs).__name__ == name
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    np.testing.assert_allclose(theirs_of(theirs, item), found, atol=1e-4)


def headed(encoder, labels=("a", "b", "c"), **settings):
    body, rng = body_of(encoder), np.random.default_rng(5)
    head = TaskHead(task="classify", width=body.settings.width, labels=labels, **{"pooling": "cls", **settings})
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in head.shapes().items()}
    return FineTunedWeights(body, head, tensors)


def test_what_transformers_lacks_is_refused():
    bert = tiny_encoder("bert", task="none")
    for weights, said in (
        (headed(bert, pooling="mean"), "pools by mean"),
        (headed(tiny_encoder("modern", task="none")), "ModernBERT's has a layer with"),
        (headed(replace(bert), dense="relu"), "a layer with relu"),
        (headed(tiny_encoder("electra", task="none"), labels=tuple("abcdefghi")), "9 labels, of which"),
    ):
        with pytest.raises(CheckpointError, match=said):
            encoder_export.write_fine_tuned(weights)


def test_damaged_heads_are_named(work, monkeypatch):
    save(work, "bert", SEQUENCE, 3, monkeypatch)
    config = json.loads((work / "config.json").read_text())
    for change, said in (
        ({"id2label": {"0": "a"}}, "has 1 labels, its classifier 3"),
        ({"id2label": {"0": "a", "1": "a", "2": "b"}}, "the same name"),
        ({"id2label": {"x": "a"}}, "does not name"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
    ):
        (work / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=said):
            registry.load_folder(Folder(str(work)), "folder")
