"""Adapters as folders of peft: the same model again, and peft's own logits where it is installed."""

import json
from dataclasses import replace

import encoder_folders
import numpy as np
import pytest
import random_models
from random_weights import random_weights
from tiny_encoders import tiny_encoder
from tiny_models import SMALL

from lmkit import registry
from lmkit.architectures.adapters import Adapter, AdapterWeights
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.huggingface import peft_adapters
from lmkit.errors import CheckpointError
from lmkit.inference.fine_tuned import model_of
from lmkit.io.folders import Folder, write_folder

GPT2 = {
    "positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all", "norm_epsilon": 1e-5,
}  # fmt: skip
TARGETS = ("k_proj", "o_proj", "q_proj", "up_proj")


def random_adapter(body, *, rank=3, targets=TARGETS, head=None):
    adapter, rng = Adapter(rank=rank, alpha=5.0, targets=targets), np.random.default_rng(2)
    shapes = adapter.shapes(body.settings) | ({} if head is None else head.shapes())
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return AdapterWeights(adapter, body.digest, tensors, "", head)


def transformer_weights(shape):
    tokenizer = random_models.tokenizer("llama")
    settings = {**SMALL["transformer"], **(GPT2 if shape == "gpt2" else {"kv_heads": 1})}
    return random_weights("transformer", tokenizer, **settings)


def head_on(body, task="classify"):
    return TaskHead(task=task, width=body.settings.width, labels=("a", "b", "c"), pooling="cls")


@pytest.mark.parametrize("shape", ["bert", "modern", "gpt2", "llama"])
def test_a_folder_gives_the_adapter_back(shape, work):
    body = replace(weights_of(shape), digest="d" * 64)
    adapter, kind = random_adapter(body), peft_adapters.kind_of(body)
    write_folder("folder", peft_adapters.write(adapter, body, kind, "base"))
    again = peft_adapters.read(Folder("folder"), body, kind)
    assert again.parent == adapter.parent
    merged, other = adapter.merged_into(body).tensors, again.merged_into(body).tensors
    for name, array in merged.items():
        np.testing.assert_allclose(other[name], array, atol=1e-5)
    with pytest.raises(CheckpointError, match="dddddddd, got the model eeeeeeee"):
        again.merged_into(replace(body, digest="e" * 64))


def weights_of(shape):
    if shape in ("bert", "modern"):
        return tiny_encoder(shape, task="none")
    return transformer_weights(shape)


def test_heads_come_along(work):
    for changes in ({}, {"pooler": False}, {"pooler": False, "segments": 0}):
        body = body_of(tiny_encoder("bert", task="none", **changes))
        adapter, kind = random_adapter(body, head=head_on(body)), peft_adapters.kind_of(body)
        write_folder(kind + str(len(changes)), peft_adapters.write(adapter, body, kind, "base"))
        again = peft_adapters.read(Folder(kind + str(len(changes))), body, kind)
        assert again.head.labels == ("a", "b", "c")
        chances = [
            model_of(FineTunedWeights(one.merged_into(body), one.head, one.head_tensors())).label_probabilities(
                [("the cat sat",)]
            )
            for one in (adapter, again)
        ]
        np.testing.assert_allclose(chances[1], chances[0], atol=1e-5)


