"""Folders of BERT and its kin: the numbers of transformers, in numpy and in torch."""

import json

import numpy as np
import pytest
from encoder_folders import FAMILIES, save, torch

from lmkit import registry
from lmkit.errors import CheckpointError
from lmkit.io.folders import Folder
from lmkit.nn import factory

ATOL = 1e-4


def sequences(settings):
    """Ids, segments and lengths of sequences with specials around; one longer than a local window."""
    rng = np.random.default_rng(3)
    lengths = [4, 20, 9]
    ids = [np.concatenate(([2], rng.integers(5, 34, length - 2), [3])) for length in lengths]
    segments = [np.arange(length) >= length // 2 for length in lengths]
    both = np.concatenate(ids).astype(np.int32), np.concatenate(segments).astype(np.int32)
    return (*both, lengths)


def answers(model, ids, segments, lengths):
    """Hidden states and all logits of transformers, of one sequence after another, without padding."""
    hidden, logits = [], []
    begin = 0
    two = getattr(model.config, "type_vocab_size", 1) > 1
    for length in lengths:
        some = slice(begin, begin + length)
        inputs = {"input_ids": torch.from_numpy(ids[some].astype(np.int64))[None]}
        if two:
            inputs["token_type_ids"] = torch.from_numpy(segments[some].astype(np.int64))[None]
        with torch.inference_mode():
            said = model(**inputs, output_hidden_states=True)
            body = getattr(model, model.base_model_prefix, model)
            hidden.append(body(**inputs).last_hidden_state[0].numpy())
        logits.append(said)
        begin += length
    return np.concatenate(hidden), logits


@pytest.mark.few(3)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_answers_as_transformers_does(family, tmp_path):
    theirs = save(tmp_path, family)
    ours = registry.load_folder(Folder(str(tmp_path)), "folder")
    ids, segments, lengths = sequences(ours.settings)
    hidden, said = answers(theirs, ids, segments, lengths)
    found = ours.hidden_states(ids, segments, lengths)
    np.testing.assert_allclose(found, hidden, atol=ATOL)
    network = factory.loaded(ours.weights).eval()
    with torch.inference_mode():
        packed = network.hidden(*(torch.from_numpy(one.astype(np.int64)) for one in (ids, segments)), lengths=lengths)
    np.testing.assert_allclose(packed.numpy(), hidden, atol=ATOL)
    firsts = hidden[np.cumsum(lengths) - lengths]
    if ours.settings.task.startswith("mlm"):
        key = "prediction_logits" if hasattr(said[0], "prediction_logits") else "logits"
        logits = np.concatenate([one[key][0].numpy() for one in said])
        nats = torch.log_softmax(torch.from_numpy(logits), dim=-1).numpy()[:, : ours.tokenizer.size]
        np.testing.assert_allclose(ours.log_probabilities(found), nats, atol=ATOL)
        with torch.inference_mode():
            np.testing.assert_allclose(network.mlm_logits(packed).numpy(), logits, atol=ATOL)
    if ours.settings.task == "mlm+pair":
        pairs = np.concatenate([one.seq_relationship_logits.numpy() for one in said])
        np.testing.assert_allclose(ours.pair_logits(ours.pooled(firsts)), pairs[:, ::-1], atol=ATOL)
    if ours.settings.task == "discriminator":
        logits = np.concatenate([one.logits[0].numpy() for one in said])
        np.testing.assert_allclose(ours.discriminator_logits(found), logits, atol=ATOL)


def test_tasks_are_those_of_the_tensors(tmp_path):
    tasks = {}
    for family in FAMILIES:
        (tmp_path / family).mkdir()
        save(tmp_path / family, family)
        settings = registry.weights_in(Folder(str(tmp_path / family)), "folder").settings
        tasks[family] = (settings.task, settings.tied)
    assert tasks == {
        "bert": ("mlm+pair", True), "bert-body": ("none", True), "bert-mlm": ("mlm", True),
        "distilbert": ("mlm", True), "roberta": ("mlm", True), "xlm-r": ("mlm", True),
        "electra": ("discriminator", True), "electra-generator": ("mlm", True), "modernbert": ("mlm", True),
        "untied": ("mlm", False),
    }  # fmt: skip


def test_old_names_and_vocab_txt_are_read(tmp_path):
    from safetensors.torch import load_file, save_file
    from tiny_encoders import PIECES

    save(tmp_path, "bert")
    before = registry.load_folder(Folder(str(tmp_path)), "folder")
    tensors = load_file(tmp_path / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    renamed["bert.embeddings.position_ids"] = torch.arange(32)[None]
    renamed["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    save_file(renamed, tmp_path / "model.safetensors")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    after = registry.load_folder(Folder(str(tmp_path)), "folder")
    text = b"The cats, sat on the tired mat."
    assert after.tokenizer.encode(text).tolist() == before.tokenizer.encode(text).tolist()
    assert after.form == before.form
    assert after.settings == before.settings
    assert all(np.array_equal(array, after.weights.tensors[name]) for name, array in before.weights.tensors.items())


@pytest.mark.parametrize(
    ("family", "changes", "error"),
    [
        ("bert", {"hidden_act": "tanh"}, "activation 'tanh' is not one"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ("bert", {"is_decoder": True}, "is_decoder True"),
        ("bert", {"num_attention_heads": 3}, "3 heads do not share"),
        ("bert", {"hidden_size": "wide"}, "hidden_size is 'wide'"),
        (
            "bert",
            {"architectures": ["AlbertModel"], "model_type": "albert"},
            "architecture 'AlbertModel' is not one of",
        ),
        ("modernbert", {"layer_types": ["sliding_attention"] * 4}, "layer_types has no regular pattern"),
        ("modernbert", {"mlp_bias": True}, "attention_bias False"),
        ("roberta", {"hidden_act": "relu"}, "its body has relu and its head gelu"),
    ],
)
def test_what_cannot_be_run_exactly_is_refused(family, changes, error, tmp_path):
    save(tmp_path, family)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(CheckpointError, match=error):
        registry.load_folder(Folder(str(tmp_path)), "folder")


def modules(folder, mode="mean", *more):
    kinds = ["Transformer", "Pooling", *more]
    paths = dict(zip(kinds, ["", "1_Pooling", "2_Normalize"], strict=False))
    listed = [
        {"idx": n, "type": f"sentence_transformers.models.{kind}", "path": paths[kind]} for n, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    said = {"pooling_mode_mean_tokens": mode == "mean", "pooling_mode_cls_token": mode == "cls",
            "pooling_mode_weightedmean_tokens": mode == "weighted"}  # fmt: skip
    (folder / "1_Pooling/config.json").write_text(json.dumps(said))


def test_modules_of_sentences_are_read(tmp_path):
    save(tmp_path, "bert-body")
    modules(tmp_path, "cls", "Normalize")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    pooling = registry.weights_in(Folder(str(tmp_path)), "folder").pooling
    assert (pooling.mode, pooling.normalize, pooling.limit) == ("cls", True, 16)
    modules(tmp_path)
    assert registry.weights_in(Folder(str(tmp_path)), "folder").pooling.normalize is False
    modules(tmp_path, "weighted")
    with pytest.raises(CheckpointError, match="pooling by pooling_mode_weightedmean_tokens"):
        registry.weights_in(Folder(str(tmp_path)), "folder")
    (tmp_path / "modules.json").write_text('[{"type": "a.Transformer", "path": ""}]')
    with pytest.raises(CheckpointError, match="modules Transformer, lmkit runs"):
        registry.weights_in(Folder(str(tmp_path)), "folder")
