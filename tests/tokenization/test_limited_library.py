"""The tokenizers library in a process: the same answers, and what hostile regular expressions come to."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lmkit import isolation
from lmkit.errors import CheckpointError, DataError
from lmkit.io import limited_process
from lmkit.tokenization import limited_library
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.limited_library import LimitedLibrary, is_quick

WORDS = {"[UNK]": 0, "a": 1, "b": 2, "aaa": 3, "!": 4, "é": 5}


def document(expression, **more):
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 0, "content": "[UNK]", "special": True, **added}],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": split, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"}, **more,
    }  # fmt: skip


QUICK = [" {2,}", r"\A +", r"[\s\S]", " ?\\p{L}+|[0-9]{1,3}", r"\<s\>|\<\/s\>", r"(?<=\<)(?=s\>)", "", "a|b\\|c"]
SLOW = ["(a+)+$", "a*b", r"(a)\1", "x{1000,}", r"a+\z", "(?:a|b)*", "a?a?a?aaa", ".*x", "(a", r"\s+(?!\S)"]


def test_which_expressions_are_quick():
    assert [one for one in QUICK if not is_quick(document(one))] == []
    assert [one for one in SLOW if is_quick(document(one))] == []
    assert is_quick({"model": {"vocab": {"Regex": "(a+)+"}}})


@given(st.lists(st.text(), max_size=20), st.booleans(), st.integers(1, 50))
def test_a_limited_library_answers_as_the_library_does(texts, plain, size):
    made = document(r"\w+|\W")
    library, limited = Tokenizer.from_str(json.dumps(made)), LimitedLibrary(made)
    library.encode_special_tokens = limited.encode_special_tokens = plain
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limited_library, "FRAME", size)
        expected = library.encode_batch(texts, add_special_tokens=False)
        assert [list(one.ids) for one in limited.encode_batch_fast(texts, False)] == [one.ids for one in expected]
        assert [one.tokens for one in limited.encode_batch(texts, False)] == [one.tokens for one in expected]
    assert limited.get_vocab() == library.get_vocab()
    assert [limited.id_to_token(number) for number in range(9)] == [library.id_to_token(number) for number in range(9)]
    assert [(n, *t) for n, t in limited.get_added_tokens_decoder().items()] == [(0, "[UNK]", True)]
    assert limited.decode([0, 1, 5], False) == library.decode([0, 1, 5], False)
    assert limited.normalizer.normalize_str("É") == "é"


@pytest.fixture
def limited(monkeypatch):
    """Workers are processes that have two seconds."""
    monkeypatch.setattr(limited_process, "LIMITS", limited_process.Limits(2.0, 128 << 20))
    with limited_process.Workers() as workers, isolation.started_by(workers.start):
        yield


def test_a_tokenizer_in_a_process_encodes_as_in_this_one(limited):
    data = json.dumps(document(r"\w+|\W")).encode()
    there = HuggingFaceTokenizer.from_json(data, {})
    assert isinstance(there.encode(b"a"), np.ndarray)
    text = "a aaa é! [UNK]\n".encode() * 3000
    for options in (Options(), Options(lines=False)):
        encoder = there.encoder(options)
        ids, ends = encoder.encode(encoder.scan(text))
        assert len(ids) == 3000 * (10 if options.lines else 11)
        assert len(ends) == (3000 if options.lines else 0)
    assert there.decode([1, 3]) == b"a aaa"


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("expression", "text", "told"),
    [
        ("(a+)+$", b"a" * 40 + b"!", "retry-limit-in-match over"),
        (".*.*.*=b|a", b"x=" + b"a" * 20000, "not done within 2 s"),
    ],
)
def test_hostile_expressions_end_in_one_line(expression, text, told, limited):
    tokenizer = HuggingFaceTokenizer.from_json(json.dumps(document(expression)).encode(), {})
    with pytest.raises(DataError, match=told) as raised:
        tokenizer.encode(text)
    assert "\n" not in str(raised.value)


def test_a_file_that_the_library_refuses(limited):
    with pytest.raises(CheckpointError, match="can't use the file"):
        HuggingFaceTokenizer.from_json(json.dumps(document("(a")).encode(), {})
