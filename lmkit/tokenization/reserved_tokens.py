"""Reserved tokens of a tokenizer.json, which text never becomes: special tokens, and bytes to fall back on.

A vocabulary that lists `</s>` or `<0x41>` finds them in text as it finds any other piece. The
document made here spells these tokens by a character that the text does not have, so that text
is encoded as if they were not in the vocabulary, which is what SentencePiece does with its control
and byte pieces. Where a text names special tokens on purpose, the caller puts these spellings into it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lmkit.errors import CheckpointError
from lmkit.tokenization.formats.vocab_and_merges import ROLE_NAMES, is_name

EXACT = "sentencepiece"
"""The key of a normalizer under which a tokenizer.json says what the SentencePiece model said."""
BYTE = re.compile(r"<0x([0-9A-F]{2})>")
USUAL = frozenset(name for names in ROLE_NAMES.values() for name in names) | {
    "<pad>", "<mask>", "<cls>", "<sep>", "[PAD]", "[MASK]", "[CLS]", "[SEP]", "[BOS]", "[EOS]",
}  # fmt: skip
"""Names of special tokens that vocabularies list without another word."""
STAND_INS = [*(plane << 16 | 0xFFFF - low for plane in range(16, -1, -1) for low in (0, 1)), *range(0xFDD0, 0xFDF0)]
"""Code points that no character has, nor ever will."""
_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
_CUT = {
    "type": "Split", "pattern": {"Regex": r"(?<=<)(?=0x[0-9A-F]{2}>)"}, "behavior": "Isolated", "invert": False,
}  # fmt: skip


def exact(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a SentencePiece model said of its normalizer, if the document was one."""
    part = document.get("normalizer")
    said = part.get(EXACT) if isinstance(part, Mapping) else None
    if said is None:
        return None
    pieces = said.get("user_defined") if isinstance(said, Mapping) else None
    if not isinstance(pieces, list) or not all(isinstance(piece, str) and piece for piece in pieces):
        raise CheckpointError("damaged tokenizer.json: its SentencePiece normalizer has no list of pieces")
    return dict(said)


class Vocabulary(NamedTuple):
    """What a model's vocabulary says. `ids`: its tokens; `names`: special ones; `bytes_`: those to fall back on."""

    ids: dict[str, int]
    names: dict[str, int]
    bytes_: dict[str, int]


def vocabulary(document: Mapping[str, Any], added: Mapping[str, tuple[int, bool]]) -> Vocabulary:
    """The tokens of a document; `added`: id of each added token, and whether it is special."""
    listed = document["model"].get("vocab") or {}
    ids = dict(listed) if isinstance(listed, dict) else {entry[0]: token for token, entry in enumerate(listed)}
    names = {name: token for name, (token, special) in added.items() if special or is_name(name)}
    if exact(document) is None:  # such a model says of each token what it is
        names |= {name: token for name, token in ids.items() if name in USUAL and name not in added}
    falls_back = document["model"].get("byte_fallback") is True or _has(document.get("decoder"), "ByteFallback")
    bytes_ = {name: token for name, token in ids.items() if falls_back and BYTE.fullmatch(name)}
    return Vocabulary(ids, {name: token for name, token in names.items() if name not in bytes_}, bytes_)


def _has(part: Any, kind: str) -> bool:
    """Whether a part of a document, or a member of it, is of a type."""
    if isinstance(part, list):
        return any(_has(member, kind) for member in part)
    return isinstance(part, Mapping) and (part.get("type") == kind or any(_has(value, kind) for value in part.values()))


class Hidden(NamedTuple):
    """A document whose reserved tokens text can't spell.

    spellings  how each special token is spelled
    in_bytes   the id of characters that are to be spelled in bytes, if any are
    lost       the id of characters that the library would drop, as it has nothing for them
    """

    document: dict[str, Any]
    spellings: dict[str, str]
    in_bytes: int | None
    lost: int | None


def hidden(document: Mapping[str, Any], known: Vocabulary, stand_in: str) -> Hidden:
    """The document with reserved tokens spelled by a character that neither it nor the text has."""
    model = document["model"]
    merges = model.get("type", "BPE") == "BPE"
    kept = _alphabet(document) if merges else frozenset()
    names = [name for name in (*known.names, *(() if merges else known.bytes_)) if name not in kept]
    spellings = {name: f"{stand_in}{number}{stand_in}" for number, name in enumerate(names)}
    changed = {**model, "vocab": _renamed(model.get("vocab"), spellings)}
    if model.get("unk_token") is not None:
        changed["unk_token"] = spellings.get(model["unk_token"], model["unk_token"])
    in_bytes = lost = None
    if model.get("type") == "Unigram" and model.get("byte_fallback") is True and known.bytes_:
        in_bytes = model["unk_id"] if model.get("unk_id") is not None else next(iter(known.bytes_.values()))
        changed |= {"byte_fallback": False, "unk_id": in_bytes}
    elif merges:
        changed["merges"] = _merges(model.get("merges") or [], {*spellings, *known.bytes_})  # bytes keep their names
        free = next((name for name in spellings if name in known.ids), None)
        if model.get("unk_token") is None and not known.bytes_ and free is not None:
            lost, changed["unk_token"] = known.ids[free], spellings[free]
    added = _added(document.get("added_tokens") or [], known, spellings)
    made = {**document, "model": changed, "post_processor": None, "added_tokens": added}
    if merges and known.bytes_ and model.get("ignore_merges"):
        made["pre_tokenizer"] = _followed(document.get("pre_tokenizer"), _CUT)
    return Hidden(made, {name: spellings[name] for name in known.names if name in spellings}, in_bytes, lost)


def _alphabet(document: Mapping[str, Any]) -> frozenset[str]:
    """Characters that merges start from and that nothing could stand for: they stay, special or not."""
    model = document["model"]
    if model.get("unk_token") is None or _has(document.get("pre_tokenizer"), "ByteLevel"):
        return frozenset(token for token in model.get("vocab") or {} if len(token) == 1)
    return frozenset()


def _renamed(listed: Any, spellings: Mapping[str, str]) -> Any:
    """A vocabulary, whether it says ids or lists pieces with scores, in other spellings."""
    if isinstance(listed, dict):
        return {spellings.get(token, token): number for token, number in listed.items()}
    return [[spellings.get(entry[0], entry[0]), *entry[1:]] for entry in listed or []]


def _merges(merges: list[Any], reserved: set[str]) -> list[Any]:
    """The merges that neither make nor take a reserved token."""
    pairs = ((merge, merge.split(" ") if isinstance(merge, str) else merge) for merge in merges)
    return [merge for merge, pair in pairs if reserved.isdisjoint(pair) and "".join(pair) not in reserved]


def _added(added: list[dict[str, Any]], known: Vocabulary, spellings: Mapping[str, str]) -> list[dict[str, Any]]:
    entries = []
    for token in added:
        name = token["content"]
        if name in spellings:
            entries.append({**token, "content": spellings[name], "special": True, "normalized": False})
        elif name not in known.names and name not in known.bytes_:
            entries.append(token)
    listed = {token["content"] for token in added}
    more = [
        {"id": token, "content": spellings[name], **_PLAIN, "special": True}
        for name, token in known.names.items()
        if name not in listed and name in spellings
    ]
    return [*entries, *more]


def _followed(part: Any, step: Mapping[str, Any]) -> dict[str, Any]:
    """A pre-tokenizer, and another step behind it."""
    return {"type": "Sequence", "pretokenizers": [*([part] if part else []), step]}