def test_what_is_refused_is_named(work):
    body = body_of(tiny_encoder("bert", task="none"))
    write_folder("folder", peft_adapters.write(random_adapter(body), body, "bert", "base"))
    config = json.loads((work / "folder/adapter_config.json").read_text())
    for change, said in (
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"lora_alpha": "x"}, "an alpha of 'x'"),
    ):
        (work / "folder/adapter_config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=said):
            peft_adapters.read(Folder("folder"), body, "bert")
    (work / "folder/adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="is no matrix of the model"):
        peft_adapters.read(Folder("folder"), transformer_weights("llama"), "LlamaForCausalLM")
    wide = tiny_encoder("bert", task="none", width=32)
    with pytest.raises(CheckpointError, match="in the model"):
        peft_adapters.read(Folder("folder"), wide, "bert")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["bert-body", "distilbert", "roberta", "electra"])
@pytest.mark.parametrize("task", ["SequenceClassification", "TokenClassification"])
def test_peft_has_the_same_logits(family, task, work, monkeypatch):
    peft = pytest.importorskip("peft")
    torch, transformers = encoder_folders.torch, encoder_folders.transformers
    (work / "base").mkdir()
    encoder_folders.save(work / "base", family)
    base = registry.weights_in(Folder("base"), "base")
    kind = registry.architecture_in(Folder("base"), "base")
    adapter = random_adapter(body_of(base), head=head_on(base, "tag" if task[0] == "T" else "classify"))
    adapter = replace(adapter, parent=base.digest)
    write_folder("adapter", peft_adapters.write(adapter, body_of(base), kind, "base"))
    model = getattr(transformers, f"AutoModelFor{task}").from_pretrained("base", num_labels=3)
    model = peft.PeftModel.from_pretrained(model, "adapter").eval()
    ours = model_of(FineTunedWeights(body_of(adapter.merged_into(base)), adapter.head, adapter.head_tensors()))
    item = ours._format.item(("the cat sat on a mat",))
    states = ours._states(item)
    found = ours._headed(states if task[0] == "T" else ours._pooled(states))

    def theirs(model):
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(item.ids.astype(np.int64))[None]).logits[0].numpy()

    np.testing.assert_allclose(theirs(model), found, atol=1e-4)
    names = [module.name for module in peft_adapters.modules_of(body_of(base), kind)][:-3]
    settings = peft.LoraConfig(
        r=2, lora_alpha=3, use_rslora=True, target_modules=names, rank_pattern={names[0]: 4},
        alpha_pattern={names[1]: 7}, task_type="SEQ_CLS" if task[0] == "S" else "TOKEN_CLS", init_lora_weights=False,
    )  # fmt: skip
    model = getattr(transformers, f"AutoModelFor{task}").from_pretrained("base", num_labels=3)
    model = peft.get_peft_model(model, settings).eval()
    model.save_pretrained("theirs")
    read = peft_adapters.read(Folder("theirs"), body_of(base), kind)
    ours = model_of(FineTunedWeights(body_of(read.merged_into(base)), read.head, read.head_tensors()))
    states = ours._states(item)
    found = ours._headed(states if task[0] == "T" else ours._pooled(states))
    np.testing.assert_allclose(theirs(model), found, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_peft_has_the_same_logits_of_language_models(shape, work):
    peft = pytest.importorskip("peft")
    torch, transformers = encoder_folders.torch, encoder_folders.transformers
    from lmkit.architectures.huggingface import export

    weights = transformer_weights(shape)
    write_folder("base", export.write(weights))
    base = registry.weights_in(Folder("base"), "base")
    adapter = replace(random_adapter(base), parent=base.digest)
    write_folder("adapter", peft_adapters.write(adapter, base, peft_adapters.kind_of(base), "base"))
    model = transformers.AutoModelForCausalLM.from_pretrained("base")
    model = peft.PeftModel.from_pretrained(model, "adapter").eval()
    write_folder("merged", export.write(replace(weights, tensors=adapter.merged_into(base).tensors)))
    merged = transformers.AutoModelForCausalLM.from_pretrained("merged").eval()
    ids = torch.arange(6)[None]
    with torch.inference_mode():
        np.testing.assert_allclose(model(ids).logits, merged(ids).logits, atol=1e-4)
    model.save_pretrained("theirs")
    again = peft_adapters.read(Folder("theirs"), base, peft_adapters.kind_of(base))
    for name, array in again.merged_into(base).tensors.items():
        np.testing.assert_allclose(array, adapter.merged_into(base).tensors[name], atol=1e-5)
