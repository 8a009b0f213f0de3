"""One vector for each text of an encoder: its hidden states, pooled; texts are run by length, and come back in order.

Nothing is padded, so that a vector depends on nothing beside its text but for rounding. Knows no files.

N tokens, S texts, D width.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, F64, I32, I64, Encoder

BATCH_TOKENS = 1 << 12
REFUSE, TRUNCATE, WINDOW = LONG = ("refuse", "truncate", "window")
"""What is done with a text of too many tokens: an error, its beginning, or all of it in windows side by side."""
TOO_LONG = "--truncate takes the beginning, --window all of it in windows"


class TooLong(DataError):
    """A text has more tokens than a model takes; `line` is its number among those given, from 1."""

    line = 1

    @classmethod
    def of(cls, tokens: int, most: int, line: int = 1, hint: str | None = None) -> "TooLong":
        """For a text of so many tokens."""
        error = cls(f"{tokens} tokens with the special ones, the model takes {most}", hint=hint)
        error.line = line
        return error


class SentencePooling(NamedTuple):
    """How a text becomes a vector.

    mode       `mean` or `max` over all its tokens, special ones too, or the state of the first, `cls`
    normalize  whether the vector is divided by its length
    limit      the most tokens, special ones too; 0: as many as the model sees at once
    long       one of LONG
    """

    mode: str = "mean"
    normalize: bool = False
    limit: int = 0
    long: str = REFUSE


def sentence_vectors(
    model: Encoder, ids: I32, ends: I64, pooling: SentencePooling, batch_tokens: int = BATCH_TOKENS
) -> list[F32 | None]:
    """The vectors, (D,), of texts laid end to end; None of a text without tokens. `ends` are where texts end.

    Windows of a long text count by their tokens in a `mean`; their first states are averaged for `cls`.
    Raises TooLong, and CheckpointError where weights give no numbers.
    """
    pieces, owners = _pieces(model, ids, ends, pooling)
    parts: list[list[tuple[F64, int]]] = [[] for _ in range(len(ends))]
    order = np.argsort([len(piece) for piece in pieces], kind="stable").tolist()
    for some in _batches(order, [len(piece) for piece in pieces], batch_tokens):
        for piece, part in zip(some, _pooled(model, [pieces[one] for one in some], pooling.mode), strict=True):
            parts[owners[piece]].append(part)
    return [_joined(several, pooling) if several else None for several in parts]


def _pieces(model: Encoder, ids: I32, ends: I64, pooling: SentencePooling) -> tuple[list[I32], list[int]]:
    """Stretches of texts that are run as one sequence each, and the text of each."""
    most = min(pooling.limit or model.context, model.context)
    room = most - model.form.around
    pieces: list[I32] = []
    owners: list[int] = []
    begin = 0
    for number, end in enumerate(ends.tolist()):
        size = end - begin
        if size > room and pooling.long == REFUSE:
            raise TooLong.of(size + model.form.around, most, number + 1, TOO_LONG)
        stop = min(end, begin + room) if pooling.long == TRUNCATE else end
        for place in range(begin, stop, room):
            pieces.append(ids[place : min(place + room, stop)])
            owners.append(number)
        begin = end
    return pieces, owners


def _batches(order: Sequence[int], sizes: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """The sequences in order, of `batch_tokens` together or one longer."""
    held: list[int] = []
    tokens = 0
    for one in order:
        if held and tokens + sizes[one] > batch_tokens:
            yield held
            held, tokens = [], 0
        held.append(one)
        tokens += sizes[one]
    if held:
        yield held


def _pooled(model: Encoder, pieces: Sequence[I32], mode: str) -> list[tuple[F64, int]]:
    """For each sequence the sum of its states, or their maximum, or the first of them, and how many these are."""
    sequences = [model.form.single(piece) for piece in pieces]
    lengths = [len(ids) for ids, _ in sequences]
    hidden = model.hidden_states(
        np.concatenate([ids for ids, _ in sequences]), np.concatenate([kinds for _, kinds in sequences]), lengths
    )
    if not np.isfinite(hidden).all():
        raise CheckpointError("damaged checkpoint: its weights give no vectors")
    begins = np.append(0, np.cumsum(lengths)[:-1]).astype(np.int64)
    if mode == "mean":
        return list(zip(np.add.reduceat(hidden, begins, axis=0, dtype=np.float64), lengths, strict=True))
    found = hidden[begins] if mode == "cls" else np.maximum.reduceat(hidden, begins, axis=0)
    return [(row, 1) for row in found.astype(np.float64)]


def _joined(parts: Sequence[tuple[F64, int]], pooling: SentencePooling) -> F32:
    """The vector of a text of its windows'."""
    vectors = np.stack([vector for vector, _ in parts])
    vector = vectors.max(axis=0) if pooling.mode == "max" else vectors.sum(axis=0) / sum(count for _, count in parts)
    if pooling.normalize and (length := np.linalg.norm(vector)):
        vector = vector / length
    found: F32 = vector.astype(np.float32)
    return found
