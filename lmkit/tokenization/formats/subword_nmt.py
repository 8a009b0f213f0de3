"""subword-nmt's codes: a version line, then a merge a line; words of characters, `</w>` at their end.

Version 0.2 counts the mark as part of a word's last character, 0.1 (and files without a
version) as a symbol of its own (Sennrich et al. 2016). The vocabulary is what the codes show:
characters, the same at the end of words, and merges.
"""

from collections.abc import Iterable

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.scheme import END_OF_WORD, Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats.gpt2 import read_pairs
from lmkit.tokenization.formats.tokenizer_json_writer import spell, spelled_merges
from lmkit.tokenization.vocabulary import NAMES, SPECIALS, Vocabulary

WHAT = "subword-nmt codes"
_VERSIONS = {"0.1": False, "0.2": True}
_PARTING = frozenset(" \t\r\n\0")


def read(data: bytes) -> BPETokenizer:
    """The tokenizer of the codes.

    Raises CheckpointError where a line is no merge, or no earlier one makes its parts.
    """
    version, pairs = read_pairs(data, WHAT)
    if (version or "0.1") not in _VERSIONS:
        raise CheckpointError(f"{WHAT} of version {version}, which lmkit does not know")
    if not pairs:
        raise CheckpointError(f"not {WHAT}: no merges")
    fused = _VERSIONS[version or "0.1"]
    symbols = [(_marked(left), _marked(right)) for left, right in pairs]
    pieces = [*NAMES, *_alphabet((part for pair in symbols for part in pair), fused=fused)]
    ids = {piece: number for number, piece in enumerate(pieces) if number >= len(NAMES)}  # text spelled <s> is no <s>
    rows: dict[tuple[int, int], int] = {}
    for number, (left, right) in enumerate(symbols, 1):
        for part in (left, right):
            if part not in ids or (part == left and left.endswith(b" ")):
                raise CheckpointError(f"merge {number}: no earlier merge makes {part.decode()!r}")
        merged = ids.setdefault(left + right, len(pieces))
        if merged == len(pieces):
            pieces.append(left + right)
        rows.setdefault((ids[left], ids[right]), merged)
    table = np.array([(left, right, merged) for (left, right), merged in rows.items()], dtype=np.int32)
    scheme = Scheme(level="char", pattern="whitespace", end_of_word=END_OF_WORD, fused=fused)
    names = {name: number for number, name in enumerate(NAMES)}
    return BPETokenizer(Vocabulary.of(pieces), table.reshape(-1, 3), scheme, names, SPECIALS)


def _marked(symbol: str) -> bytes:
    """A symbol with its end-of-word mark as a space. Raises CheckpointError where no word could have it."""
    if not _PARTING.isdisjoint(symbol):
        raise CheckpointError(f"not {WHAT}: {symbol!r} has white space in it")
    if symbol.endswith(END_OF_WORD):
        return symbol.removesuffix(END_OF_WORD).encode() + b" "
    return symbol.encode()


def _alphabet(parts: Iterable[bytes], *, fused: bool) -> list[bytes]:
    """The characters of the parts, in order of first appearance, and then the mark at the end of words."""
    characters = dict.fromkeys(character for part in parts for character in part.decode() if character != " ")
    plain = [character.encode() for character in characters]
    return [*plain, *(character + b" " for character in plain)] if fused else [*plain, b" "]


def write(tokenizer: Tokenizer) -> bytes:
    """The codes of a tokenizer of words' characters. Raises CheckpointError for others."""
    if not isinstance(tokenizer, BPETokenizer) or tokenizer.scheme.level != "char" or not tokenizer.scheme.end_of_word:
        raise CheckpointError(f"{WHAT} hold merges of characters with an end-of-word mark only")
    if tokenizer.scheme.normalize or tokenizer.scheme.whole_first:
        raise CheckpointError(f"{WHAT} can't say normalisation or whole words before merges")
    version = next(version for version, fused in _VERSIONS.items() if fused == tokenizer.scheme.fused)
    spelled = [END_OF_WORD if token == " " else token and token.replace(" ", END_OF_WORD) for token in spell(tokenizer)]
    lines = [f"{left} {right}" for left, right in spelled_merges(tokenizer, spelled)]
    return "\n".join([f"#version: {version}", *lines, ""]).encode()
