"""Texts compressed as models read them: over line ends, through windows, between blank lines."""

import contextlib
import dataclasses
import io

import numpy as np
import pytest
from conftest import run_here
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_weights import random_weights
from test_text_codec import AWKWARD, TEXT, there_and_back

from lmkit.commands.loading.models import open_tokenizer
from lmkit.compression import byte_fallback, text_codec
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.evaluation import perplexity
from lmkit.inference.recurrent import RecurrentModel
from lmkit.inference.transformer import TransformerModel
from lmkit.tokenization.formats import sentencepiece
from lmkit.tokenization.formats.tokenizer_json_writer import write
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

STREAMS = ("transformer-stream.lm", "gru-stream.lm", "mingru-file.lm", "ffn-documents.lm")
AS_IT_IS = ("bpe", "byte", "char", "word", "library", "sentencepiece")
"""Tokenizers under which line ends are text."""
SHAPE = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 8, "context": 8}


@pytest.fixture(scope="session")
def reading(opened, shelf):
    """A model by the name of a file, or of a tokenizer under which line ends are text to it."""
    made = {}

    def reading(name):
        if name not in AS_IT_IS:
            return opened(name)
        if name not in made:
            made[name] = with_line_ends_as_text(tokenizer_of(name, shelf), recurrent=name == "byte")
        return made[name]

    return reading


def tokenizer_of(name, shelf):
    if name == "sentencepiece":
        return pieces_of(shelf["corpus.txt"].read_bytes())
    files = {"byte": "byte-witten-bell.lm", "char": "char-witten-bell.lm", "word": "witten-bell-3.lm"}
    merges = shelf.folder / "merges.lm"
    if not merges.exists():
        done = run_here("bpe", "train", "--vocab-size", "300", "--pattern", "gpt2", shelf["corpus.txt"], "-o", merges)
        assert done.status == 0, done.stderr
    tokenizer = open_tokenizer(str(shelf[files[name]] if name in files else merges))
    return HuggingFaceTokenizer.from_json(write(tokenizer), {}) if name == "library" else tokenizer


def pieces_of(text):
    """A SentencePiece model of subwords, which spells line ends as spaces."""
    made = io.BytesIO()
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    trainer.train(
        sentence_iterator=iter(text.decode().splitlines()), model_writer=made, model_type="unigram", vocab_size=60,
        hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    return sentencepiece.read(made.getvalue())


def with_line_ends_as_text(tokenizer, *, recurrent):
    """A model with random weights that reads texts as they are, as those in folders of Hugging Face's do."""
    kind, shape = ("rnn", {"width": 6}) if recurrent else ("transformer", SHAPE)
    weights = random_weights(kind, tokenizer, by="stream", **shape)
    weights = dataclasses.replace(weights, form=TextFormat("stream", tokenizer.specials.get("eos", 0), None))
    return (RecurrentModel if recurrent else TransformerModel)(weights)


def bits(model, text):
    """What `lmkit ppl` reports for a text that its readers give as blocks."""
    blocks = [text] if model.form.newline_id is None else list(perplexity.whole_lines([text] if text else []))
    return -sum(totals.nats for totals in perplexity.evaluate(model, blocks)) / perplexity.LN2


WORDS = st.sampled_from(["the", "cat", "a", "dog", "saw", "mat", "tree", "in", "on", "sang"])
LINES = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=12)


def holds(model, lines, end):
    text = ("\n".join(lines) + end).encode()
    unk = model.tokenizer.specials.get("unk")
    if model.form.newline_id is not None and unk in model.tokenizer.encode_block(text + b"\n")[0]:
        return
    assert 8 * len(there_and_back(model, text, 1 << 16)) <= bits(model, text) + 64


@pytest.mark.few(6)
@settings(max_examples=4)
@given(lines=LINES, end=st.sampled_from(["\n", ""]))
@example(lines=["the cat sat on the mat", "", "", "the dog", "", "a bird sang in the tree"] * 3, end="\n")
def test_a_text_takes_what_ppl_reports_and_64_bits(model, model_name, lines, end):
    if model.normalised or "stupid" in model_name:
        holds(model, lines, end)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [name for name in AS_IT_IS if name not in ("word", "char")])
