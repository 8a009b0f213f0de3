"""Language models that answer with torch: batches, GPUs, texts of any length.

B batch, T time, D width, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.architectures import sliding_window
from lmkit.architectures.neural_model import BATCH_TOKENS, LoadedModel, NeuralModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import MissingError, UsageError
from lmkit.nn.batch import StatefulRows, WindowedRows, distributions, each_tensor
from lmkit.nn.factory import loaded
from lmkit.nn.network import ROW_AXIS, Network, State
from lmkit.protocols import F32, F64, I32, I64

STRETCH = 1024  # tokens that a model with a state reads at once


def device_named(name: str) -> torch.device:
    """The device of `--device`. Raises MissingError where this machine, or this torch, has none."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in there:
        raise UsageError(f"device {name!r} is not one of {', '.join(there)}")
    if not there[name]:
        raise MissingError(f"no {name} device here, or this torch was built without it", hint="--device cpu")
    return torch.device(name)


def open_model(
    weights: LoadedModel, *, device: str = "cpu", stride: int | None = None, batch_tokens: int = BATCH_TOKENS
) -> NeuralModel:
    """The torch model of a checkpoint."""
    network = loaded(weights).to(device_named(device)).eval()
    return of_network(network, weights, stride=stride, batch_tokens=batch_tokens)


def of_network(
    network: Network, weights: LoadedModel, *, stride: int | None, batch_tokens: int, count_correct: bool = False,
) -> "TorchModel":  # fmt: skip
    """A model that answers with a network as it is now, whatever the tensors of `weights` say."""
    kind = StatefulModel if weights.settings.stateful else WindowedModel
    return kind(network, weights, stride=stride, batch_tokens=batch_tokens, count_correct=count_correct)


