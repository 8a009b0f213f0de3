r"""Words, characters and bytes as a tokenizer.json, with which the tokenizers library gives the same ids and texts.

Words are those between separators; `<s>` and `</s>` among them are dropped, as ours are. Bytes
are a byte-pair encoding without merges. Normal forms are normalizers; words are split at punctuation.
"""

import json
from collections.abc import Mapping
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.formats.tokenizer_json import FORMS
from lmkit.tokenization.formats.tokenizer_json_writer import normalizers, sequence
from lmkit.tokenization.normalization import KEEP, REMOVE, SPLIT, Normalization
from lmkit.tokenization.tokenizers import ByteTokenizer, CharTokenizer, Stored, WordTokenizer, with_vocabulary
from lmkit.tokenization.vocabulary import NAMES, Vocabulary

_SEPARATOR = r"[ \t\r\n\x00]"
_PUNCTUATION = r"(?!\A<unk>\z)(?:(?<!\A<unk)|(?!>\z))[!-/:-@\[-`{-~\p{P}]"
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
    marks = [replace(_NO_MARK, "")] if kind == "word" else []
    normalizer = sequence("normalizers", [*normalizers(tokenizer.normalization.forms), *marks])
    if kind == "byte":
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        model: dict[str, Any] = {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": [],
        }  # fmt: skip
        return {
            "normalizer": normalizer, "pre_tokenizer": level, "post_processor": None,
            "decoder": {**level, "use_regex": True}, "model": model,
        }  # fmt: skip
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": pieces[0]}
    if kind == "char":
        return {
            "normalizer": normalizer, "pre_tokenizer": _CHARACTERS, "post_processor": None,
            "decoder": {"type": "Fuse"}, "model": model,
        }  # fmt: skip
    spaced = [replace(r"\A", " "), {"type": "Fuse"}, replace(r"\A |(?<=\n) | (?=\n)", "")]
    return {
        "normalizer": normalizer, "pre_tokenizer": _words(tokenizer.normalization.punctuation),
        "post_processor": None, "decoder": {"type": "Sequence", "decoders": spaced}, "model": model,
    }  # fmt: skip


def _spell(piece: bytes, kind: str) -> str:
    return visible(piece) if kind == "byte" and piece not in NAMES else piece.decode()


def replace(expression: str, content: str) -> dict[str, Any]:
    """A step, of normalisers or decoders, that puts a text for what a regular expression matches."""
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": content}


def _split(expression: str, behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}


_CHARACTERS = _split(r"[\s\S]", "Isolated")


def _words(punctuation: str) -> Any:
    """Splits text into words, and these at punctuation marks."""
    marks = {SPLIT: [_split(_PUNCTUATION, "Isolated")], REMOVE: [_split(_PUNCTUATION, "Removed")]}
    return sequence("pretokenizers", [_split(f"{_SEPARATOR}+", "Removed"), *marks.get(punctuation, [])])


def _normalization(document: Mapping[str, Any]) -> Normalization:
    """The normalization of a document that `document_of` may have made."""
    part = document.get("normalizer")
    steps = part.get("normalizers", [part]) if isinstance(part, dict) else []
    types = [step.get("type") for step in steps if isinstance(step, dict)]
    split = document.get("pre_tokenizer")
    punctuation = next((mode for mode in (SPLIT, REMOVE) if _words(mode) == split), KEEP)
    return Normalization(tuple(FORMS[name] for name in types if name in FORMS), punctuation)


def tokenizer_of(document: Mapping[str, Any]) -> Stored | None:
    """The tokenizer whose `document_of` this is; None for other documents."""
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
        kind = "char" if document.get("pre_tokenizer") == _CHARACTERS else "word"
    if not kind:
        return None
    try:
        vocabulary_of_pieces = Vocabulary.of([piece.encode() for piece in pieces])
        tokenizer = with_vocabulary(kind, vocabulary_of_pieces, _normalization(document))
    except UnicodeEncodeError:
        return None
    return tokenizer if _same(document_of(tokenizer), document) else None


def _same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
