r"""Words, characters and bytes as a tokenizer.json, with which the tokenizers library gives the same ids and texts.

Words are those between separators; `<s>` and `</s>` among them are dropped, as ours are. Bytes
are a byte-pair encoding without merges.
"""

import json
from collections.abc import Mapping
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.tokenizers import ByteTokenizer, CharTokenizer, Stored, WordTokenizer, with_vocabulary
from lmkit.tokenization.vocabulary import NAMES, Vocabulary

_SEPARATOR = r"[ \t\r\n\x00]"
_NO_MARK = rf"(?<![^{_SEPARATOR[1:]})</?s>(?![^{_SEPARATOR[1:]})"


def document_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of a tokenizer.json. Raises CheckpointError for other kinds, and pieces that are no text."""
    if not isinstance(tokenizer, WordTokenizer | CharTokenizer | ByteTokenizer):
        raise CheckpointError(f"a tokenizer of kind {tokenizer.kind} is not listed")
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], **_parts(tokenizer)}


def _parts(tokenizer: Stored) -> dict[str, Any]:
    kind = tokenizer.kind
    try:
        pieces = [_spell(piece, kind) for piece in tokenizer.vocabulary.pieces()]
    except UnicodeDecodeError:
        raise CheckpointError("a piece of the vocabulary is not UTF-8, which a tokenizer.json can't hold") from None
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    if kind == "byte":
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        model: dict[str, Any] = {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": [],
        }  # fmt: skip
        return {
            "normalizer": None, "pre_tokenizer": level, "post_processor": None,
            "decoder": {**level, "use_regex": True}, "model": model,
        }  # fmt: skip
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": pieces[0]}
    if kind == "char":
        split, decoder = _split(r"[\s\S]", "Isolated"), {"type": "Fuse"}
        return {
            "normalizer": None, "pre_tokenizer": split, "post_processor": None, "decoder": decoder, "model": model
        }  # fmt: skip
    spaced = [replace(r"\A", " "), {"type": "Fuse"}, replace(r"\A |(?<=\n) | (?=\n)", "")]
    return {
        "normalizer": replace(_NO_MARK, ""), "pre_tokenizer": _split(f"{_SEPARATOR}+", "Removed"),
        "post_processor": None, "decoder": {"type": "Sequence", "decoders": spaced}, "model": model,
    }  # fmt: skip


def _spell(piece: bytes, kind: str) -> str:
    return visible(piece) if kind == "byte" and piece not in NAMES else piece.decode()


def replace(expression: str, content: str) -> dict[str, Any]:
    """A step, of normalisers or decoders, that puts a text for what a regular expression matches."""
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": content}


def _split(expression: str, behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}


def tokenizer_of(document: Mapping[str, Any]) -> Stored | None:
    """The tokenizer whose `document_of` this is; None where it is none."""
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict) or not all(type(token) is int for token in vocabulary.values()):
        return None
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    names = [name.decode() for name in NAMES]
    if pieces[:3] != names or [vocabulary[piece] for piece in pieces] != list(range(len(pieces))):
        return None
    kind = {"BPE": "byte", "WordLevel": "word"}.get(str(model.get("type")), "") if isinstance(model, dict) else ""
    if kind == "word" and all(len(piece) == 1 for piece in pieces[3:]):
        kind = "char" if document.get("normalizer") is None else "word"
    if not kind:
        return None
    try:
        tokenizer = with_vocabulary(kind, Vocabulary.of([piece.encode() for piece in pieces]))
    except UnicodeEncodeError:
        return None
    return tokenizer if _same(document_of(tokenizer), document) else None


def _same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
