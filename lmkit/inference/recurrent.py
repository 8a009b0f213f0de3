"""Recurrent models in numpy; see `architectures.recurrent` for the formulas of their cells. Knows no files.

Shapes: B sentences, T time, D width, G gates.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.neural_model import BATCH_TOKENS, LoadedModel, NeuralModel
from lmkit.architectures.recurrent import RNNConfig
from lmkit.checkpoint import Array
from lmkit.inference import functional
from lmkit.inference.linear import LMHead, tolerance
from lmkit.protocols import F32, F64, I32, I64

TABLE = 1 << 20  # numbers in the first layer's products with all embeddings, where these are worked out beforehand
ROWS = 256  # sentences run beside one another at most

Memory = tuple[F32, ...]
"""What a layer keeps: h, and c for an lstm, each (D,) or (B, D)."""


class State(NamedTuple):
    """What each layer keeps after some tokens; no key, as it is too big to be kept by those who keep what they meet."""

    memories: tuple[Memory, ...]


def _elman(from_input: Any, from_state: Any, _memory: Memory) -> Memory:
    return (np.tanh(from_input + from_state),)


def _lstm(from_input: Any, from_state: Any, memory: Memory) -> Memory:
    from_state += from_input
    return functional.lstm_cell(from_state, memory[1])


def _gru(from_input: Any, from_state: Any, memory: Memory) -> Memory:
    return (functional.gru_cell(from_input, from_state, memory[0]),)


def _mingru(from_input: Any, _from_state: Any, memory: Memory) -> Memory:
    return (functional.mingru_cell(from_input, memory[0]),)


Cell = Callable[[Any, Any, Memory], Memory]
CELLS: dict[str, Cell] = {"elman": _elman, "lstm": _lstm, "gru": _gru, "mingru": _mingru}


Times = Callable[[F32, F32], F32]
"""x W^T: of x (..., D) and W^T (D, M) to (..., M)."""


def each(x: F32, turned: F32) -> F32:
    """x W^T of (D,) or of rows (B, D), bit-identical to each row alone.

    What is kept is multiplied again and again, and where a model blows up differences, no error stays small.
    """
    made: F32 = x.dot(turned) if x.ndim == 1 else np.matmul(x[:, None], turned)[:, 0]
    return made


class Layer:
    """One layer: from products of its inputs and what it keeps to what it keeps next."""

    def __init__(self, cell: str, tensors: Mapping[str, Array], name: str) -> None:
        """`name`: what the names of its tensors begin with."""
        own = {part: tensors.get(f"{name}.{part}") for part in ("weight_ih", "weight_hh")}
        biases = {part: tensors.get(f"{name}.{part}") for part in ("bias_ih", "bias_hh")}
        weight: F32 = own["weight_ih"]  # type: ignore[assignment]
        self._turned_input = weight.T
        self._bias: F32 | None = biases["bias_ih"]
        self._turned: F32 | None = None if own["weight_hh"] is None else own["weight_hh"].T
        self._state_bias: F32 | None = biases["bias_hh"]
        self._cell = CELLS[cell]
        if cell != "gru" and self._bias is not None and self._state_bias is not None:
            self._bias, self._state_bias = self._bias + self._state_bias, None  # only their sum counts

    def products(self, x: F32, times: Times = np.matmul) -> F32:
        """W_ih x + b_ih, (..., D) to (..., G D)."""
        product = times(x, self._turned_input)
        if self._bias is not None:
            product += self._bias
        return product

    def step(self, products: F32, memory: Memory, times: Times = np.matmul) -> Memory:
        """What it keeps after one more input, given the products with that."""
        if self._turned is None:
            return self._cell(products, None, memory)
        from_state = times(memory[0], self._turned)
        if self._state_bias is not None:
            from_state += self._state_bias
        return self._cell(products, from_state, memory)

    def run(self, products: F32, memory: Memory) -> tuple[F32, Memory]:
        """Outputs at all times and what it keeps in the end: products (T, ..., G D) to outputs (T, ..., D)."""
        outputs = np.empty((len(products), *memory[0].shape), dtype=np.float32)
        for time, some in enumerate(products):
            memory = self.step(some, memory)
            outputs[time] = memory[0]
        return outputs, memory


class RecurrentModel(NeuralModel):
    """A LanguageModel that carries what it keeps over any length."""

    settings: RNNConfig

    def __init__(self, weights: LoadedModel, *, stride: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        super().__init__(weights, stride=stride, batch_tokens=batch_tokens)
        tensors, settings = weights.tensors, self.settings
        self._embeddings: F32 = tensors["embed_tokens.weight"]
        self._layers = [Layer(settings.cell, tensors, f"layers.{number}") for number in range(settings.layers)]
        self._backward = [
            Layer(settings.cell, tensors, f"layers.{number}.reverse")
            for number in range(settings.layers if settings.bidirectional else 0)
        ]
        head = self._embeddings if settings.tied else tensors["lm_head.weight"]
        self.head = LMHead(head, tensors.get("lm_head.bias"), self.tokenizer.size)
        self.tolerance = tolerance(1, settings.width)  # of the head alone, as what is kept is exact
        self._table: F32 | None = None
        if settings.vocabulary * settings.gates * settings.width <= TABLE:
            self._table = self._layers[0].products(self._embeddings)

    def _empty(self, *rows: int) -> tuple[Memory, ...]:
        kept = 2 if self.settings.cell == "lstm" else 1
        nothing = np.zeros((*rows, self.settings.width), dtype=np.float32)
        return ((nothing,) * kept,) * self.settings.layers

    def _first(self, ids: Any, times: Times = np.matmul) -> F32:
        """The first layer's products with the embeddings of ids."""
        return self._layers[0].products(self._embeddings[ids], times) if self._table is None else self._table[ids]

    # One token at a time.

    def start(self) -> State:
        """See `LanguageModel.start`."""
        return self.advance(State(self._empty()), self.form.start)

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""
        return State(self.stepped(state.memories, token))

    def stepped(self, memories: tuple[Memory, ...], tokens: Any) -> tuple[Memory, ...]:
        """What the layers keep after one more token, or after one more of each row, (B,), to the same bits."""
        kept: list[Memory] = []
        with np.errstate(all="ignore"):
            products = self._first(tokens, each)
            for layer, before in zip(self._layers, memories, strict=True):
                if kept:
                    products = layer.products(kept[-1][0], each)
                kept.append(layer.step(products, before, each))
        return tuple(kept)

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self.head.next(state.memories[-1][0])

    def logits(self, state: State) -> F64:
        """What `next` normalises, (V,)."""
        return self.head.logits(state.memories[-1][0])

    # Several steps at once.

    def rows(self, states: Sequence[State]) -> "RecurrentRows":
        """See `SupportsBatching.rows`."""
        return RecurrentRows(self, states, self._empty(0))

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`; each step needs the one before it."""
        found: list[State] = []
        for token in ids.tolist():
            state = self.advance(state, token)
            found.append(state)
        return found

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        outputs = [
            np.zeros((0, self.settings.width), dtype=np.float32),
            *(state.memories[-1][0][None] for state in states),
        ]
        return self.head.next_many(np.concatenate(outputs))

    # Many tokens at a time.

    def _run(self, inputs: I32, memories: tuple[Memory, ...]) -> tuple[F32, tuple[Memory, ...]]:
        """Outputs of the last layer, (T, ..., D), for inputs (T, ...), and what the layers keep; layer by layer."""
        kept: list[Memory] = []
        outputs = np.zeros(0, dtype=np.float32)
        with np.errstate(all="ignore"):
            for layer, before in zip(self._layers, memories, strict=True):
                outputs, after = layer.run(layer.products(outputs) if kept else self._first(inputs), before)
                kept.append(after)
        return outputs, tuple(kept)

    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """See `NeuralModel.score_document`."""
        last, memories = self.form.start, self._empty()
        for part in parts:
            for begin in range(0, len(part), self.batch_tokens):
                ids = part[begin : begin + self.batch_tokens]
                inputs = np.concatenate((np.array([last], dtype=np.int32), ids[:-1]))
                outputs, memories = self._run(inputs, memories)
                yield self.head.score(outputs, ids)
                last = int(ids[-1])

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`; sentences of like length are run beside one another."""
        nats = np.empty(len(ids))
        begins = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1])) if len(ends) else ends
        lengths = ends - begins
        order = np.argsort(-lengths, kind="stable")
        order = order[lengths[order] > 0]
        while len(order):
            longest = int(lengths[order[0]])
            count = min(ROWS, max(1, self.batch_tokens // longest))
            some, order = order[:count], order[count:]
            self._score_rows(ids, begins[some], lengths[some], nats)
        return nats

    def _score_rows(self, ids: I32, begins: I64, lengths: I64, nats: F64) -> None:
        """Nats of some sentences, in parts of few tokens if they are long; falling lengths."""
        step = max(1, self.batch_tokens // len(begins))
        memories = self._empty(len(begins))
        last = np.full(len(begins), self.form.start, dtype=np.int32)
        for begin in range(0, int(lengths[0]), step):
            times = np.arange(begin, min(begin + step, int(lengths[0])))[:, None]
            inside = times < lengths
            places = np.where(inside, begins + times, 0)
            targets = np.where(inside, ids[places], self.form.start).astype(np.int32)
            outputs, memories = self._run(np.concatenate((last[None], targets[:-1])), memories)
            nats[places[inside]] = self.head.score(outputs[inside], targets[inside])
            last = targets[-1]

    # What is inside.

    def hidden(self, state: State) -> F32:
        """See `HasHiddenStates.hidden`."""
        return state.memories[-1][0]

    def vectors(self, ids: I32) -> F32:
        """See `HasEmbeddings.vectors`: outputs of the last layer, of both directions where there are two."""
        inputs = np.concatenate((np.array([self.form.start], dtype=np.int32), ids))
        if self.settings.bidirectional:
            return self._both_ways(inputs)[1:]
        found, memories = [], self._empty()
        for begin in range(0, len(inputs), self.batch_tokens):
            outputs, memories = self._run(inputs[begin : begin + self.batch_tokens], memories)
            found.append(outputs)
        return np.concatenate(found)[1:]

    def _both_ways(self, inputs: I32) -> F32:
        """Outputs of the last layer, (T, D): D / 2 from the beginning, D / 2 from the end."""
        outputs: F32 = self._embeddings[inputs]
        half = tuple(part[: self.settings.width // 2] for part in self._empty()[0])
        with np.errstate(all="ignore"):
            for layer, back in zip(self._layers, self._backward, strict=True):
                there, _ = layer.run(layer.products(outputs), half)
                again, _ = back.run(back.products(outputs[::-1]), half)
                outputs = np.concatenate((there, again[::-1]), axis=1)
        return outputs


class RecurrentRows:
    """What the layers keep of several texts, (B, D) each; see `protocols.Rows`."""

    def __init__(self, model: RecurrentModel, states: Sequence[State], empty: tuple[Memory, ...]) -> None:
        self._model, self._memories = model, empty
        self.join(states)

    def __len__(self) -> int:
        return len(self._memories[0][0])

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return self._model.head.next_many(self._memories[-1][0])

    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        self._memories = self._model.stepped(self._memories, np.array(tokens, dtype=np.int64))

    def state(self, row: int) -> State:
        """See `HasExactStates.state`."""
        return State(tuple(tuple(part[row] for part in memory) for memory in self._memories))

    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        chosen = np.array(rows, dtype=np.int64)
        self._memories = tuple(tuple(part[chosen] for part in memory) for memory in self._memories)

    def join(self, states: Sequence[State]) -> None:
        """See `DecodingBatch.join`."""
        if states:
            several = [
                self._memories,
                *([tuple(part[None] for part in memory) for memory in state.memories] for state in states),
            ]
            self._memories = tuple(
                tuple(np.concatenate(parts) for parts in zip(*memories, strict=True))
                for memories in zip(*several, strict=True)
            )
