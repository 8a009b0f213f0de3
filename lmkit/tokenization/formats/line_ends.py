r"""Line ends in a tokenizer.json: a text's `\n` as the token that a model reads at the end of each line.

A model trained by lmkit reads `</s>` there, and each line is encoded on its own. The tokenizers
library does the same where the token is spelled `\n` and is looked for before anything else, as
an added one. A `\r` in front goes, as it does when lmkit reads text. Names of special tokens are
not looked for, since they were not when the model was trained.
"""

import json
from collections.abc import Mapping
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import tokenizer_json, tokenizer_json_vocab, tokenizer_json_writer
from lmkit.tokenization.formats.tokenizer_json_vocab import replace
from lmkit.tokenization.formats.tokenizer_json_writer import sequence
from lmkit.tokenization.formats.vocab_and_merges import is_name, parse_json

FEED, NAME = "\n", "</s>"
_RETURN = replace(r"\r\z", "")
_NO_SPACE = replace(r" (?=\n)", "")
_ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


def write(tokenizer: Tokenizer, newline_id: int | None) -> bytes:
    """A tokenizer.json in which line ends are the token `newline_id`, text as any other where that is None.

    Raises CheckpointError where the tokenizer can't be said in one.
    """
    if newline_id is None and tokenizer.json is not None:
        return tokenizer.json
    document = _document(tokenizer)
    if newline_id is not None:
        document = _with(document, newline_id)
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _document(tokenizer: Tokenizer) -> dict[str, Any]:
    if not tokenizer.is_subword:
        return tokenizer_json_vocab.document_of(tokenizer)
    return parse_json(tokenizer_json_writer.write(tokenizer), "a tokenizer.json")


def read(data: bytes, config: bytes | None) -> tuple[Tokenizer, int | None]:
    """The tokenizer of a tokenizer.json, and the token that `write` put for line ends, if it did.

    Raises CheckpointError as `tokenizer_json.read` does.
    """
    document = parse_json(data, tokenizer_json.WHAT)
    added = document.get("added_tokens")
    feeds = [token for token in added if isinstance(token, dict)] if isinstance(added, list) else []
    newline_id = next((token.get("id") for token in feeds if token.get("content") == FEED), None)
    if type(newline_id) is int:
        bare = {**document, "post_processor": None}  # folders of classifiers have tokens around texts
        plain = _without(bare, newline_id)
        if plain is not None:
            tokenizer = tokenizer_json_vocab.tokenizer_of(plain) or _merges(plain)
            if tokenizer is not None and _same(_with(_document(tokenizer), newline_id), bare):
                return tokenizer, newline_id
    listed = tokenizer_json_vocab.tokenizer_of(document)
    return listed or tokenizer_json.read(data, config), None


def _merges(document: Mapping[str, Any]) -> Tokenizer | None:
    data = json.dumps(document).encode()
    try:
        return tokenizer_json.read(data) if tokenizer_json.why_foreign(data) is None else None
    except CheckpointError:
        return None


def _with(document: Mapping[str, Any], newline_id: int) -> dict[str, Any]:
    """The document with `newline_id` spelled as a line end, and without what an encoder puts around texts."""
    model = document["model"]
    vocabulary = model["vocab"]
    if FEED in (vocabulary if isinstance(vocabulary, dict) else [entry[0] for entry in vocabulary]):
        raise CheckpointError("the vocabulary has a line end already, beside the token that ends lines")
    return {
        **document, "added_tokens": _added(document.get("added_tokens") or [], vocabulary, newline_id),
        "normalizer": sequence("normalizers", [_RETURN, *_steps("normalizers", document.get("normalizer"))]),
        "decoder": _decoder(document), "post_processor": None,
        "model": {**model, "vocab": _renamed(vocabulary, newline_id, FEED)},
    }  # fmt: skip


def _without(document: Mapping[str, Any], newline_id: int) -> dict[str, Any] | None:
    """The inverse of `_with`, the token spelled NAME again; None where that was not at work."""
    normalizers = _steps("normalizers", document.get("normalizer"))
    model = document.get("model")
    if not normalizers or normalizers[0] != _RETURN or not isinstance(model, dict):
        return None
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or vocabulary.get(FEED) != newline_id or NAME in vocabulary:
        return None
    if len(document["added_tokens"]) != 1:
        return None
    listed = model.get("type") != "BPE" or not model.get("merges")
    added = [] if listed else _special_names(model, newline_id)
    decoders = _steps("decoders", document.get("decoder"))
    if decoders[-2:] == [{"type": "Fuse"}, _NO_SPACE]:
        decoders = decoders[:-2]
    return {
        **document, "added_tokens": added, "normalizer": sequence("normalizers", normalizers[1:]),
        "decoder": sequence("decoders", decoders), "model": {**model, "vocab": _renamed(vocabulary, newline_id, NAME)},
    }  # fmt: skip


def _renamed(vocabulary: Any, token: int, name: str) -> Any:
    """A vocabulary, whether it says ids or lists pieces with scores, with another spelling of one token."""
    if isinstance(vocabulary, dict):
        return {name if number == token else piece: number for piece, number in vocabulary.items()}
    return [[name, *entry[1:]] if number == token else entry for number, entry in enumerate(vocabulary)]


def _added(added: list[dict[str, Any]], vocabulary: Any, newline_id: int) -> list[dict[str, Any]]:
    """Added tokens with the one for line ends, and without special ones that the vocabulary has anyhow."""
    feed = {"id": newline_id, "content": FEED, **_ADDED}
    listed = vocabulary if isinstance(vocabulary, dict) else {}
    kept = [
        entry for entry in added
        if entry.get("id") != newline_id and not (entry.get("special") and entry.get("content") in listed)
    ]  # fmt: skip
    return sorted([*kept, feed], key=lambda entry: int(entry["id"]))


def _special_names(model: Mapping[str, Any], newline_id: int) -> list[dict[str, Any]]:
    """The special tokens of merges that `_added` left out: names in brackets that no merge makes."""
    made = {"".join(pair) for pair in model.get("merges", ()) if isinstance(pair, list)}
    named = {piece: token for piece, token in model["vocab"].items() if is_name(piece) and len(piece) > 2}
    names = {token: piece for piece, token in named.items() if piece not in made} | {newline_id: NAME}
    return [{"id": token, "content": names[token], **_ADDED, "special": True} for token in sorted(names)]


def _decoder(document: Mapping[str, Any]) -> Any:
    """Words that end in a space do not before a line end."""
    decoder = document.get("decoder")
    model = document["model"]
    if model.get("type") != "BPE" or "ByteLevel" in json.dumps(decoder) or "Byte" in json.dumps(decoder):
        return decoder
    return sequence("decoders", [*_steps("decoders", decoder), {"type": "Fuse"}, _NO_SPACE])


def _steps(key: str, part: Any) -> list[Any]:
    """The members of a sequence, or the single one."""
    if not isinstance(part, dict):
        return []
    members = part.get(key) if part.get("type") == "Sequence" else [part]
    return members if isinstance(members, list) else []


def _same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
