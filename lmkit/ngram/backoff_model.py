"""The n-gram model: a backoff model over sorted keys, searched where it lies. Knows no files.

p(w | h) is the listed probability of the longest n-gram that ends in w, times the backoff
weights of the longer contexts that do not list it. All numbers inside are log10, as in ARPA
files; everything that comes out is nats, float64.

Shapes: V vocabulary, M n-grams of an order, N tokens, S sentences.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lmkit import __version__
from lmkit.checkpoint import Array, Checkpoint, Streamed
from lmkit.data.sequences import TextFormat, sequences
from lmkit.digests import CheckedArray
from lmkit.errors import CheckpointError
from lmkit.ngram.backoff_estimation import Table
from lmkit.ngram.ngram_lookup import CheckedTable
from lmkit.ngram.tables import SHIFT, WORD, find_keys
from lmkit.protocols import F64, I32, I64, Bool, Tokenizer, TokenScore
from lmkit.tokenization import tokenizers
from lmkit.tokenization.vocabulary import BOS, EOS

LN10 = float(np.log(10.0))
SOME = 1e-3  # how far above 0 rounding may lift a log10 probability

State = tuple[int, ...]
"""Ids of the n-grams that end at the present: of 1, 2, ... words, -1 where not listed."""


class NGram:
    """A backoff n-gram model of any smoothing."""

    kind = "ngram"

    def __init__(
        self, tables: Sequence[Table | CheckedTable], tokenizer: Tokenizer, config: Mapping[str, Any], digest: str = ""
    ) -> None:
        self.checked = [CheckedTable.of(table) for table in tables]  # for those who look up some n-grams
        self.config = config
        self._tokenizer = tokenizer
        self.digest = digest
        # Stupid backoff weighs every step down; other methods leave a context never seen without a trace.
        self.unseen = 0.0 if config.get("smoothing") != "stupid-backoff" else float(np.log10(config.get("alpha", 0.4)))

    @cached_property
    def tables(self) -> list[Table]:
        """All tables as they are, for those who work on the model as a whole."""
        return [Table(*(array.whole() for array in table)) for table in self.checked]

    @property
    def tokenizer(self) -> Tokenizer:
        """See `LanguageModel.tokenizer`."""
        return self._tokenizer

    @property
    def form(self) -> TextFormat:
        """Every line is a sentence between `<s>` and `</s>`."""
        return TextFormat("line", BOS, EOS)

    @property
    def order(self) -> int:
        """The highest order; 0 for the uniform model."""
        return int(self.config.get("order", len(self.checked)))

    @property
    def normalised(self) -> bool:
        """False for stupid backoff, and for imported files in which probabilities sum to more than one."""
        return self.config.get("smoothing") != "stupid-backoff" and self.config.get("normalised") is not False

    @property
    def signature(self) -> Mapping[str, str]:
        """See `LanguageModel.signature`."""
        return {
            "kind": self.kind,
            "order": str(self.order),
            "smoothing": str(self.config.get("smoothing", "unknown")),
            "tokens": self._tokenizer.kind,
            "vocabulary": f"{self._tokenizer.size}@{self._tokenizer.digest[:8]}",
            "model": self.digest[:8],
            "version": __version__,
        }

    # One token at a time.

    def start(self) -> State:
        """`<s>` and nothing before it."""
        return (BOS,) if len(self.checked) > 1 else ()

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`; the longest n-grams that are not listed are left out."""
        longest = len(self.checked) - 1
        if not longest:
            return ()
        following = [token]
        for order, context in enumerate(state[: longest - 1], 2):
            following.append(self._child(order, context, token))
        while following[-1] < 0 and not self.unseen:
            following.pop()
        return tuple(following)

    def after(self, ids: I32) -> State:
        """The state after the tokens of a prompt, of which only the last have a say."""
        longest = len(self.checked) - 1
        state = self.start() if len(ids) < longest else ()
        for token in ids[max(0, len(ids) - longest) :].tolist():
            state = self.advance(state, token)
        return state

    def _child(self, order: int, context: int, token: int) -> int:
        if context < 0:
            return -1
        keys = self.checked[order - 1].key
        place = int(keys.search((context << SHIFT) | token))
        return place if place < len(keys) and int(keys[place]) == (context << SHIFT) | token else -1

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`; from the unigrams up, longer n-grams over shorter ones."""
        logs = self.checked[0].log10.whole().astype(np.float64)
        logs[BOS] = -np.inf
        for order, context in enumerate(state, 2):
            if context < 0:
                logs += self.unseen
                continue
            table = self.checked[order - 1]
            logs += self.checked[order - 2].backoff[context]
            low, high = table.key.search([context << SHIFT, (context + 1) << SHIFT])
            words = table.key[low:high] & WORD
            if len(words) and int(words.max()) >= len(logs):
                raise CheckpointError("damaged checkpoint: an n-gram's word is not in the vocabulary")
            logs[words] = table.log10[low:high]
        return self._nats(logs)

    # Many tokens at a time.

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`; level by level for all tokens at once."""
        marked, real = _with_starts(ids, ends)
        logs = self.checked[0].log10[marked].astype(np.float64)
        for order, places, found in self._matches(marked, real, logs):
            logs[places] = self.checked[order - 1].log10[found]
        return self._nats(logs[real])

    def _nats(self, logs: F64) -> F64:
        """Return log10 as nats, in place. Raises CheckpointError for what no model says.

        Imported files may list probabilities and weights above 1, which count as they are; others may not.
        """
        highest = logs.max(initial=-np.inf)  # not a number where any of them is not
        most = np.finfo(np.float64).max if self.config.get("smoothing") == "imported" else SOME
        if not highest <= most:
            raise CheckpointError("damaged checkpoint: not probabilities")
        logs *= LN10
        return logs

    def _matches(self, marked: I32, real: Bool, logs: F64) -> Iterator[tuple[int, I64, I64]]:
        """For each order from 2, the tokens whose n-gram is listed and that n-gram's id.

        Before an order is yielded, `logs` get the backoff weights of its contexts, (N,).
        """
        closed = bool(self.config.get("suffix_closed"))  # then nothing is listed whose ending is not
        grams: I64 = marked.astype(np.int64)  # the n-gram of the order at hand that ends at each token
        for order, table in enumerate(self.checked[1:], 2):
            follows = (grams[:-1] >= 0) & real[1:]
            after = np.flatnonzero(follows)
            contexts = grams[after]
            logs[after + 1] += self.checked[order - 2].backoff[contexts]
            if self.unseen:
                depth = np.arange(len(marked)) - np.maximum.accumulate(np.where(real, 0, np.arange(len(marked))))
                logs[1:][real[1:] & (grams[:-1] < 0) & (depth[1:] >= order - 1)] += self.unseen
            if closed and order > 2:
                both = grams[after + 1] >= 0
                after, contexts = after[both], contexts[both]
            found = find_keys(table.key, (contexts << SHIFT) | marked[after + 1])
            hit = found >= 0
            places, found = after[hit] + 1, found[hit]
            yield order, places, found
            grams = np.full(len(marked), -1, dtype=np.int64)
            grams[places] = found

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """See `LanguageModel.read`."""
        for ids, ends in sequences(self._tokenizer, self.form, blocks):
            yield ids, self.score_many(ids, ends)

    def orders_many(self, ids: I32, ends: I64) -> I32:
        """The order that answered for each token, (N,)."""
        marked, real = _with_starts(ids, ends)
        orders = np.ones(len(marked), dtype=np.int32)
        for order, places, _ in self._matches(marked, real, np.zeros(len(marked))):
            orders[places] = order
        return orders[real]

    def explain(self, ids: Sequence[int]) -> list[TokenScore]:
        """The factors of one sentence's probability, each with its context and the order that answered."""
        array = np.array(ids, dtype=np.int32)
        ends = np.array([len(ids)], dtype=np.int64)
        nats, orders = self.score_many(array, ends), self.orders_many(array, ends)
        history = [BOS, *ids]
        width = max(0, len(self.checked) - 1)
        return [
            TokenScore(token, tuple(history[max(0, at + 1 - width) : at + 1]), order, value)
            for at, (token, order, value) in enumerate(zip(ids, orders.tolist(), nats.tolist(), strict=True))
        ]

    # As a whole.

    def check(self) -> None:
        """Reads all tables. Raises CheckpointError where they do not hold together."""
        below = self._tokenizer.size
        for order, table in enumerate(self.tables, 1):
            key = table.key
            most = SOME if self.config.get("smoothing") != "imported" else np.finfo(table.log10.dtype).max
            good = not np.isnan(table.log10).any() and table.log10.max(initial=-np.inf) <= most
            good &= not np.isnan(table.backoff).any() and not np.isposinf(table.backoff).any()
            if order > 1 and len(key):
                good &= bool((key[1:] > key[:-1]).all()) and key[0] >= 0 and int(key[-1]) >> SHIFT < below
                good &= int((key & WORD).max()) < self._tokenizer.size
            if not good:
                raise CheckpointError(f"damaged checkpoint: the {order}-grams do not hold together")
            below = len(table.log10)

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        tensors: dict[str, Array | Streamed] = dict(tokenizers.tensors(self._tokenizer))
        for order, table in enumerate(self.tables, 1):
            tensors |= {f"ngrams.{order}.log10": table.log10}
            if order > 1:
                tensors |= {f"ngrams.{order}.key": table.key}
            if order < len(self.tables):
                tensors |= {f"ngrams.{order}.backoff": table.backoff}
        config = {**self.config, "ngrams": [len(table.log10) for table in self.tables]}
        return Checkpoint(self.kind, config, tensors, tokenizers.describe(self._tokenizer), origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "NGram":
        """The model in a checkpoint; its arrays stay where they are, and are checked where they are read.

        Raises CheckpointError.
        """
        tokenizer = tokenizers.load(checkpoint)
        sizes = sizes_of(checkpoint, tokenizer)
        _check_settings(checkpoint.config, len(sizes))
        kind = "F64" if getattr(checkpoint.tensors.get("ngrams.1.log10"), "dtype", None) == np.float64 else "F32"
        tables = []
        for order, size in enumerate(sizes, 1):
            names = ["key"] * (order > 1) + ["log10"] + ["backoff"] * (order < len(sizes))
            arrays = {
                name: checkpoint.checked(f"ngrams.{order}.{name}", "I64" if name == "key" else kind, (size,))
                for name in names
            }
            none = CheckedArray(np.zeros(0, np.int64))
            tables.append(CheckedTable(arrays.get("key", none), arrays["log10"], arrays.get("backoff", none)))
        return cls(tables, tokenizer, checkpoint.config, checkpoint.digest)


def sizes_of(checkpoint: Checkpoint, tokenizer: Tokenizer) -> list[int]:
    """How many n-grams of each order a checkpoint announces. Raises CheckpointError."""
    sizes = checkpoint.config.get("ngrams")
    natural = isinstance(sizes, list) and all(isinstance(size, int) and size >= 0 for size in sizes)
    if not natural or not sizes or sizes[0] != tokenizer.size:
        raise CheckpointError("damaged checkpoint: the n-gram counts do not fit the vocabulary")
    return list(sizes)


def _check_settings(config: Mapping[str, Any], orders: int) -> None:
    """Raises CheckpointError where a model's settings are not what they must be."""
    order, alpha = config.get("order", orders), config.get("alpha", 0.4)
    named = isinstance(config.get("smoothing", ""), str)
    if not named or not isinstance(order, int) or not 0 <= order <= orders or not isinstance(alpha, float | int):
        raise CheckpointError("damaged checkpoint: the settings of the model are invalid")
    if not 0 < alpha <= 1:
        raise CheckpointError("damaged checkpoint: a backoff weight that is not a number")


def _with_starts(ids: I32, ends: I64) -> tuple[I32, Bool]:
    """Sentences with `<s>` in front of each, and which tokens are their own."""
    lengths = np.diff(ends, prepend=0)
    starts = ends - lengths + np.arange(len(ends))
    real = np.ones(len(ids) + len(ends), dtype=np.bool_)
    real[starts] = False
    marked = np.full(len(real), BOS, dtype=np.int32)
    marked[real] = ids
    return marked, real
