"""From counted pre-tokens to a tokenizer: alphabet, special tokens, merges."""

from collections.abc import Callable, Sequence

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, I64
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER
from lmkit.tokenization.bpe.merge_learning import Words, learn
from lmkit.tokenization.bpe.pretoken_counts import PretokenCounts
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.vocabulary import NAMES, SPECIALS, Vocabulary

BYTE_ORDER = sorted(range(256), key=BYTE_TO_CHARACTER.__getitem__)
"""Bytes in the order of the characters that stand for them, which is that of GPT-2's ids."""
_MARK = b" "


def fit(
    counts: PretokenCounts, size: int, *, minimum: int = 1, special: Sequence[bytes] = (),
    told: Callable[[int], None] = lambda _done: None, exact: bool = True,
) -> BPETokenizer:  # fmt: skip
    """A tokenizer of exactly `size` pieces: special tokens, alphabet, merges, in this order of ids.

    `<unk>`, `<s>` and `</s>` are always there, as 0, 1 and 2. Raises DataError, with what can
    be reached, where the size can't be; without `exact` a tokenizer of as many as there are.
    """
    names = list(dict.fromkeys([*NAMES, *special]))
    scheme = counts.scheme
    alphabet, words = _bytes(counts, len(names)) if scheme.level == "byte" else _characters(counts, len(names))
    pieces = [*names, *alphabet]
    if size < len(pieces):
        what = "bytes" if scheme.level == "byte" else "characters"
        raise DataError(
            f"a vocabulary of {size} can't hold {len(names)} special tokens and {len(alphabet)} {what}",
            hint=f"--vocab-size {len(pieces)} or more",
        )
    symbols = {piece: token for token, piece in enumerate(alphabet, len(names))}
    first_seen = scheme.level == "char"
    learned = learn(words, pieces, symbols, size, minimum, first_seen=first_seen, told=told)
    reached = len(pieces) + len(learned.pieces)
    if reached < size and exact:
        raise DataError(
            f"a vocabulary of {size} can't be reached: this text has merges for {reached}",
            hint=f"--vocab-size {reached}" + (", or a lower --min-frequency" if minimum > 1 else ", or more text"),
        )
    pairs = np.array(learned.merges, dtype=np.int32).reshape(-1, 3)
    vocabulary = Vocabulary.of([*pieces, *learned.pieces])
    return BPETokenizer(vocabulary, pairs, scheme, {name: token for token, name in enumerate(names)}, SPECIALS)


def _bytes(counts: PretokenCounts, first: int) -> tuple[list[bytes], Words]:
    """All bytes, in GPT-2's order, and the pre-tokens in them."""
    table = np.zeros(256, dtype=np.int32)
    table[BYTE_ORDER] = np.arange(first, first + 256)
    return [bytes([byte]) for byte in BYTE_ORDER], Words(table[counts.blob], np.diff(counts.offsets), counts.counts)


def _characters(counts: PretokenCounts, first: int) -> tuple[list[bytes], Words]:
    """The characters seen, in order of first appearance, then the mark at the end of a word; and the words in them."""
    points = np.frombuffer(counts.blob.tobytes().decode().encode("utf-32-le"), dtype="<i4")
    seen, at, inverse = np.unique(points, return_index=True, return_inverse=True)
    rank = np.empty(len(seen), dtype=np.int32)
    order = np.argsort(at)
    rank[order] = np.arange(first, first + len(seen))
    symbols: I32 = rank[inverse]
    whole = np.append(0, np.cumsum((counts.blob & 0xC0) != 0x80))
    lengths: I64 = np.diff(whole[counts.offsets])
    alphabet = [chr(point).encode() for point in seen[order].tolist()]
    if counts.scheme.end_of_word:
        symbols = np.insert(symbols, np.cumsum(lengths), np.int32(first + len(alphabet)))
        lengths, alphabet = lengths + 1, [*alphabet, _MARK]
    return alphabet, Words(symbols, lengths, counts.counts)
