"""Tokenizers as a tokenizer.json in which line ends are a token: the library's ids and texts are ours."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from lmkit.data.sequences import TextFormat, decode_text, sequences
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import line_ends
from lmkit.tokenization.normalization import Normalization
from lmkit.tokenization.normalized_learner import NormalizedLearner
from lmkit.tokenization.tokenizers import ByteTokenizer, learner

CHARACTERS = st.sampled_from("abc <>/su'1\n\r\té中\u0301.ĠA\u00a0ﬁ…")
TEXT = st.lists(CHARACTERS | st.sampled_from(["<unk>", " <unk> ", "ab "]), max_size=30).map("".join)
TRAINING = b"ab abc ba cab\n<s> a 1 1 \xc3\xa9\xe4\xb8\xad ab's\n\n a  b\n"


def learned(kind: str) -> Tokenizer:
    one = learner(kind)
    one.learn(TRAINING, one.scan(TRAINING))
    return one.tokenizer()


def normalising(kind: str, forms: tuple[str, ...], punctuation: str = "keep") -> Tokenizer:
    one = NormalizedLearner(learner(kind), Normalization(forms, punctuation))
    one.learn(TRAINING, one.scan(TRAINING))
    return one.tokenizer()


def merges(level: str, pattern: str, normalize: tuple[str, ...] = ()) -> Tokenizer:
    from lmkit.tokenization.bpe.pretoken_counts import Counter
    from lmkit.tokenization.bpe.scheme import END_OF_WORD, Scheme
    from lmkit.tokenization.bpe.trainer import fit

    scheme = Scheme(level, pattern, normalize, END_OF_WORD if level == "char" else "")
    counter = Counter(scheme)
    counter.add(counter.scan(TRAINING.replace(b"<s>", b"") * 3))
    return fit(counter.total(), 270 if level == "byte" else 25)


MAKERS = {
    "word": lambda: learned("word"),
    "char": lambda: learned("char"),
    "byte": ByteTokenizer,
    "word-lowercase": lambda: normalising("word", ("lowercase",)),
    "word-nfkc-split": lambda: normalising("word", ("nfkc", "lowercase"), "split"),
    "word-remove": lambda: normalising("word", (), "remove"),
    "char-nfc": lambda: normalising("char", ("nfc", "lowercase")),
    "byte-nfkc": lambda: normalising("byte", ("nfkc",)),
    "bpe-gpt2": lambda: merges("byte", "gpt2"),
    "bpe-gpt4-nfc": lambda: merges("byte", "gpt4", ("nfc",)),
    "bpe-words": lambda: merges("char", "whitespace"),
}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: Any) -> Tokenizer:
    made: Tokenizer = MAKERS[request.param]()
    return made


def trained_ids(tokenizer: Tokenizer, text: str, newline_id: int) -> list[int]:
    """What a model trained here reads: as `TextReader` hands it over, each line and its end."""
    form = TextFormat("stream", newline_id, newline_id)
    block = (text if text.endswith("\n") or not text else text + "\n").replace("\r\n", "\n").encode()
    ids = np.concatenate([part for part, _ in sequences(tokenizer, form, [block])] or [np.zeros(0)]).tolist()
    return ids if text.endswith("\n") or not text else ids[:-1]


@pytest.mark.few(4)
@given(text=TEXT)
def test_the_library_reads_a_text_as_the_model_was_trained(tokenizer: Tokenizer, text: str) -> None:
    library = Library.from_str(line_ends.write(tokenizer, 2).decode())
    assert library.encode(text).ids == trained_ids(tokenizer, text, 2)


@pytest.mark.few(4)
@given(text=TEXT)
def test_the_library_gives_the_text_back(tokenizer: Tokenizer, text: str) -> None:
    library = Library.from_str(line_ends.write(tokenizer, 2).decode())
    ids = library.encode(text).ids
    ours = decode_text(tokenizer, TextFormat("stream", 2, 2), ids)
    assert library.decode(ids, skip_special_tokens=False).encode() == ours.decode(errors="replace").encode()


def test_what_was_written_is_read_as_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    data = line_ends.write(tokenizer, 2)
    read, newline_id = line_ends.read(data, None)
    if getattr(tokenizer, "ends_words", False):  # which only the library reads
        assert (newline_id, read.kind, read.size) == (None, "huggingface", tokenizer.size)
        return
    assert (newline_id, read.kind, read.digest) == (2, tokenizer.kind, tokenizer.digest)
    assert line_ends.write(read, 2) == data


def test_without_line_ends_words_and_the_like_are_read_as_the_same_too() -> None:
    for name in MAKERS:
        kind, tokenizer = name.partition("-")[0], MAKERS[name]()
        if kind in ("word", "char", "byte"):
            read, newline_id = line_ends.read(line_ends.write(tokenizer, None), None)
            assert (newline_id, read.kind, read.digest) == (None, kind, tokenizer.digest)


def test_a_file_that_was_changed_is_left_to_the_library() -> None:
    document = json.loads(line_ends.write(learned("char"), 2))
    document["pre_tokenizer"] = {"type": "Whitespace"}
    read, newline_id = line_ends.read(json.dumps(document).encode(), None)
    assert (read.kind, newline_id) == ("huggingface", None)


def test_a_second_line_end_is_refused() -> None:
    from lmkit.tokenization.formats.tokenizer_json_vocab import document_of
    from lmkit.tokenization.tokenizers import from_list

    with pytest.raises(CheckpointError, match="line end already"):
        line_ends.write(from_list("char", [b"a", b"\n"]), 2)
    assert document_of(from_list("char", [b"a", b"\n"]))["model"]["vocab"]["\n"] == 4


def test_a_tokenizer_of_another_tool_gets_line_ends_in_place_of_its_eos() -> None:
    from lmkit.tokenization.formats import tokenizer_json

    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": number, "content": name, **plain} for number, name in enumerate(["<pad>", "</s>", "<s>"], 3)]
    model = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["b", -1.0]]}
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    document = {"version": "1.0", "added_tokens": added, "model": model, "pre_tokenizer": space, "decoder": space}
    tokenizer = tokenizer_json.read(json.dumps(document).encode())
    assert tokenizer.specials["eos"] == 4
    library = Library.from_str(line_ends.write(tokenizer, 4).decode())
    ids = library.encode("a ab\r\na\n").ids
    assert ids == trained_ids(tokenizer, "a ab\r\na\n", 4) == [1, 1, 2, 4, 1, 4]
    assert library.decode(ids, skip_special_tokens=False) == "a ab\n a\n"
