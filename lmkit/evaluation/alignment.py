"""Alignment: what an encoder-decoder takes of each source token while it predicts each target token. Knows no files.

N tokens of a source, M of a target.
"""

from typing import NamedTuple

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, I32, EncoderDecoder, Tokenizer

LEAST, TIMES = 20, 3
"""A target that is generated has at most TIMES as many tokens as its source, and LEAST more."""


class Within(NamedTuple):
    """Tokens of one side, and what each takes from each, (layers, heads, N, N)."""

    tokens: list[str]
    weights: F32


class Alignment(NamedTuple):
    """Tokens of both sides, special ones too, and weights, (layers, heads, M, N), whose rows sum to 1.

    `within` has what the encoder's tokens and the decoder's take from one another, where the model has self-attention.
    """

    source: list[str]
    target: list[str]
    weights: F32
    within: "tuple[Within, Within] | None" = None

    @property
    def scores(self) -> int:
        """N M: how many scores each head computes."""
        return int(self.weights.shape[2] * self.weights.shape[3])


def align(model: EncoderDecoder, source: bytes, target: bytes | None = None) -> Alignment:
    """Align a text with its target, greedily generated where none is given; the target's end is a token of it.

    Raises DataError for what the model can't read, CheckpointError where it has no attention to its source.
    """
    ids = model.source_ids(source)
    made = _greedy(model, ids) if target is None else _ended(model, target)
    weights = model.alignment(ids, made)
    return Alignment(_pieces(model.source_tokenizer, ids), _pieces(model.tokenizer, made), weights)


def align_within(model: EncoderDecoder, source: bytes, target: bytes | None = None) -> Alignment:
    """As `align`, and what the tokens of each side take from one another, where the model has self-attention."""
    found = align(model, source, target)
    ids = model.source_ids(source)
    made = _greedy(model, ids) if target is None else _ended(model, target)
    try:
        own = model.encoder_attention(ids).weights, model.decoder_attention(ids, made).weights
    except CheckpointError:
        return found
    before = own[1].shape[-1] - len(made) + 1  # the start token, and others that are given of each target
    inputs = [*["<start>"] * before, *found.target[:-1]]
    return found._replace(within=(Within(found.source, own[0]), Within(inputs, own[1])))


def _ended(model: EncoderDecoder, target: bytes) -> I32:
    if b"\n" in target:
        raise DataError("the target has several lines, but the model writes single lines")
    ids = np.append(model.tokenizer.encode(target), np.int32(model.form.newline_id or 0)).astype(np.int32)
    if model.target_limit is not None and len(ids) > model.target_limit:
        raise DataError(f"a target of {len(ids)} tokens, its end too, exceeds the model's {model.target_limit}")
    return ids


def _greedy(model: EncoderDecoder, source: I32) -> I32:
    """Return the most probable token at each step up to the end."""
    writer = model.given(source)
    state, made = writer.start(), list[int]()
    most = LEAST + TIMES * len(source)
    while len(made) < (most if model.target_limit is None else min(most, model.target_limit)):
        made.append(int(np.argmax(writer.next(state))))
        if made[-1] == model.form.newline_id:
            break
        state = writer.advance(state, made[-1])
    return np.array(made, dtype=np.int32)


def _pieces(tokenizer: Tokenizer, ids: I32) -> list[str]:
    return [tokenizer.piece(token).decode(errors="replace") for token in ids.tolist()]
