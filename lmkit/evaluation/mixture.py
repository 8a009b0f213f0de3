"""A mixture of language models, p = sum of w_i p_i, and its weights by EM. Jelinek and Mercer (1980).

Each model keeps its own way of reading (its form, its context, its state); what must be the same
is the sequence of tokens. Knows no files.

Shapes: N tokens, M models, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy

import numpy as np

from lmkit import __version__
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.evaluation.parallel_readers import in_step
from lmkit.evaluation.perplexity import Totals, measured, totals_of
from lmkit.protocols import F64, I32, I64, Bool, LanguageModel, SequenceFormat, State, Tokenizer
from lmkit.tokenization.normalization import of_tokenizer
from lmkit.tokenization.vocabulary import UNK
from lmkit.tokenization.vocabulary_union import unite_tokenizers

ROUNDS = 1000
TOLERANCE = 1e-10  # nats a token

Heard = Callable[[int, I32, F64], None]
"""Called with the tokens that one of the models has scored: its number, its own ids and nats."""


def mixed(nats: F64, weights: F64) -> F64:
    """log of the sum of w_i exp(nats_i) over the last axis, (..., M) to (...)."""
    with np.errstate(divide="ignore"):
        joint = nats + np.log(weights)
    highest = joint.max(axis=-1)
    base = np.where(np.isneginf(highest), 0.0, highest)
    with np.errstate(divide="ignore"):
        total: F64 = base + np.log(np.exp(joint - base[..., None]).sum(axis=-1))
    return total


def maximise(nats: F64, tolerance: float = TOLERANCE, rounds: int = ROUNDS) -> Iterator[tuple[F64, float]]:
    """EM: weights, (M,), and the mean nats a token that they give, (N, M) given; each time better than before.

    w_i becomes the mean of w_i p_i / sum_j w_j p_j over tokens, from equal weights on, until a round
    gains less than `tolerance`. Tokens that no model gives a probability tell nothing and are left out.
    Raises DataError where none is left.
    """
    highest = nats.max(axis=1, initial=-np.inf)
    possible = np.isfinite(highest)
    if not possible.any():
        raise DataError("no token of the development text has a probability under any of the models")
    ratios = np.exp(nats[possible] - highest[possible, None])
    base = float(highest[possible].mean())
    weights = np.full(nats.shape[1], 1.0 / nats.shape[1])
    last = -np.inf
    for _ in range(rounds):
        joint = ratios @ weights
        gained = base + float(np.log(joint).mean())
        if gained <= last + tolerance:
            return
        yield weights, gained
        last = gained
        weights = weights * (ratios.T @ (1.0 / joint))
        weights /= weights.sum()


def best_weights(nats: F64) -> F64:
    """Weights, (M,), that maximise the likelihood of tokens scored by M models, (N, M). Raises DataError."""
    *_, (weights, _) = maximise(nats)
    return weights


class Mixture:
    """A LanguageModel made of several; its state is the tuple of theirs.

    Its tokens are those that any of the models has. A token that a model lacks counts as that
    model's unknown one, as it does when the model scores alone; only where the models have the
    same tokens do the probabilities sum to one.

    Raises DataError where the tokens don't line up.
    """

    kind = "mixture"

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float]) -> None:
        self.models = list(models)
        self.weights: F64 = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        self.form = _form(self.models)
        self.tokenizer, self._out = _united([model.tokenizer for model in self.models])
        size = self.tokenizer.size
        self._into = []
        for ids in self._out:
            into = np.full(size, UNK, dtype=np.int32)
            into[ids] = np.arange(len(ids), dtype=np.int32)
            self._into.append(into)

    def weighted(self, weights: F64) -> "Mixture":
        """The same models under other weights."""
        other = copy(self)
        other.weights = weights / weights.sum()
        return other

    @property
    def lacking(self) -> list[int]:
        """How many of the mixture's tokens each of the models lacks."""
        return [self.tokenizer.size - len(ids) for ids in self._out]

    @property
    def normalised(self) -> bool:
        """See `LanguageModel.normalised`."""
        return not any(self.lacking) and all(model.normalised for model in self.models)

    @property
    def signature(self) -> Mapping[str, str]:
        """See `LanguageModel.signature`; weights in full, and what each of the models says of itself."""
        own = {
            str(number): ",".join(f"{key}={value}" for key, value in model.signature.items() if key != "version")
            for number, model in enumerate(self.models, 1)
        }
        weights = ",".join(map(repr, self.weights.tolist()))
        return {"kind": self.kind, "weights": weights, **own, "version": __version__}

    def start(self) -> State:
        """See `LanguageModel.start`."""
        return tuple(model.start() for model in self.models)

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`; a model of lines restarts after the end of a line."""
        return tuple(
            model.start()
            if token == self.form.newline_id and self._restarts(model)
            else model.advance(own, int(into[token]))
            for model, own, into in zip(self.models, state, self._into, strict=True)
        )

    def _restarts(self, model: LanguageModel) -> bool:
        return self.form.multiline and not model.form.multiline

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        rows = [model.next(own)[into] for model, own, into in zip(self.models, state, self._into, strict=True)]
        return mixed(np.stack(rows, axis=-1), self.weights)

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`; a model of lines sees the lines of each sequence one by one."""
        rows = []
        for model, into in zip(self.models, self._into, strict=True):
            own_ends = ends
            if self._restarts(model):
                own_ends = np.union1d(ends, np.flatnonzero(ids == self.form.newline_id) + 1).astype(np.int64)
            rows.append(model.score_many(into[ids], own_ends))
        return mixed(np.stack(rows, axis=-1), self.weights)

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """See `LanguageModel.read`."""
        for ids, nats in self.read_each(blocks):
            yield ids, mixed(nats, self.weights)

    def read_each(self, blocks: Iterable[bytes], heard: Heard | None = None) -> Iterator[tuple[I32, F64]]:
        """Ids of the tokens of one text, (N,), with each model's nats, (N, M), in parts; blocks as `read` takes them.

        The text is read once, by all models side by side. Raises DataError where they cut it otherwise.
        """
        waiting = [_Waiting() for _ in self.models]
        for number, (ids, nats) in in_step([model.read for model in self.models], blocks):
            if heard is not None:
                heard(number, ids, nats)
            model = self.models[number]
            waiting[number].add(self._out[number][ids], nats, ids == model.tokenizer.specials.get("unk", -1))
            ready = min(one.size for one in waiting)
            if ready:
                yield _side_by_side([one.take(ready) for one in waiting])
        if any(one.size for one in waiting):
            raise DataError("the models cut the text into different tokens")


def evaluate_each(mixture: Mixture, blocks: Iterable[bytes]) -> list[Totals]:
    """The totals of one text under each of the models and, last, under their mixture; the text is read once."""
    totals = [Totals() for _ in (*mixture.models, mixture)]
    sizes = Totals()

    def heard(number: int, ids: I32, nats: F64) -> None:
        totals[number].add(totals_of(mixture.models[number], ids, nats))

    for ids, nats in mixture.read_each(measured(blocks, sizes), heard):
        totals[-1].add(totals_of(mixture, ids, mixed(nats, mixture.weights)))
    for total in totals:
        total.add(sizes)
    return totals


class _Waiting:
    """Tokens that one model has scored and others have not: ids, nats, and whether the model knows the token."""

    def __init__(self) -> None:
        self._parts: list[tuple[I32, F64, Bool]] = []
        self.size = 0

    def add(self, ids: I32, nats: F64, unknown: Bool) -> None:
        self._parts.append((ids, nats, unknown))
        self.size += len(ids)

    def take(self, count: int) -> tuple[I32, F64, Bool]:
        """The first tokens, which stay no longer."""
        ids, nats, unknown = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        self._parts = [(ids[count:], nats[count:], unknown[count:])]
        self.size -= count
        return ids[:count], nats[:count], unknown[:count]


def _side_by_side(parts: Sequence[tuple[I32, F64, Bool]]) -> tuple[I32, F64]:
    """Ids, (N,), each from the first model that knows the token, and nats, (N, M). Raises DataError."""
    ids, _, unknown = parts[0]
    for other, _, other_unknown in parts[1:]:
        if (other != ids)[~(unknown | other_unknown)].any():
            raise DataError("the models cut the text into different tokens")
        ids = np.where(unknown, other, ids)
        unknown = unknown & other_unknown
    return ids, np.stack([nats for _, nats, _ in parts], axis=1)


def _united(tokenizers: Sequence[Tokenizer]) -> tuple[Tokenizer, list[I32]]:
    """A tokenizer of what any of them has, and its ids of each one's tokens. Raises DataError."""
    first = tokenizers[0]
    for number, tokenizer in enumerate(tokenizers[1:], 2):
        if tokenizer.digest != first.digest and (tokenizer.kind != first.kind or tokenizer.is_subword):
            what = f"other {first.kind}" if tokenizer.kind == first.kind else tokenizer.kind
            raise DataError(
                f"model 1 has {first.kind} tokens and model {number} {what} tokens: their probabilities don't line up",
                hint="train them with the same tokens, or compare bits_per_byte",
            )
        if (own := of_tokenizer(tokenizer)) != of_tokenizer(first):
            raise DataError(
                f"model 1 reads texts under {of_tokenizer(first)} and model {number} under {own}: "
                "their tokens don't line up"
            )
    return unite_tokenizers(tokenizers)


def _form(models: Sequence[LanguageModel]) -> TextFormat:
    """How the mixture reads: over line ends where any of the models does. Raises DataError."""
    forms = [model.form for model in models]
    first = forms[0]
    for number, form in enumerate(forms[1:], 2):
        if _sequence(form) != _sequence(first):
            raise DataError(
                f"model 1 reads a text by {first.by} and model {number} by {form.by}: their tokens don't line up"
            )
    leader = next((form for form in forms if form.multiline), first)
    return TextFormat(leader.by, leader.start, leader.newline_id, leader.document_end, tuple(leader.ends), leader.bos)


def _sequence(form: SequenceFormat) -> tuple[object, ...]:
    """What the sequence of tokens depends on: lines and their ends are the same to a stream and to lines."""
    return "line" if form.by == "stream" else form.by, form.newline_id, form.document_end
