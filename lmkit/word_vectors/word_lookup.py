"""Finding the words of a test set among the first words of a space, whatever their case. Knows no questions."""

from collections.abc import Iterable, Mapping

from lmkit.tokenization.vocabulary import NAMES
from lmkit.word_vectors.vector_space import VectorSpace


def rows(space: VectorSpace, limit: int | None) -> int:
    """How many rows the first `limit` words take; special words are not counted, but before all others."""
    return space.tokenizer.size if limit is None else min(space.tokenizer.size, limit + len(NAMES))


def spellings(
    space: VectorSpace, words: Iterable[bytes], limit: int | None, *, fold: bool
) -> Mapping[bytes, list[int]]:
    """Ids of each word that has a vector among the first `limit`; words without one are left out.

    To `fold` is to take words that differ by case for one: its ids are those of all its spellings, in
    order. The first, which is the most frequent one, speaks for it.
    """
    last, wanted = rows(space, limit), dict.fromkeys(words)
    if not fold:
        ids = space.find(list(wanted)).tolist()
        return {word: [token] for word, token in zip(wanted, ids, strict=True) if 0 <= token < last}
    folded = {word: (space.normal(word) or word).decode(errors="replace").casefold() for word in wanted}
    found: dict[str, list[int]] = {text: [] for text in folded.values()}
    vocabulary = space.tokenizer.vocabulary
    data, ends = vocabulary.blob.tobytes(), vocabulary.offsets.tolist()
    for token in space.words().tolist():
        if token >= last:
            break
        same = found.get(data[ends[token] : ends[token + 1]].decode(errors="replace").casefold())
        if same is not None:
            same.append(token)
    return {word: found[text] for word, text in folded.items() if found[text]}
