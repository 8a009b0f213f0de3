"""What the formats share: from visible tokens and merges to a tokenizer, roles of special tokens, JSON."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.isolation import LimitError
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER, from_visible
from lmkit.tokenization.bpe.pretokenization import WALLS, find
from lmkit.tokenization.bpe.scheme import PATTERNS, Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.vocabulary import Vocabulary

ROLE_NAMES: Mapping[str, tuple[str, ...]] = {
    "unk": ("<unk>", "[UNK]", "<|unk|>"),
    "bos": ("<s>", "[CLS]", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>"),
    "eos": ("</s>", "[SEP]", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
}
_NAME = re.compile(r"<\S+>|\[\S+\]")
_SPARE = 1 << 16  # ids that may stand for nothing, beside as many as there are tokens


def is_name(token: str) -> bool:
    """Whether a token is spelled as special tokens are: in brackets, without white space."""
    return _NAME.fullmatch(token) is not None


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object whose keys stand once. Raises CheckpointError for anything else."""
    try:
        value = json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise CheckpointError(f"not {what}: JSON nested too deeply") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"not {what}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise CheckpointError(f"not {what}: no JSON at line {error.lineno} ({error.msg})") from None
    except ValueError as error:
        raise CheckpointError(f"not {what}: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"not {what}: the JSON is no object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} occurs twice")
    return value


def check_ids(ids: Mapping[str, Any], more: Iterable[int] = ()) -> int:
    """The size of a vocabulary with the given ids. Raises CheckpointError where they are none or stand twice."""
    for token, value in ids.items():
        if type(value) is not int or value < 0:
            raise CheckpointError(f"the id of {token!r} is {json.dumps(value)[:40]}, not a number of a token")
    if len(set(ids.values())) != len(ids):
        owner: dict[int, str] = {}
        for token, value in ids.items():
            if value in owner:
                raise CheckpointError(f"{owner[value]!r} and {token!r} have the same id {value}")
            owner[value] = token
    highest = max([*ids.values(), *more], default=-1)
    if highest >= 2 * len(ids) + _SPARE:
        raise CheckpointError(f"id {highest} is far beyond the {len(ids)} tokens")
    return highest + 1


def roles(ids: Mapping[str, int], said: Mapping[str, str | None]) -> dict[str, int]:
    """Ids of `unk`, `bos` and `eos`: those that the file says, else those with a usual name."""
    found = {}
    for role, usual in ROLE_NAMES.items():
        token = next((name for name in (said.get(role), *usual) if name is not None and name in ids), None)
        if token is not None:
            found[role] = ids[token]
    if found.get("unk", -1) in (found.get("bos"), found.get("eos")):
        del found["unk"]  # a token that also ends texts says nothing of what is unknown
    return found


def byte_level(
    tokens: Mapping[str, int], merges: Iterable[tuple[str, str]], names: Mapping[str, int], scheme: Scheme,
    specials: Mapping[str, int],
) -> BPETokenizer:  # fmt: skip
    """A byte-level tokenizer from visible tokens, pairs of them in order of priority, and special tokens.

    Ids that no token has stand for nothing. Of equal pairs the last counts, as in tokenizer.json
    files. Raises CheckpointError where a byte has no token, a token no bytes, or a merge
    no token.
    """
    check_pattern(scheme)
    pieces = [b""] * check_ids({**tokens, **names})
    for token, number in tokens.items():
        if token not in names:
            pieces[number] = _spelled(token)
    for byte, character in enumerate(BYTE_TO_CHARACTER):
        if character not in tokens:
            raise CheckpointError(f"the vocabulary lacks {character!r}, the symbol of byte 0x{byte:02x}")
    encoded = {}
    for name, number in names.items():
        pieces[number] = encoded_name(name)
        encoded[pieces[number]] = number
    pairs = merge_rows(tokens, merges)
    return BPETokenizer(Vocabulary.of(pieces), pairs, scheme, encoded, specials)


def encoded_name(name: str) -> bytes:
    """A special token's name as UTF-8. Raises CheckpointError where it is no text."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise CheckpointError(f"the special token {name!r} is not Unicode text") from None


def _spelled(token: str) -> bytes:
    try:
        return from_visible(token)
    except KeyError as error:
        raise CheckpointError(f"the token {token!r} has {error.args[0]!r}, which represents no byte") from None


def merge_rows(tokens: Mapping[str, int], merges: Iterable[tuple[str, str]]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Ids of left, right and merged token of each pair, (M, 3). Raises CheckpointError where one has none."""
    rows: dict[tuple[int, int], int] = {}
    for number, (left, right) in enumerate(merges, 1):
        try:
            pair = tokens[left], tokens[right]
            merged = tokens[left + right]
        except KeyError as error:
            raise CheckpointError(
                f"merge {number} ({left!r} and {right!r}): the vocabulary has no {error.args[0]!r}"
            ) from None
        rows.pop(pair, None)
        rows[pair] = merged
    table = np.array([(left, right, merged) for (left, right), merged in rows.items()], dtype=np.int32)
    return table.reshape(-1, 3)


def check_pattern(scheme: Scheme) -> None:
    """Raises CheckpointError where the scheme's pattern is no regular expression."""
    if scheme.pattern in PATTERNS:
        return
    try:
        find("aé\n".encode(), scheme.pattern, scheme.digits, WALLS)
    except LimitError:
        raise
    except DataError as error:
        raise CheckpointError(f"the pattern {scheme.pattern!r}: {error}") from None
