"""Ids of a text as it is: what the tokenizers library gives for the whole, however the text comes."""

import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe import chunks
from lmkit.tokenization.formats import tokenizer_json
from lmkit.tokenization.formats.tokenizer_json_writer import write
from lmkit.tokenization.tokenizers import ByteTokenizer, from_list

TEXT = st.text(alphabet=st.sampled_from("ab 1'\n\r\t é.,l\u0301\u00a0中Ω"), max_size=40)
CUTS = st.lists(st.integers(0, 60), max_size=4)
SPLITS = {
    "gpt2": {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": False, "use_regex": True},
    "none": {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": False, "use_regex": False},
    "digits": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": False, "use_regex": True},
        ],
    },
    "prefix": {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": True, "use_regex": True},
    "gpt4": tokenizer_json.GPT4 % r"\p{N}",
    "own": r"\n+a?|[^\n]",
}


def library_file(name: str, normalizer: str | None = None) -> bytes:
    """A tokenizer.json with a few merges, some of them over line ends."""
    from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER

    split = SPLITS[name]
    if isinstance(split, str):
        own = {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}
        level = {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": False, "use_regex": False}
        split = {"type": "Sequence", "pretokenizers": [own, level]}
    merges = [("a", "b"), ("Ċ", "Ċ"), ("Ġ", "a"), ("Ġ", "Ġ"), ("a", "Ċ"), ("ab", "ab"), (".", "Ċ"), ("Ċ", "a")]
    tokens = [*BYTE_TO_CHARACTER, *("".join(pair) for pair in merges)]
    model = {"type": "BPE", "vocab": {token: place for place, token in enumerate(tokens)}, "merges": merges}
    return json.dumps(
        {
            "version": "1.0", "model": model, "pre_tokenizer": split, "decoder": SPLITS["gpt2"],
            "normalizer": None if normalizer is None else {"type": normalizer},
        }
    ).encode()  # fmt: skip


def of_library(data: bytes, text: str) -> list[int]:
    from tokenizers import Tokenizer as Library

    ids: list[int] = Library.from_str(data.decode()).encode(text, add_special_tokens=False).ids
    return ids


def ids_in(tokenizer: Tokenizer, blocks: Sequence[bytes]) -> list[int]:
    return np.concatenate([np.zeros(0, dtype=np.int32), *tokenizer.encode_stream(blocks)]).tolist()


def cut(text: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(edges)]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SPLITS)
@given(text=TEXT, places=CUTS)
def test_ids_are_the_librarys_wherever_blocks_are_cut(name: str, text: str, places: list[int]) -> None:
    data = library_file(name)
    assert ids_in(tokenizer_json.read(data), cut(text.encode(), places)) == of_library(data, text)


@given(text=TEXT, places=CUTS)
def test_normal_forms_reach_over_blocks(text: str, places: list[int]) -> None:
    data = library_file("gpt4", "NFC")
    assert ids_in(tokenizer_json.read(data), cut(text.encode(), places)) == of_library(data, text)


@pytest.mark.parametrize("name", ["gpt2", "gpt4", "digits"])
def test_long_lines_are_cut_where_nothing_changes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGE", 16)
    data = library_file(name)
    text = "ab ab  a.b'll 12 é" * 40 + "\n\na"
    assert ids_in(tokenizer_json.read(data), cut(text.encode(), range(0, 700, 7))) == of_library(data, text)


@given(text=st.binary(max_size=30), places=CUTS)
def test_bytes_are_bytes(text: bytes, places: list[int]) -> None:
    tokenizer = ByteTokenizer()
    ids = ids_in(tokenizer, cut(text, places))
    assert ids == [byte + 3 for byte in text]
    assert tokenizer.decode(ids) == text


def test_a_text_without_a_last_line_end_gets_none() -> None:
    tokenizer = ByteTokenizer()
    assert ids_in(tokenizer, [b"a\nb"]) == [100, 13, 101]
    assert ids_in(tokenizer, [b"a\nb\n"]) == [100, 13, 101, 13]
    assert ids_in(tokenizer, []) == []


def test_line_ends_are_white_space_to_words_and_unknown_to_characters() -> None:
    assert ids_in(from_list("word", [b"a", b"b"]), [b"a\nb", b"b a"]) == [3, 0, 3]
    assert ids_in(from_list("char", [b"a", b"b"]), [b"a\n", b"b"]) == [3, 0, 4]


@given(text=TEXT)
def test_what_is_written_as_a_tokenizer_json_gives_the_same_ids(text: str) -> None:
    tokenizer = tokenizer_json.read(library_file("gpt2"))
    assert ids_in(tokenizer, [text.encode()]) == of_library(write(tokenizer), text)
