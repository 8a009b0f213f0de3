"""Tokenizers renumbered for language models: the same pieces of text, three special tokens in front."""

import json

import pytest
from tiny_encoders import PIECES, tokenizer_json

from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER
from lmkit.tokenization.formats import tokenizer_json as reader
from lmkit.tokenization.formats.sentence_marks import has_sentence_ends, with_sentence_marks
from lmkit.tokenization.tokenizers import learner
from lmkit.tokenization.vocabulary import NAMES, SPECIALS

pytest.importorskip("tokenizers")
TEXTS = [b"The cats, sat on the tired mat", b"caf\xc3\xa9 [MASK] <s>", b"", b"the  the"]
PLAIN = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def bytes_with_one_mark():
    """GPT-2's kind: bytes and a merge, one token for the beginning and the end."""
    pieces = [*BYTE_TO_CHARACTER, "th", "<|endoftext|>"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "added_tokens": [{"id": 257, "content": "<|endoftext|>", **PLAIN}], "normalizer": None,
        "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "merges": [["t", "h"]],
            "vocab": {piece: number for number, piece in enumerate(pieces)},
        },
    }  # fmt: skip


def unigram(*, added=()):
    """XLM-R's kind: `<s>`, `<pad>`, `</s>` and `<unk>` in front; `added` tokens behind the vocabulary."""
    scored = [[name, 0.0] for name in ("<s>", "<pad>", "</s>", "<unk>") if name not in added]
    scored += [["▁the", -1.0], ["▁", -2.0], *([letter, -4.0 - place] for place, letter in enumerate("hteacs"))]
    more = [{"id": len(scored) + place, "content": name, **PLAIN} for place, name in enumerate(added)]
    return {
        "version": "1.0", "normalizer": None, "post_processor": None,
        "added_tokens": more or [{"id": place, "content": scored[place][0], **PLAIN} for place in range(4)],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": 3 if not added else 1, "vocab": scored, "byte_fallback": False},
    }  # fmt: skip


KINDS = {
    "word pieces": lambda: json.loads(tokenizer_json()), "one mark": bytes_with_one_mark, "unigram": unigram,
    "marks behind": lambda: unigram(added=("<s>", "</s>")),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_cut_as_before(kind):
    before = reader.read(json.dumps(KINDS[kind]()).encode())
    after = with_sentence_marks(before)
    assert dict(after.specials) == dict(SPECIALS)
    assert [after.written(token) for token in range(3)] == list(NAMES)
    assert after.size == before.size + (2 if kind == "one mark" else 0)
    assert after.json is None or json.loads(after.json)["post_processor"] is None
    unknown = before.specials.get("unk")
    for text in TEXTS:
        old, new = before.encode(text).tolist(), after.encode(text).tolist()
        assert len(old) == len(new)
        assert [after.written(token) for token in new] == [
            NAMES[0] if token == unknown else before.written(token) for token in old
        ]
        if unknown not in old:
            assert after.decode(new) == before.decode(old)
    assert len({after.written(token) for token in range(after.size)}) == after.size
    assert with_sentence_marks(after) is after
    assert has_sentence_ends(after)
    assert has_sentence_ends(before) == (kind != "one mark")


def test_word_pieces_keep_their_order_behind_the_marks():
    after = with_sentence_marks(reader.read(tokenizer_json()))
    others = [piece for piece in PIECES if piece not in ("[UNK]", "[CLS]", "[SEP]")]
    assert [after.written(token).decode() for token in range(3, after.size)] == others


def test_words_have_the_marks_already():
    words = learner("word").tokenizer()
    assert with_sentence_marks(words) is words


def test_lines_are_exported_without_the_tokens_around_texts():
    from lmkit.tokenization.formats import line_ends

    pieces = reader.read(tokenizer_json())
    written = json.loads(line_ends.write(pieces, pieces.specials["eos"]))
    assert written["post_processor"] is None
    tokenizers = pytest.importorskip("tokenizers")
    ids = tokenizers.Tokenizer.from_str(json.dumps(written)).encode("The cat\nsat").ids
    assert ids == [*pieces.encode(b"The cat").tolist(), pieces.specials["eos"], *pieces.encode(b"sat").tolist()]
