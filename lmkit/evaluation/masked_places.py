"""What an encoder says of places of a text: the tokens that may fill a mask, and pseudo-likelihoods.

    fill       p(w | text with the place masked), at every mask, the other masks standing
    pseudo     sum over places of log p(w_i | all other tokens): one copy of the text a place, with that masked

Salazar et al. (2020), equation 1; exp(-pseudo / N) is the pseudo-perplexity. Knows no files.

N tokens of a text, M masks, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.evaluation.perplexity import Line, Totals, measure
from lmkit.evaluation.sentence_vectors import TooLong
from lmkit.protocols import F32, F64, I32, I64, Encoder

BATCH_TOKENS = 1 << 12


class Candidate(NamedTuple):
    """A token for a place, and its log-probability there."""

    token: int
    nats: float


class Masked(NamedTuple):
    """A sequence with special tokens and its segments, (N,), and the places in it that are asked about, (M,)."""

    ids: I32
    segments: I32
    places: I32


def masked_text(model: Encoder, ids: I32, *, window: bool = False) -> list[Masked]:
    """A text whose ids have the mask token at M places as sequences with M places in all, in order.

    That is one sequence, or with `window` one a mask, of the tokens around it, where the text is too long.
    Raises DataError for a text without mask, TooLong for one that is, without `window`.
    """
    places = np.flatnonzero(ids == model.form.mask_token)
    if not len(places):
        raise DataError("no mask in the text", hint="write [MASK] at each place to fill")
    room = model.context - model.form.around
    if len(ids) <= room:
        return [_around(model, ids, places)]
    if not window:
        raise _too_long(model, len(ids), 1, "--window reads the tokens around each mask")
    begins = np.clip(places - room // 2, 0, len(ids) - room)
    return [
        _around(model, ids[begin : begin + room], np.array([place - begin]))
        for begin, place in zip(begins.tolist(), places.tolist(), strict=True)
    ]


def _too_long(model: Encoder, tokens: int, line: int, hint: str) -> TooLong:
    return TooLong.of(tokens + model.form.around, model.context, line, hint)


def _around(model: Encoder, ids: I32, places: I64) -> Masked:
    whole, segments = model.form.single(ids)
    return Masked(whole, segments, (places + int(model.form.cls is not None)).astype(np.int32))


def log_probabilities(model: Encoder, texts: Sequence[Masked]) -> list[F32]:
    """Nats of every token at the places of several sequences, (M, V) each. Raises CheckpointError for no numbers."""
    lengths = [len(text.ids) for text in texts]
    begins = np.cumsum(lengths) - lengths
    hidden = model.hidden_states(
        np.concatenate([text.ids for text in texts]), np.concatenate([text.segments for text in texts]), lengths
    )
    counts = [len(text.places) for text in texts]
    places = np.concatenate([text.places + begin for text, begin in zip(texts, begins.tolist(), strict=True)])
    nats = model.log_probabilities(hidden[places])
    if np.isnan(nats).any():
        raise CheckpointError("damaged checkpoint: its weights give no probabilities")
    return list(np.split(nats, np.cumsum(counts)[:-1]))


def fill(model: Encoder, texts: Sequence[Masked], top: int) -> list[list[Candidate]]:
    """The `top` tokens of each place of some sequences, most probable first; of equals the lower id first."""
    found = []
    for nats in log_probabilities(model, texts):
        for row in nats:
            order = np.argsort(-row, kind="stable")[:top]
            found.append([Candidate(int(token), float(row[token])) for token in order])
    return found


def pseudo_nats(model: Encoder, ids: I32, ends: I64, batch_tokens: int = BATCH_TOKENS) -> F64:
    """log p of each token given all others of its text, (N,), of texts laid end to end; `ends` are where they end.

    Raises TooLong for a text that is.
    """
    mask, before = model.form.mask_token, int(model.form.cls is not None)
    begins = np.append(0, ends[:-1]).tolist()
    for number, (begin, end) in enumerate(zip(begins, ends.tolist(), strict=True), 1):
        if end - begin + model.form.around > model.context:
            raise _too_long(model, end - begin, number, "score shorter lines")

    def copies() -> Iterator[Masked]:
        for begin, end in zip(begins, ends.tolist(), strict=True):
            whole, segments = model.form.single(ids[begin:end])
            for place in range(before, before + end - begin):
                copy = whole.copy()
                copy[place] = mask
                yield Masked(copy, segments, np.array([place], dtype=np.int32))

    nats = np.empty(len(ids))
    done = 0
    for some in batches(copies(), batch_tokens):
        tokens = ids[done : done + len(some)].tolist()
        for row, token in zip(log_probabilities(model, some), tokens, strict=True):
            nats[done] = row[0, token]
            done += 1
    return nats


def batches(texts: Iterable[Masked], batch_tokens: int) -> Iterator[list[Masked]]:
    """Sequences in order, of `batch_tokens` together or one longer."""
    held: list[Masked] = []
    tokens = 0
    for text in texts:
        if held and tokens + len(text.ids) > batch_tokens:
            yield held
            held, tokens = [], 0
        held.append(text)
        tokens += len(text.ids)
    if held:
        yield held


def pseudo_lines(model: Encoder, block: bytes) -> Iterator[Line]:
    """The lines of a block with their tokens' pseudo log-probabilities. Raises TooLong as `pseudo_nats`."""
    ids, ends = model.tokenizer.encode_block(block)
    nats = pseudo_nats(model, ids, ends)
    begin = 0
    for text, end in zip(block[:-1].split(b"\n"), ends.tolist(), strict=True):
        yield Line(text, ids[begin:end], nats[begin:end])
        begin = end


def pseudo_totals(model: Encoder, block: bytes) -> Totals:
    """The totals of whole lines, line ends left out: these are no tokens. Raises TooLong as `pseudo_nats`."""
    ids, ends = model.tokenizer.encode_block(block)
    nats, sizes = pseudo_nats(model, ids, ends), measure(block)
    unknown = ids == model.tokenizer.specials.get("unk", -1)
    return Totals(
        len(ids), int(np.count_nonzero(unknown)), float(nats.sum()), float(nats[~unknown].sum()), sizes.words,
        sizes.characters - sizes.lines, sizes.size - sizes.lines,
    )  # fmt: skip
