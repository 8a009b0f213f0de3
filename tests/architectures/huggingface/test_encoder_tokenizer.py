"""Tokenizers of encoders in older files: the ids of the libraries that made them."""

import json

import pytest

from lmkit.architectures.huggingface import encoder_tokenizer
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER

TEXTS = ["the cat", " ¿Cómo está  el niño? it's", "", "x <mask> y </s>"]


def ids_of(tokenizer, text):
    return tokenizer.encode(text.encode()).tolist()


def test_vocab_json_and_merges_are_robertas(tmp_path):
    transformers = pytest.importorskip("transformers")
    merges = ["t h", "th e", "Ġ c", "Ġ the", "Ã ³"]
    made = [merge.replace(" ", "") for merge in merges]
    names = ["<s>", "<pad>", "</s>", "<unk>", *BYTE_TO_CHARACTER, *made, "<mask>"]
    ids = {name: number for number, name in enumerate(names)}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    theirs = transformers.RobertaTokenizer.from_pretrained(tmp_path)
    files = {path.name: memoryview(path.read_bytes()) for path in tmp_path.glob("*.*")}
    ours = encoder_tokenizer.read(files)
    for text in TEXTS[:3]:
        assert ids_of(ours, text) == theirs(text, add_special_tokens=False)["input_ids"]
    form = EncoderFormat.of(ours, separators=2)
    assert (form.cls, form.sep, form.pad, form.mask) == (0, 2, 1, len(names) - 1)
    marked = ours.with_specials()
    assert ids_of(marked, "the <mask>.") == [*ids_of(ours, "the"), form.mask, *ids_of(ours, ".")]
    assert form.mask not in ids_of(ours, "the <mask>.")
    with pytest.raises(CheckpointError, match="do not say all of a FooTokenizer"):
        encoder_tokenizer.read({**files, "tokenizer_config.json": memoryview(b'{"tokenizer_class": "FooTokenizer"}')})


def test_a_sentencepiece_model_has_the_ids_of_xlm_r():
    pytest.importorskip("sentencepiece")
    from sentencepiece_models import model, processor

    ours = encoder_tokenizer.read({"sentencepiece.bpe.model": memoryview(model("unigram", "nmt"))})
    theirs = processor("unigram", "nmt")
    for text in TEXTS:
        assert ids_of(ours, text) == [number + 1 if number else 3 for number in theirs.encode(text)]
    form = EncoderFormat.of(ours, separators=2)
    assert (form.cls, form.pad, form.sep, form.mask) == (0, 1, 2, theirs.vocab_size() + 1)
    assert ours.size == theirs.vocab_size() + 2
    with pytest.raises(CheckpointError, match=r"sentencepiece.bpe.model: not a SentencePiece model"):
        encoder_tokenizer.read({"sentencepiece.bpe.model": memoryview(b"plain text")})
