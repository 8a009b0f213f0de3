"""Writing tokenizer.json: a file with which the tokenizers library gives the same ids and texts.

Bytes are written as visible characters. Words of characters keep the end-of-word mark as
`</w>`; where the mark is a symbol of its own, normalisers write the space behind each word
that represents it, since the library knows no such mark.
"""

import json
from collections.abc import Sequence
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats.tokenizer_json import FORMS, GPT2, GPT4, WHITESPACE

_NORMALIZERS = {form: name for name, form in FORMS.items()}
_SEPARATORS = r"[ \t\r\n\x00]"


def write(tokenizer: Tokenizer) -> bytes:
    """A tokenizer.json. Raises CheckpointError where the tokenizer can't be said in one."""
    if tokenizer.json is not None:
        return tokenizer.json
    if not isinstance(tokenizer, BPETokenizer):
        raise CheckpointError(f"tokens are {tokenizer.kind}s, which have no merges to export")
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(tokenizer),
        "normalizer": sequence("normalizers", _normalizers(tokenizer.scheme)),
        "pre_tokenizer": sequence("pretokenizers", _pre_tokenizers(tokenizer.scheme)),
        "post_processor": None,
        "decoder": sequence("decoders", _decoders(tokenizer.scheme)), "model": _model(tokenizer),
    }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def spell(tokenizer: BPETokenizer) -> list[str | None]:
    """Each token as vocabularies write it, None where an id is unused.

    Raises CheckpointError where two tokens would be written alike, or one is no text.
    """
    spelled: list[str | None] = []
    owner: dict[str, int] = {}
    names = set(tokenizer.names.values())
    for number, piece in enumerate(tokenizer.vocabulary.pieces()):
        text = (
            None if not piece else _text(piece, number) if number in names else _spell(piece, tokenizer.scheme, number)
        )
        spelled.append(text)
        if text is not None and owner.setdefault(text, number) != number:
            raise CheckpointError(f"tokens {owner[text]} and {number} would both be written {text!r}")
    return spelled


def _spell(piece: bytes, scheme: Scheme, number: int) -> str:
    if scheme.level == "byte":
        return visible(piece)
    text = _text(piece, number)
    return text.removesuffix(" ") + scheme.end_of_word if scheme.fused and text.endswith(" ") else text


def _text(piece: bytes, number: int) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"token {number} is not UTF-8") from None


def spelled_merges(tokenizer: BPETokenizer, spelled: list[str | None]) -> list[tuple[str, str]]:
    """The merges as pairs of written tokens. Raises CheckpointError where a pair does not spell what it makes."""
    pairs: dict[tuple[str, str], None] = {}
    for row, (left, right, merged) in enumerate(tokenizer.merges.pairs.tolist(), 1):
        first, second = spelled[left], spelled[right]
        if first is None or second is None or first + second != spelled[merged]:
            raise CheckpointError(f"merge {row} does not spell the token that it makes")
        pairs.setdefault((first, second))
    return list(pairs)


def _added(tokenizer: BPETokenizer) -> list[dict[str, Any]]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    names = sorted(tokenizer.names.items(), key=lambda item: item[1])
    return [{"id": number, "content": _text(name, number), **plain} for name, number in names]


def _model(tokenizer: BPETokenizer) -> dict[str, Any]:
    spelled = spell(tokenizer)
    scheme = tokenizer.scheme
    unknown = tokenizer.specials.get("unk")
    return {
        "type": "BPE", "dropout": None, "unk_token": None if unknown is None else spelled[unknown],
        "continuing_subword_prefix": None, "end_of_word_suffix": scheme.end_of_word if scheme.fused else None,
        "fuse_unk": False, "byte_fallback": False, "ignore_merges": scheme.whole_first,
        "vocab": {token: number for number, token in enumerate(spelled) if token is not None},
        "merges": [list(pair) for pair in spelled_merges(tokenizer, spelled)],
    }  # fmt: skip


def sequence(key: str, parts: Sequence[Any]) -> Any:
    """Several steps as one, one as it is, none as None."""
    return {"type": "Sequence", key: list(parts)} if len(parts) > 1 else parts[0] if parts else None


def _replace(expression: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": content}


def _split(expression: str, behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}


def normalizers(forms: Sequence[str]) -> list[dict[str, Any]]:
    """Normal forms as steps of a normalizer."""
    return [{"type": _NORMALIZERS[form]} for form in forms]


def _normalizers(scheme: Scheme) -> list[dict[str, Any]]:
    forms = normalizers(scheme.normalize)
    if not _has_mark(scheme):
        return forms
    other = _SEPARATORS.replace("[", "[^")
    return [
        *forms,
        _replace(rf"\A{_SEPARATORS}+", ""),
        _replace(rf"(?<={other}){_SEPARATORS}*\z", " "),
        _replace(f"{_SEPARATORS}+", " "),
    ]


def _has_mark(scheme: Scheme) -> bool:
    """Whether the end of a word is a symbol of its own."""
    return scheme.level == "char" and bool(scheme.end_of_word) and not scheme.fused


def _pre_tokenizers(scheme: Scheme) -> list[dict[str, Any]]:
    if scheme.level == "char":
        return [_split("[^ ]+ ", "Isolated") if _has_mark(scheme) else _split(f"{_SEPARATORS}+", "Removed")]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    if scheme.pattern in ("gpt2", "none"):
        return [{**level, "use_regex": scheme.pattern == "gpt2"}]
    return [_split(expression(scheme), "Isolated"), {**level, "use_regex": False}]


def expression(scheme: Scheme) -> str:
    """The scheme's pattern as a regular expression."""
    numbers = r"\p{N}" if scheme.digits == 1 else rf"\p{{N}}{{1,{scheme.digits}}}"
    named = {"gpt2": GPT2, "gpt4": GPT4 % numbers, "whitespace": WHITESPACE, "none": r"[^\n]+|\n"}
    return named.get(scheme.pattern, scheme.pattern)


def _decoders(scheme: Scheme) -> list[dict[str, Any]]:
    if scheme.level == "byte":
        return [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}]
    if scheme.fused:
        return [{"type": "BPEDecoder", "suffix": scheme.end_of_word}]
    return [{"type": "Fuse"}, _replace(r" \z", "")] if _has_mark(scheme) else [{"type": "Fuse"}]