@settings(max_examples=6)
@given(lines=LINES, end=st.sampled_from(["\n", ""]))
@example(lines=["the cat sat on the mat", "", " the dog", "\r", "\ta bird sang in the tree"] * 5, end="\n")
def test_so_does_a_text_whose_line_ends_are_tokens(name, reading, lines, end):
    model = reading(name)
    if name == "sentencepiece":  # which spells runs of spaces and line ends as one space
        lines, end = [" ".join(" ".join(lines).split())], ""
    holds(model, lines, end)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [*STREAMS, *AS_IT_IS])
@settings(max_examples=6)
@given(text=TEXT)
@example(text=b"".join(AWKWARD))
@example(text=b"\n".join(AWKWARD))
@example(text=b"\n\n\r\n \nthe cat\n\n\n\nthe\n \n\n\r\n")
def test_any_bytes_come_back(name, text, reading):
    there_and_back(reading(name), text)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [*STREAMS, *AS_IT_IS])
def test_long_texts_in_parts(name, reading, monkeypatch):
    texts = [b"the cat saw\na bird " * 20, b"the dragon\tsaw a  bird\n\n" * 10, b"dragon" * 60, b"\xff\n" * 50]
    for part, run in ((16, 1 << 20), (64, 7)):
        monkeypatch.setattr(text_codec, "PART", part)
        monkeypatch.setattr(text_codec, "RUN", run)
        monkeypatch.setattr(byte_fallback, "RUN", run)
        for text in texts:
            there_and_back(reading(name), text)


def test_contexts_reach_over_line_ends(reading):
    """The same lines in another order take other files, as they have other contexts."""
    model = reading("gru-stream.lm")
    lines = [b"the cat sat\n", b"a dog\n", b"the bird sang in the tree\n"]
    sizes = [bits(model, b"".join(order) * 20) for order in (lines, lines[::-1])]
    assert sizes[0] != pytest.approx(sizes[1], abs=1e-3)
    for order, expected in zip((lines, lines[::-1]), sizes, strict=True):
        found = text_codec.Sizes()
        list(text_codec.compress(model, [b"".join(order) * 20], found))
        assert found.model_bits == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ["transformer-stream.lm", "gru-stream.lm", "ffn-documents.lm", "byte"])
def test_files_written_line_by_line_are_read(name, reading, monkeypatch):
    """As lmkit wrote them of all models before it coded streams."""
    text = b"the cat\n\nsaw a\r\nbird\xff"
    monkeypatch.setattr(text_codec, "reaches_over_lines", lambda _model: False)
    packed = b"".join(text_codec.compress(reading(name), [text]))
    monkeypatch.undo()
    assert packed[0] == text_codec.MAGIC
    assert b"".join(text_codec.decompress(reading(name), [packed])) == text


def test_a_stream_is_not_read_by_a_model_of_lines(reading):
    model = reading("witten-bell-3.lm")
    packed = b"".join(text_codec.compress(model, [b"the cat\n"]))
    with pytest.raises(DataError, match="reads lines"):
        list(text_codec.decompress(model, [bytes([text_codec.MAGIC_STREAM]) + packed[1:]]))


@pytest.mark.parametrize("name", ["gru-stream.lm", "ffn-documents.lm", "byte", "library"])
@settings(max_examples=10)
@given(data=st.data())
def test_damaged_streams_end(name, data, reading):
    text = b"the cat saw\n\n\na bird\r\n\xff sat"
    packed = b"".join(text_codec.compress(reading(name), [text]))
    place = data.draw(st.integers(4, len(packed) - 1))
    wrong = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    found = None
    with contextlib.suppress(DataError):
        found = b"".join(text_codec.decompress(reading(name), [wrong]))
    assert found != text


def test_windows_move_on_as_in_ppl(reading):
    """A text of several windows; each token is coded in the context in which it is scored."""
    model = reading("transformer-stream.lm")
    text = b"the cat sat on the mat and a bird sang\n" * 5
    ids = np.concatenate([part for part, _ in model.read([text])])
    assert len(ids) > 5 * model.settings.context
    found = text_codec.Sizes()
    list(text_codec.compress(model, [text], found))
    assert found.model_bits == pytest.approx(bits(model, text), abs=0.01)
