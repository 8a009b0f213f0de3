"""Classifiers, regressors and taggers on decoders of transformers: its logits are ours, and what we write it reads."""

import json

import numpy as np
import pytest
from huggingface.test_folder import CONFIGURATIONS, tokenizer_json
from tiny_models import settings_of

from lmkit import registry
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.huggingface import decoder_heads
from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError
from lmkit.inference.fine_tuned import model_of
from lmkit.io.folders import Folder, write_folder
from lmkit.tokenization.tokenizers import ByteTokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXT = "w5 w7 w9 w30 w7"
SEQUENCE, TOKENS = "ForSequenceClassification", "ForTokenClassification"


def save(folder, family, kind, labels):
    """A small random model in a folder, with a tokenizer that puts a token in front for Llama's kin."""
    name, settings = CONFIGURATIONS[family]
    torch.manual_seed(len(family))
    config = getattr(transformers, f"{name}Config")(**settings, num_labels=labels, pad_token_id=0)
    model = getattr(transformers, name + kind)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    model.save_pretrained(folder)
    document = {**json.loads(tokenizer_json()), "added_tokens": []}
    if name != "GPT2":
        begun = [{"SpecialToken": {"id": "w1", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        specials = {"w1": {"id": "w1", "ids": [1], "tokens": ["w1"]}}
        document["post_processor"] = {
            "type": "TemplateProcessing", "single": begun, "pair": [*begun, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": specials,
        }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(document))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return model


def theirs_of(folder, texts=(TEXT,)):
    """Logits of transformers for texts through its own tokenizer, padded on the right, and on the left.

    It does not move learned positions for padding on the left.
    """
    model = registry_class(folder).from_pretrained(folder).eval()
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    found = []
    assert model.config.pad_token_id is not None
    for side in ("right",) if model.config.model_type == "gpt2" else ("right", "left"):
        tokenizer.padding_side = side
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
        inputs = tokenizer(list(texts), padding=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            found.append(model(**inputs).logits.numpy())
    return found


def numbers(model, *items):
    """Numbers of the head of ours."""
    return np.stack([model._headed(model._pooled(model._states(model._format.item(item)))) for item in items])


def registry_class(folder):
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return getattr(transformers, "AutoModel" + name[name.index("For") :])


@pytest.mark.few(2)
@pytest.mark.parametrize("labels", [3, 1])
@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "qwen2", "qwen3"])
def test_a_classifier_answers_as_transformers_does(family, labels, work):
    save(work, family, SEQUENCE, labels)
    ours = registry.load_folder(Folder(str(work)), "folder")
    assert ours.head.task == ("classify" if labels > 1 else "regress")
    texts = (TEXT, "w8 w2", "w4")
    found = numbers(ours, *((text,) for text in texts))
    for theirs in theirs_of(work, texts):
        np.testing.assert_allclose(found, theirs, atol=1e-4)
    write_folder("again", decoder_heads.write_fine_tuned(ours.weights))
    for theirs in theirs_of(work / "again", texts):
        np.testing.assert_allclose(theirs, found, atol=1e-4)
    assert registry.load_folder(Folder("again"), "again").head == ours.head
    assert registry.weights_in(Folder("again"), "again").digest  # and the body, to be tuned further


@pytest.mark.few(2)
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_a_tagger_answers_as_transformers_does(family, work):
    model = save(work, family, TOKENS, 4)
    ours = registry.load_folder(Folder(str(work)), "folder")
    item = ours._format.words(TEXT.split())
    with torch.inference_mode():
        theirs = model(torch.from_numpy(item.ids.astype(np.int64))[None]).logits[0].numpy()
    found = ours._headed(ours._states(item))
    np.testing.assert_allclose(found, theirs[item.start :], atol=1e-4)
    write_folder("again", decoder_heads.write_fine_tuned(ours.weights))
    again = registry_class(work / "again").from_pretrained("again").eval()
    with torch.inference_mode():
        theirs = again(torch.from_numpy(item.ids.astype(np.int64))[None]).logits[0].numpy()
    np.testing.assert_allclose(theirs[item.start :], found, atol=1e-4)


def headed(tokenizer, by="stream", bias=1.0, labels=("a", "b", "c"), shape="gpt2", **settings):
    """A random classifier of ours on a transformer of ours."""
    rng = np.random.default_rng(5)
    gpt2 = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all"}
    made = settings_of("transformer", vocabulary=tokenizer.size, context=40, **(gpt2 if shape == "gpt2" else {}))
    tensors = {name: rng.normal(0, 0.5, size).astype(np.float32) for name, size in made.shapes().items()}
    body = body_of(LoadedModel(made, TextFormat.of(by, tokenizer), tokenizer, tensors))
    head = TaskHead(width=made.width, labels=labels, **{"task": "classify", "pooling": "last", **settings})
    own = {name: rng.normal(0, 1, size).astype(np.float32) for name, size in head.shapes().items()}
    return FineTunedWeights(body, head, {**own, "head.bias": own["head.bias"] * np.float32(bias)})


@pytest.mark.parametrize("by", ["stream", "line", "file"])
def test_gpt_s_tokens_around_texts_are_those_of_the_folder(by, work):
    weights = headed(ByteTokenizer(), by)
    found = numbers(model_of(weights), ("it ran",), ("a",), ("",))
    write_folder("folder", decoder_heads.write_fine_tuned(weights))
    theirs = theirs_of(work / "folder", ("it ran", "a", ""))
    assert theirs
    for logits in theirs:
        np.testing.assert_allclose(logits, found, atol=1e-4)
    again = registry.load_folder(Folder("folder"), "folder")
    assert again.head == weights.head
    files = decoder_heads.write_fine_tuned(again.weights)
    assert b"".join(files["tokenizer.json"]) == (work / "folder" / "tokenizer.json").read_bytes()
    np.testing.assert_allclose(numbers(again, ("it ran",), ("a",), ("",)), found, atol=1e-5)
    pair = numbers(model_of(weights), ("it ran", "a"))
    tokenizer = transformers.AutoTokenizer.from_pretrained("folder")
    model = transformers.AutoModelForSequenceClassification.from_pretrained("folder").eval()
    with torch.inference_mode():
        np.testing.assert_allclose(model(**tokenizer("it ran", "a", return_tensors="pt")).logits, pair, atol=1e-4)


def test_a_head_without_a_bias_on_llama_s_shape(work):
    weights = headed(ByteTokenizer(), bias=0.0, shape="llama")
    found = numbers(model_of(weights), ("it ran",))
    write_folder("folder", decoder_heads.write_fine_tuned(weights))
    np.testing.assert_allclose(theirs_of(work / "folder", ("it ran",))[0], found, atol=1e-4)


def test_what_transformers_lacks_is_refused():
    tokenizer = ByteTokenizer()
    for weights, said in (
        (headed(tokenizer, pooling="mean"), "pools by mean"),
        (headed(tokenizer, shape="llama"), "its head has a bias: LlamaForSequenceClassification has none"),
        (headed(tokenizer, labels=tuple("abcdefghij")), "no bias of the last layer norm"),
        (headed(tokenizer, task="tag", crf=True), "conditional random field"),
    ):
        with pytest.raises(CheckpointError, match=said):
            decoder_heads.write_fine_tuned(weights)


def test_texts_that_end_in_another_token_are_refused(work):
    save(work, "llama", SEQUENCE, 2)
    document = json.loads((work / "tokenizer.json").read_text())
    document["post_processor"]["single"].append({"SpecialToken": {"id": "w1", "type_id": 0}})
    (work / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=r"tokens \[1\] behind texts, lmkit puts 2"):
        registry.load_folder(Folder(str(work)), "folder")


def test_a_text_without_tokens_is_the_start_token(work):
    save(work, "llama", SEQUENCE, 2)
    ours = registry.load_folder(Folder(str(work)), "folder")
    np.testing.assert_allclose(numbers(ours, ("",)), theirs_of(work, ("", TEXT))[0][:1], atol=1e-4)