class TorchModel(NeuralModel):
    """What both kinds share; `correct` counts the scored tokens that were the most probable, if `count_correct`."""

    tolerance = 1e-4

    def __init__(
        self, network: Network, weights: LoadedModel, *, stride: int | None, batch_tokens: int,
        count_correct: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(weights, stride=stride, batch_tokens=batch_tokens)
        self._count_correct = count_correct
        self.network = network
        self.device = network.device
        self.correct = 0

    def _tensor(self, ids: I32) -> Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.device)

    def _nats(self, hidden: Tensor, targets: Tensor) -> F64:
        """Log-probability of targets, (N,), under hidden vectors, (N, D); logits a slice at a time."""
        parts = []
        most = max(1, (1 << 24) // self.settings.vocabulary)  # 64 MB of logits
        for begin in range(0, len(targets), most):
            logits = self.network.logits(hidden[begin : begin + most]).float()
            wanted = targets[begin : begin + most]
            parts.append(-functional.cross_entropy(logits, wanted, reduction="none"))
            if self._count_correct:
                self.correct += int((logits.argmax(dim=-1) == wanted).sum())
        return np.concatenate([part.double().cpu().numpy() for part in parts]) if parts else np.zeros(0)

    @torch.inference_mode()
    def _distribution(self, hidden: Tensor) -> F64:
        """Log-probability of every token after one hidden vector, (D,)."""
        logits = self.network.logits(hidden).double()
        logs: F64 = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return logs[: self.tokenizer.size]


class Window(NamedTuple):
    """The inputs of the window at hand, and the hidden vector of the last, (D,), if it is known."""

    seen: tuple[int, ...]
    hidden: Tensor | None = None


class WindowedModel(TorchModel):
    """A transformer: what it sees is limited, so that windows roll over long texts."""

    settings: TransformerConfig

    @torch.inference_mode()
    def _run(self, inputs: I32, targets: I32) -> F64:
        """Nats of the targets that are wanted, (B, T)."""
        hidden, _ = self.network(self._tensor(inputs))
        wanted = targets != sliding_window.UNSCORED
        nats = np.zeros(targets.shape)
        nats[wanted] = self._nats(hidden[torch.from_numpy(wanted).to(self.device)], self._tensor(targets[wanted]))
        return nats

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`."""
        start, context = self.form.context_start, self.settings.context
        return sliding_window.score_sentences(self._run, start, ids, ends, context, self.stride, self.batch_tokens)

    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """See `NeuralModel.score_document`."""
        several = sliding_window.windows(self.form.context_start, parts, self.settings.context, self.stride)
        return sliding_window.score(self._run, several, self.batch_tokens)

    # One token at a time.

    def start(self) -> Window:
        """See `LanguageModel.start`."""
        return Window((self.form.start,))

    def after(self, ids: I32) -> Window:
        """See `NeuralModel.after`."""
        return Window(tuple(self.form.begun(ids)[-self.settings.context :].tolist()))

    def advance(self, state: Window, token: int) -> Window:
        """See `LanguageModel.advance`; a full window makes room as `windows` says."""
        seen = (*state.seen, token)
        return Window(seen if len(seen) <= self.settings.context else seen[self.stride :])

    def next(self, state: Window) -> F64:
        """See `LanguageModel.next`; the whole window is run again, unless `follow` did."""
        return self._distribution(self._hidden(state))

    @torch.inference_mode()
    def _hidden(self, state: Window) -> Tensor:
        """The hidden vector of a window's last token, (D,)."""
        if state.hidden is not None:
            return state.hidden
        hidden, _ = self.network(self._tensor(np.array([state.seen], dtype=np.int32)))
        last: Tensor = hidden[0, -1]
        return last

    # Several steps at once; see `protocols.Batched`.

    def rows(self, states: Sequence[Window]) -> WindowedRows:
        """See `SupportsBatching.rows`."""
        rows = WindowedRows(self.network, self.settings.context, self.stride, self.tokenizer.size)
        rows.join(states)
        return rows

    @torch.inference_mode()
    def follow(self, state: Window, ids: I32) -> list[Window]:
        """See `SupportsBatching.follow`; a window is run once for all tokens that fit into it."""
        found: list[Window] = []
        for token in ids.tolist():
            state = self.advance(state, token)
            found.append(state)
        for begin, last in _runs(found):
            hidden, _ = self.network(self._tensor(np.array([found[last].seen], dtype=np.int32)))
            size = len(found[last].seen)
            for place in range(begin, last + 1):
                found[place] = Window(found[place].seen, hidden[0, size - 1 - (last - place)])
        return found

    def next_many(self, states: Sequence[Window]) -> F32:
        """See `SupportsBatching.next_many`."""
        hidden = torch.stack([self._hidden(state) for state in states])
        return distributions(self.network, hidden, self.tokenizer.size)


def _runs(states: Sequence[Window]) -> list[tuple[int, int]]:
    """First and last of each run of windows that hold one more token than the one before."""
    ends = [place for place in range(len(states) - 1) if len(states[place + 1].seen) <= len(states[place].seen)]
    begins = [0, *(end + 1 for end in ends)]
    return list(zip(begins, [*ends, len(states) - 1], strict=True)) if states else []


class StatefulModel(TorchModel):
    """A recurrent or feed-forward model: its state carries what it needs over texts of any length."""

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`; sentences of like length are run together."""
        starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
        lengths = ends - starts
        order = np.argsort(-lengths, kind="stable")
        order = order[lengths[order] > 0]
        nats = np.zeros(len(ids))
        while len(order):
            most = max(1, self.batch_tokens // min(STRETCH, int(lengths[order[0]])))
            self._score_rows(ids, starts[order[:most]], lengths[order[:most]], nats)
            order = order[most:]
        return nats

    @torch.inference_mode()
    def _score_rows(self, ids: I32, starts: I64, lengths: I64, nats: F64) -> None:
        """Scores some sentences, the longest first, into their places."""
        state = self.network.initial(len(starts), self.form.start)
        for begin in range(0, int(lengths[0]), STRETCH):
            rows = int(np.count_nonzero(lengths > begin))
            state = _first_rows(state, rows)
            time = min(STRETCH, int(lengths[0]) - begin)
            places = starts[:rows, None] + begin + np.arange(time)
            inside = begin + np.arange(time) < lengths[:rows, None]
            targets = ids[np.minimum(places, len(ids) - 1)]
            inputs = ids[np.clip(places - 1, 0, len(ids) - 1)]
            if begin == 0:
                inputs[:, 0] = self.form.start
            hidden, state = self.network(self._tensor(inputs), state)
            wanted = torch.from_numpy(inside).to(self.device)
            nats[places[inside]] = self._nats(hidden[wanted], self._tensor(targets[inside]))

    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """See `NeuralModel.score_document`."""
        state: State = self.network.initial(1, self.form.start)
        last = self.form.start
        for ids in parts:
            for begin in range(0, len(ids), STRETCH):
                targets = ids[begin : begin + STRETCH]
                nats, state = self._stretch(last, targets, state)
                last = int(targets[-1])
                yield nats

    @torch.inference_mode()
    def _stretch(self, last: int, targets: I32, state: State) -> tuple[F64, State]:
        inputs = np.concatenate(([last], targets[:-1])).astype(np.int32)
        hidden, state = self.network(self._tensor(inputs[None]), state)
        return self._nats(hidden[0], self._tensor(targets)), state

    def start(self) -> State:
        """See `LanguageModel.start`: the hidden vector after the start token, and the network's state."""
        return self.advance((None, self.network.initial(1, self.form.start)), self.form.start)

    @torch.inference_mode()
    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""
        hidden, after = self.network(self._tensor(np.array([[token]], dtype=np.int32)), state[1])
        return hidden[0, -1], after

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self._distribution(state[0])

    # Several steps at once; see `protocols.Batched`.

    def rows(self, states: Sequence[State]) -> StatefulRows:
        """See `SupportsBatching.rows`."""
        rows = StatefulRows(self.network, self.tokenizer.size)
        rows.join(states)
        return rows

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`."""
        found = []
        for token in ids.tolist():
            state = self.advance(state, token)
            found.append(state)
        return found

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        return distributions(self.network, torch.stack([state[0] for state in states]), self.tokenizer.size)


def _first_rows(state: State, rows: int) -> State:
    """The state of the first B rows."""
    return each_tensor(lambda part: part.narrow(ROW_AXIS, 0, rows).contiguous(), state)
