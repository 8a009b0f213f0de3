"""Any tokenizer with the special tokens of language models: `<unk>`, `<s>` and `</s>` as ids 0, 1 and 2.

N-gram models, and texts of several lines, need these three. A tokenizer that has them elsewhere, or calls them
otherwise, is renumbered: the three come first, all others follow in their order. Text is cut as before.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import tokenizer_json, tokenizer_json_writer
from lmkit.tokenization.formats.vocab_and_merges import parse_json
from lmkit.tokenization.vocabulary import NAMES, SPECIALS

_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def has_sentence_ends(tokenizer: Tokenizer) -> bool:
    """Whether texts and their lines can be marked: `bos` and `eos` are there, and not one token."""
    specials = tokenizer.specials
    return {"bos", "eos"} <= set(specials) and specials["bos"] != specials["eos"]


def with_sentence_marks(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer, renumbered where `<unk>`, `<s>` and `</s>` are not 0, 1 and 2.

    Marks that it lacks are added; of one token for two, the first role keeps it. What puts special tokens around
    texts is left out. Raises CheckpointError where the tokenizer can't be said in a tokenizer.json.
    """
    if dict(tokenizer.specials) == dict(SPECIALS):
        return tokenizer
    document = parse_json(tokenizer_json_writer.write(tokenizer), tokenizer_json.WHAT)
    old = _ids(document)
    marks = _marks(old, tokenizer.specials)
    others = [name for name in sorted(old, key=old.__getitem__) if name not in marks]
    names = {name: _mark_name(old, name, mark.decode()) for name, mark in zip(marks, NAMES, strict=True)}
    new = {names.get(name, name): number for number, name in enumerate([*marks, *others])}
    made = _renumbered(document, names, new)
    config = {f"{role}_token": names[name] for role, name in zip(SPECIALS, marks, strict=True)}
    data = (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()
    return tokenizer_json.read(data, json.dumps(config).encode())


def _ids(document: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token, those of the model and added ones."""
    listed = document["model"].get("vocab") or {}
    ids = dict(listed) if isinstance(listed, dict) else {entry[0]: token for token, entry in enumerate(listed)}
    for token in document.get("added_tokens") or []:
        ids.setdefault(token["content"], token["id"])
    return ids


def _marks(ids: Mapping[str, int], specials: Mapping[str, int]) -> list[str]:
    """The tokens that become `<unk>`, `<s>` and `</s>`, by their present names; usual names of those that are added."""
    by_id = {number: name for name, number in ids.items()}
    marks: list[str] = []
    for role, usual in zip(SPECIALS, NAMES, strict=True):
        name = by_id.get(specials.get(role, -1), usual.decode())
        marks.append(usual.decode() if name in marks else name)
    return marks


def _mark_name(ids: Iterable[str], name: str, usual: str) -> str:
    """The usual name of a mark, unless another token has it."""
    return name if usual != name and usual in ids else usual


def _renumbered(document: Mapping[str, Any], names: Mapping[str, str], new: Mapping[str, int]) -> dict[str, Any]:
    """The document with some tokens renamed, and the ids of `new`; marks are in the model's vocabulary."""
    model = dict(document["model"])
    marks = set(names.values())
    listed = model.get("vocab") or {}
    if isinstance(listed, dict):
        kept = {names.get(name, name) for name in listed} | marks
        model["vocab"] = {name: number for name, number in new.items() if name in kept}
    else:
        scores = {names.get(name, name): score for name, score in listed}
        unknown = (
            None if model.get("unk_id") is None else names.get(listed[model["unk_id"]][0], listed[model["unk_id"]][0])
        )
        kept = scores.keys() | marks
        model["vocab"] = [[name, scores.get(name, 0.0)] for name in new if name in kept]
        model["unk_id"] = None if unknown is None else new[unknown]
    if model.get("unk_token") is not None:
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    added = {names.get(token["content"], token["content"]): token for token in document.get("added_tokens") or []}
    added |= {name: {"content": name, **_PLAIN} for name in names.values() if name not in added}
    tokens = [{**token, "id": new[name], "content": name} for name, token in added.items()]
    return {
        **document, "truncation": None, "padding": None, "post_processor": None, "model": model,
        "added_tokens": sorted(tokens, key=lambda token: int(token["id"])),
    }  # fmt: skip
