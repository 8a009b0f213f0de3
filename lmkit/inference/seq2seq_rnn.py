"""Recurrent encoder-decoders in numpy; the formulas are in `architectures.seq2seq_rnn`. Knows no files.

B texts, S tokens of the longest source, T of a target, D width, V vocabulary of targets.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.seq2seq_model import EncoderDecoderBase, LoadedSeq2Seq
from lmkit.architectures.seq2seq_rnn import CONCAT, DIRECTIONS, NONE, Seq2SeqRNNConfig
from lmkit.errors import CheckpointError
from lmkit.inference import attention_scores, functional
from lmkit.inference.linear import LMHead, products, tolerance
from lmkit.inference.recurrent import Layer, Memory, each
from lmkit.protocols import F32, F64, I32, I64, Floats

BATCH_TOKENS = 1 << 12
CAUTION = 4
"""How many times the errors of a head those of readouts may be, which went through cells and attention before."""


class Encoded(NamedTuple):
    """What the decoder needs of a source of S tokens; see `architectures.seq2seq_rnn`.

    outputs   hs, (S, D)
    keys      what queries are compared with: hs, or what W_a makes of it, (S, D)
    final     what each layer of the decoder keeps at first
    """

    outputs: F32
    keys: F32
    final: tuple[Memory, ...]


class State(NamedTuple):
    """What each layer keeps after some tokens, what is read out of it, (D,), and the source. No key."""

    memories: tuple[Memory, ...]
    readout: F32
    encoded: Encoded


class Seq2SeqRNNModel(EncoderDecoderBase):
    """An EncoderDecoder."""

    settings: Seq2SeqRNNConfig

    def __init__(self, weights: LoadedSeq2Seq) -> None:
        super().__init__(weights)
        tensors, settings = weights.tensors, self.settings
        self._sources: F32 = tensors[settings.source_table]
        self._targets: F32 = tensors[settings.target_table]
        numbers = range(settings.layers)
        self._encoder = [
            [Layer(settings.cell, tensors, f"encoder.layers.{number}.{direction}") for direction in DIRECTIONS]
            for number in numbers
        ]
        self._decoder = [Layer(settings.cell, tensors, f"decoder.layers.{number}") for number in numbers]
        self._weight: F32 | None = tensors.get("attention.weight")
        self._vector: F32 | None = tensors.get("attention.vector")
        self._readout: F32 | None = tensors.get("readout.weight")
        head = self._targets if settings.tied else tensors["lm_head.weight"]
        self.head = LMHead(head, tensors["lm_head.bias"], self.tokenizer.size)
        self.tolerance = CAUTION * tolerance(settings.layers, settings.width)
        self._nothing = np.zeros(settings.width, dtype=np.float32)

    # Sources.

    def encode(self, sources: Sequence[I32]) -> list[Encoded]:
        """See `EncoderDecoderBase.encode`; of like lengths beside one another."""
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable").tolist()
        outputs: list[F32] = [self._sources[sources[place]] for place in order]
        final: list[list[Memory]] = [[] for _ in order]
        with np.errstate(all="ignore"):
            for forward, backward in self._encoder:
                one = _run(forward, outputs, self.settings)
                turned = _run(backward, [some[::-1] for some in outputs], self.settings)
                outputs = [np.concatenate((a, b[::-1]), axis=1) for (a, _), (b, _) in zip(one, turned, strict=True)]
                for row, ((_, a), (_, b)) in enumerate(zip(one, turned, strict=True)):
                    final[row].append(tuple(np.concatenate(parts) for parts in zip(a, b, strict=True)))
        found: list[Encoded | None] = [None] * len(order)
        for row, place in enumerate(order):
            found[place] = Encoded(outputs[row], self._keys(outputs[row]), tuple(final[row]))
        return [encoded for encoded in found if encoded is not None]

    def _keys(self, outputs: F32) -> F32:
        if self._weight is None:
            return outputs
        return products(outputs, [self._weight[:, -self.settings.width :]])

    def begin(self, memory: Encoded) -> State:
        """See `EncoderDecoderBase.begin`."""
        return self.advance(State(memory.final, self._nothing, memory), self.form.start)

    # One token at a time.

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""
        encoded = state.encoded
        one = (encoded.outputs, encoded.keys, None)
        memories, readout, _ = self.step(token, state.memories, state.readout, encoded.final, one)
        return State(memories, readout, encoded)

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self.head.next(state.readout)

    def logits(self, state: State) -> F64:
        """See `HasLogits.logits`."""
        return self.head.logits(state.readout)

    def step(
        self, tokens: Any, memories: tuple[Memory, ...], readout: F32, final: tuple[Memory, ...],
        source: tuple[F32, F32, F32 | None],
    ) -> tuple[tuple[Memory, ...], F32, F32 | None]:  # fmt: skip
        """What layers keep, readout and weights of attention after one more token, or one of each row, (B,).

        `source` has outputs and keys, (S, D) or (B, S, D), and what is added to scores, (B, S): -inf behind the ends.
        """
        settings, joined, weights = self.settings, [self._targets[tokens]], None
        if settings.context_every_step:
            joined.append(final[-1][0])
        if settings.input_feeding:
            joined.append(readout)
        with np.errstate(all="ignore"):
            if settings.feeds_attention:
                context, weights = self._attended(memories[-1][0], *source)
                joined.append(context)
            y = joined[0] if len(joined) == 1 else np.concatenate(joined, axis=-1)
            kept: list[Memory] = []
            for layer, before in zip(self._decoder, memories, strict=True):
                kept.append(layer.step(layer.products(y), before))
                y = kept[-1][0]
            if settings.reads_out:
                assert self._readout is not None
                context, weights = self._attended(y, *source)
                y = np.tanh(products(np.concatenate((context, y), axis=-1), [self._readout]))
        return tuple(kept), y, weights

    def _attended(self, queries: F32, outputs: F32, keys: F32, outside: F32 | None) -> tuple[F32, F32]:
        """What attention gives of a query, (D,), or of each row's, (B, D), and its weights, (S,) or (B, S)."""
        some = queries[..., None, :]
        if self.settings.attention == CONCAT:
            assert self._weight is not None
            assert self._vector is not None
            own = functional.linear(some, self._weight[:, : self.settings.width])
            scores = attention_scores.concat_mapped(own, keys, self._vector)
        else:
            scores = attention_scores.dot(some, keys)
        if outside is not None:
            scores += outside[:, None]
        found, weights = attention_scores.attend(scores, outputs)
        return found[..., 0, :], weights[..., 0, :]

    # Several texts at once.

    def rows(self, states: Sequence[State]) -> "Seq2SeqRows":
        """See `SupportsBatching.rows`."""
        return Seq2SeqRows(self, states)

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`; each step needs the one before it."""
        found: list[State] = []
        for token in ids.tolist():
            state = self.advance(state, token)
            found.append(state)
        return found

    def next_many(self, states: Sequence[State]) -> Floats:
        """See `SupportsBatching.next_many`."""
        readouts = [np.zeros((0, self.settings.width), dtype=np.float32), *(state.readout[None] for state in states)]
        return self.head.next_many(np.concatenate(readouts))

    def score_pairs(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F64]:
        """See `EncoderDecoder.score_pairs`; targets of like length beside one another."""
        found: list[F64] = [np.zeros(0)] * len(targets)
        lengths = np.array([len(target) for target in targets], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        order = order[lengths[order] > 0]
        while len(order):
            count = max(1, BATCH_TOKENS // int(lengths[order[0]]))
            some, order = order[:count], order[count:]
            readouts = self._forced([sources[place] for place in some], [targets[place] for place in some])
            for place, own in zip(
                some.tolist(), self._scored(readouts, [targets[place] for place in some]), strict=True
            ):
                found[place] = own
        return found

    def _scored(self, readouts: list[F32], targets: Sequence[I32]) -> list[F64]:
        """Nats of targets of falling length, given what is read out of the rows at each step."""
        lengths = np.array([len(target) for target in targets])
        tokens = [np.array([target[step] for target in targets[: len(rows)]]) for step, rows in enumerate(readouts)]
        nats = self.head.score(np.concatenate(readouts), np.concatenate(tokens).astype(np.int32))
        ends = np.cumsum([len(rows) for rows in readouts]) - np.array([len(rows) for rows in readouts])
        return [nats[ends[:length] + row] for row, length in enumerate(lengths.tolist())]

    def _forced(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F32]:
        """What is read out before each token of targets of falling length, of the rows that have it."""
        memories = self.encode([self.checked(source) for source in sources])
        rows = self.rows([self.begin(memory) for memory in memories])
        counts = [sum(len(target) > step for target in targets) for step in range(len(targets[0]))]
        readouts = []
        for step, count in enumerate(counts):
            if step:
                rows.take(range(count))
                rows.advance([int(target[step - 1]) for target in targets[:count]])
            readouts.append(rows.readout)
        return readouts

    def alignment(self, source: I32, target: I32) -> F32:
        """See `EncoderDecoder.alignment`: one layer, one head."""
        if self.settings.attention == NONE:
            raise CheckpointError("it has no attention: the decoder sees the encoder's last state alone")
        (memory,) = self.encode([self.checked(source)])
        found = np.zeros((len(target), len(source)), dtype=np.float32)
        memories, readout, token = memory.final, self._nothing, self.form.start
        for step, following in enumerate(target.tolist()):
            one = (memory.outputs, memory.keys, None)
            memories, readout, weights = self.step(token, memories, readout, memory.final, one)
            assert weights is not None
            found[step], token = weights, following
        return found[None, None]


def _run(layer: Layer, inputs: Sequence[F32], settings: Seq2SeqRNNConfig) -> list[tuple[F32, Memory]]:
    """Outputs at all tokens of each source, (S, D/2), and what is kept in the end; sources of falling length, (S, D).

    Each row has the bits that it would have alone.
    """
    width, count = settings.width // 2, len(inputs)
    longest = len(inputs[0]) if count else 0
    sizes = np.array([len(some) for some in inputs], dtype=np.int64)
    made = np.zeros((longest, count, settings.cell_gates * width), dtype=np.float32)
    for row, some in enumerate(inputs):
        made[: len(some), row] = layer.products(some)
    memory: Memory = (np.zeros((count, width), dtype=np.float32),) * (2 if settings.cell == "lstm" else 1)
    outputs = np.zeros((longest, count, width), dtype=np.float32)
    final = [np.zeros((count, width), dtype=np.float32) for _ in memory]
    for time in range(longest):
        going = int((sizes > time).sum())
        memory = layer.step(made[time, :going], tuple(part[:going] for part in memory), each)
        outputs[time, :going] = memory[0]
        for kept, part in zip(final, memory, strict=True):
            kept[:going] = part
    return [
        (np.ascontiguousarray(outputs[:size, row]), tuple(part[row] for part in final))
        for row, size in enumerate(sizes.tolist())
    ]


class Sources:
    """Outputs and keys of the sources of rows, padded with zeros, (B, S, D); and -inf behind their ends, (B, S)."""

    def __init__(self, width: int) -> None:
        self.outputs: F32 = np.zeros((0, 0, width), dtype=np.float32)
        self.keys = self.outputs
        self._sizes: I64 = np.zeros(0, dtype=np.int64)
        self._outside: F32 | None = None

    @property
    def outside(self) -> F32 | None:
        """What is added to scores; None where no source is padded."""
        longest = self.outputs.shape[1]
        if self._outside is None and int(self._sizes.min()) < longest:
            inside = np.arange(longest) < self._sizes[:, None]
            self._outside = np.where(inside, np.float32(0), np.float32(-np.inf))
        return self._outside

    def take(self, rows: I64) -> None:
        """Keep these, in this order, without what all of them leave empty."""
        sizes = self._sizes[rows]
        longest = int(sizes.max(initial=0))
        same = self.keys is self.outputs
        self.outputs = self.outputs[rows, :longest]
        self.keys = self.outputs if same else self.keys[rows, :longest]
        self._sizes, self._outside = sizes, None

    def join(self, encoded: Sequence[Encoded]) -> None:
        """Add sources behind the others."""
        sizes = np.array([len(one.outputs) for one in encoded], dtype=np.int64)
        longest = max(self.outputs.shape[1], int(sizes.max()))
        same = encoded[0].keys is encoded[0].outputs
        self.outputs = _joined(self.outputs, [one.outputs for one in encoded], longest)
        self.keys = self.outputs if same else _joined(self.keys, [one.keys for one in encoded], longest)
        self._sizes, self._outside = np.concatenate((self._sizes, sizes)), None


def _joined(held: F32, added: Sequence[F32], longest: int) -> F32:
    """Arrays (S, D) as rows behind others, (B, S, D), all of them padded to one length."""
    made = np.zeros((len(held) + len(added), longest, held.shape[2]), dtype=np.float32)
    made[: len(held), : held.shape[1]] = held
    for row, one in enumerate(added, len(held)):
        made[row, : len(one)] = one
    return made


class Seq2SeqRows:
    """Texts of any sources side by side, (B, D) each; see `protocols.DecodingBatch`."""

    def __init__(self, model: Seq2SeqRNNModel, states: Sequence[State]) -> None:
        self._model = model
        self._memories: tuple[Memory, ...] = ()
        self._contexts: F32 = np.zeros((0, model.settings.width), dtype=np.float32)
        self._numbers: I64 = np.zeros(0, dtype=np.int64)
        self._sources = Sources(model.settings.width)
        self.readout: F32 = np.zeros((0, model.settings.width), dtype=np.float32)
        self.join(states)

    def __len__(self) -> int:
        return len(self.readout)

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return self._model.head.next_many(self.readout)

    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        if not len(self):
            return
        sources = self._sources
        source = _NOTHING
        if self._model.settings.attention != NONE:
            source = sources.outputs, sources.keys, sources.outside
        self._memories, self.readout, _ = self._model.step(
            np.array(tokens, dtype=np.int64), self._memories, self.readout, ((self._contexts,),), source
        )

    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`; sources stay as they are where no row gets another one's."""
        chosen = np.array(rows, dtype=np.int64)
        self._memories = tuple(tuple(part[chosen] for part in memory) for memory in self._memories)
        self.readout = self.readout[chosen]
        numbers = self._numbers[chosen]
        if not np.array_equal(numbers, self._numbers):
            self._contexts, self._numbers = self._contexts[chosen], numbers
            if self._model.settings.attention != NONE:
                self._sources.take(chosen)

    def join(self, states: Sequence[State]) -> None:
        """See `DecodingBatch.join`."""
        if not states:
            return
        added = tuple(
            tuple(np.stack(parts) for parts in zip(*memories, strict=True))
            for memories in zip(*(state.memories for state in states), strict=True)
        )
        if len(self):
            added = tuple(
                tuple(np.concatenate(both) for both in zip(before, more, strict=True))
                for before, more in zip(self._memories, added, strict=True)
            )
        self._memories = added
        encoded = [state.encoded for state in states]
        self.readout = np.concatenate((self.readout, np.stack([state.readout for state in states])))
        self._contexts = np.concatenate((self._contexts, np.stack([one.final[-1][0] for one in encoded])))
        self._numbers = np.concatenate((self._numbers, np.array([id(one) for one in encoded], dtype=np.int64)))
        if self._model.settings.attention != NONE:
            self._sources.join(encoded)


_NOTHING: tuple[F32, F32, F32 | None] = (np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32), None)
