"""The one training loop of all families: a generator of events. Knows no files and shows nothing.

A step takes a batch that its number determines, adds up gradients over micro-batches and processes,
clips them, and moves the weights: matrices by Muon or AdamW, all else by AdamW. Randomness is
seeded anew at each step from the seed, the step and the process, so that what is needed to go on
is weights, moments, the states of lanes and a few numbers.

B rows, T tokens, V vocabulary.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.checkpoint import Array
from lmkit.errors import Diverged
from lmkit.families.windows import UNSCORED
from lmkit.neural.batches import Batch, Batches, with_loss_at_end_only
from lmkit.neural.build import SEEDS
from lmkit.neural.network import Network, State, to_array
from lmkit.neural.optimizers import AdamW, Muon, Rates, clip
from lmkit.neural.schedules import Schedule
from lmkit.neural.world import World, spread
from lmkit.protocols import I64

HIGHEST_RATE = 1e30  # what float32 can be multiplied by a few times


@dataclass(frozen=True)
class Plan:
    """How to train: all but the model and the data. `steps` or `seconds` says when it ends."""

    steps: int | None = None
    seconds: float | None = None
    optimizer: str = "muon"
    rates: Rates = field(default_factory=lambda: Rates(0.02, 0.04))
    schedule: Schedule = field(default_factory=Schedule)
    clip: float | None = 1.0
    accumulate: int = 1
    label_smoothing: float = 0.0
    teacher_forcing: float = 1.0
    loss_at: str = "all"
    evaluate_every: int = 0
    select_by: str | None = None
    patience: int = 0
    precision: str = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class Stepped:
    """One step: its mean loss in nats a token before the step, without label smoothing; the gradient's norm."""

    step: int
    total: int
    tokens: int
    seconds: float
    nats: float
    rate: float
    norm: float


@dataclass(frozen=True)
class Evaluated:
    """The validation text at a step: mean nats a token, share of tokens that were the most probable."""

    step: int
    tokens: int
    seconds: float
    nats: float
    accuracy: float
    best: bool


Event = Stepped | Evaluated


class Objective(nn.Module):
    """From a batch to its summed loss; a module of its own, so that processes can share it."""

    def __init__(self, network: Network, plan: Plan, device: torch.device) -> None:
        super().__init__()
        self.network = network
        self._plan = plan
        self._device = device.type

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The sum to be minimised, the sum of nats, and the state after the batch."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._plan.precision == "bf16"):
            if self._plan.teacher_forcing < 1:
                inputs = self._with_own_words(inputs, state)
            hidden, state = self.network(inputs, state)
            if self._plan.loss_at == "last":
                wanted = targets != UNSCORED
                hidden, targets = hidden[wanted], targets[wanted]
            logits = self.network.logits(hidden).flatten(0, -2)
        flat, smoothing = targets.flatten(), self._plan.label_smoothing
        nats = functional.cross_entropy(logits.float(), flat, ignore_index=UNSCORED, reduction="sum")
        if not smoothing:
            return nats, nats.detach(), state
        loss = functional.cross_entropy(
            logits.float(), flat, ignore_index=UNSCORED, reduction="sum", label_smoothing=smoothing
        )
        return loss, nats.detach(), state

    def hidden(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The network's hidden vectors, whoever holds its weights."""
        hidden, after = self.network(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """The network's logits, whoever holds its weights."""
        return self.network.logits(hidden)

    @torch.no_grad()
    def _with_own_words(self, inputs: Tensor, state: State) -> Tensor:
        """Some inputs replaced by what the model would have said there. Bengio et al. (2015), in two passes."""
        said = self.network.logits(self.network(inputs, state)[0]).argmax(dim=-1)  # (B, T)
        kept = torch.rand(inputs[:, 1:].shape, device=inputs.device) < self._plan.teacher_forcing
        return torch.cat((inputs[:, :1], torch.where(kept, inputs[:, 1:], said[:, :-1])), dim=1)


class SharedNetwork:
    """A network to score with whose weights are shared out among processes: it is asked through its objective."""

    def __init__(self, network: Network, objective: Any) -> None:
        self.device, self.initial = network.device, network.initial
        self._objective = objective

    def __call__(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`."""
        with torch.inference_mode(False), torch.no_grad():  # weights gathered here are trained with afterwards
            hidden, after = self._objective.hidden(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        with torch.inference_mode(False), torch.no_grad():
            logits: Tensor = self._objective.logits(hidden)
        return logits


class Trainer:
    """A model in training: where it stands, and how it goes on."""

    def __init__(
        self, network: Network, batches: Batches, plan: Plan, start: int, *, validation: Any = None,
        world: World | None = None, shard: bool = False, compiled: bool = False,
    ) -> None:  # fmt: skip
        """`validation` is called with a network and gives tokens, summed nats and how many were foreseen."""
        self.network, self.plan, self._batches, self._start = network, plan, batches, start
        self._validation = validation
        self._world = world or World()
        self._device = network.device
        objective = Objective(network, plan, self._device)
        self._objective: Any = self._world.wrap(objective, shard=shard, methods=("hidden", "logits"))
        self._scored: Any = SharedNetwork(network, self._objective) if shard else network
        if compiled:
            self._objective = torch.compile(self._objective)
        parameters: dict[str, Tensor] = dict(network.named_parameters())
        matrices = network.matrices() if plan.optimizer == "muon" else {}
        self._adam = AdamW({name: tensor for name, tensor in parameters.items() if name not in matrices})
        self._muon = Muon({name: parameters[name] for name in matrices}, matrices)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.evaluated = 0
        self.best: dict[str, Any] = {}
        self._best_weights: dict[str, Array] = {}
        self._waited = 0
        self._lanes: list[State] | None = None

    # Where it stands.

    @property
    def total(self) -> int:
        """Steps of the whole run; with a time budget as many as its time seems to allow."""
        if self.plan.steps is not None:
            return self.plan.steps
        share = self.seconds / self.plan.seconds if self.plan.seconds else 1.0
        return max(self.step + 1, round(self.step / share)) if share else self.step + 1

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        if self.plan.patience and self._waited >= self.plan.patience:
            return True
        if self.plan.steps is not None:
            return self.step >= self.plan.steps
        return self.seconds >= (self.plan.seconds or 0.0)

    def weights(self) -> dict[str, Array]:
        """The weights to keep: the best by `select_by`, else the last."""
        return self._best_weights or self.network.to_arrays()

    # How it goes on.

    def run(self) -> Iterator[Event]:
        """Trains to the end."""
        while True:
            if self._is_due():
                yield self._evaluate()
            if self.finished:
                return
            yield self._take_step()

    def _is_due(self) -> bool:
        if self._validation is None or not self.step or self.evaluated == self.step:
            return False
        every = self.plan.evaluate_every
        return self.finished or bool(every and self.step % every == 0)

    def _evaluate(self) -> Evaluated:
        """Scores the validation text."""
        self.network.eval()
        tokens, nats, correct = self._validation(self._scored)
        self.network.train()
        if hasattr(self._objective, "reshard"):
            self._objective.reshard()
        if not math.isfinite(nats):
            raise Diverged(f"the validation loss after step {self.step} is not a number any more")
        mean, accuracy = -nats / max(1, tokens), correct / max(1, tokens)
        self.evaluated = self.step
        chosen = self.plan.select_by or "loss"
        merit = accuracy if chosen == "accuracy" else -mean
        better = not self.best or merit > self.best["merit"]
        self._waited = 0 if better else self._waited + 1
        if better:
            self.best = {"merit": merit, "step": self.step, "nats": mean, "accuracy": accuracy}
            if self.plan.select_by:
                self._best_weights = self.network.to_arrays()
        return Evaluated(self.step, self.tokens, self.seconds, mean, accuracy, better)

    def _take_step(self) -> Stepped:
        """One step. Raises Diverged, with everything as it was before, where the loss is no number."""
        begun = time.perf_counter()
        self.network.train()
        torch.manual_seed(((self.plan.seed * 1_000_003 + self.step) * 4099 + self._world.rank) % SEEDS)
        batch = self._batches.batch(self.step)
        if self.plan.loss_at == "last":
            batch = with_loss_at_end_only(batch)
        nats, lanes = self._gradients(batch)
        norm = clip(self._adam.parameters + self._muon.parameters, self.plan.clip)
        (total,) = self._world.summed([nats])
        mean = total / max(1, batch.weight)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self._forget_gradients()
            raise Diverged(f"the loss at step {self.step + 1} is not a number any more")
        factor = self.plan.schedule.factor(self.step + 1, max(self.total, self.step + 1))
        self._move(factor)
        self._lanes = lanes
        self.step += 1
        self.tokens += batch.weight
        spent = self.seconds + time.perf_counter() - begun
        (self.seconds,) = self._world.summed([spent if self._world.first else 0.0])  # one clock for all
        return Stepped(
            self.step, self.total, self.tokens, self.seconds, mean, factor * self.plan.rates.adam, norm
        )  # fmt: skip

    def _gradients(self, batch: Batch) -> tuple[float, list[State]]:
        """Adds up gradients of the mean loss; returns this process's summed nats and the states after the batch."""
        parts = self._parts(batch.rows)
        lanes = self._lanes
        if batch.fresh or lanes is None:
            lanes = [self.network.initial(max(1, len(part)), self._start) for part in parts]
        nats, after = 0.0, []
        for place, part in enumerate(parts):
            rows = part if len(part) else np.zeros(1, dtype=np.int64)
            inputs, targets = (
                torch.from_numpy(ids.astype(np.int64)).to(self._device) for ids in batch.take(rows).values()
            )
            if not len(part):
                targets.fill_(UNSCORED)
            with self._world.apart(self._objective) if place + 1 < len(parts) else torch.enable_grad():
                loss, own, state = self._objective(inputs, targets, lanes[place])
                (loss * (self._world.size / max(1, batch.weight))).backward()
            nats += float(own)
            after.append(_detached(state))
        return nats, after

    def _parts(self, rows: int) -> list[I64]:
        """Which rows this process takes at once; in as many parts in every process, so that all exchange as often.

        A part may be empty where there are fewer rows than processes.
        """
        mine = np.arange(self._world.rank, rows, self._world.size)
        most = -(-rows // self._world.size)
        return np.array_split(mine, min(self.plan.accumulate, most))

    def _move(self, factor: float) -> None:
        """One step of the optimizers at a share of their peak rates."""
        rates = self.plan.rates
        self._adam.step(self.step + 1, min(factor * rates.adam, HIGHEST_RATE), rates.weight_decay)
        self._muon.step(min(factor * rates.muon, HIGHEST_RATE), rates.weight_decay)
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        for parameter in self._adam.parameters + self._muon.parameters:
            parameter.grad = None

    # Stopping and going on.

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """All that is needed to go on: numbers, and arrays by name."""
        numbers = {
            "best": self.best, "evaluated": self.evaluated, "seconds": self.seconds, "step": self.step,
            "tokens": self.tokens, "waited": self._waited,
        }  # fmt: skip
        arrays = {f"weights.{name}": array for name, array in self.network.to_arrays().items()}
        arrays |= {f"best.{name}": array for name, array in self._best_weights.items()}
        arrays |= {name: to_array(tensor) for name, tensor in self._moments()}
        arrays |= {f"lanes.{number}": part for number, part in enumerate(self._lanes_of_all())}
        return numbers, arrays

    def _lanes_of_all(self) -> list[Array]:
        """The states of all lanes of all processes, (..., B, N); none where the next batch begins anew."""
        if self._lanes is None or self._batches.batch(self.step).fresh:
            return []
        parts = self._parts(self._batches.rows)
        places = torch.from_numpy(np.concatenate(parts)).to(self._device)
        own = [_tensors(state) for state, part in zip(self._lanes, parts, strict=True) if len(part)]
        empty = [tensor[..., :0, :] for tensor in _tensors(self._lanes[0])]
        together = (torch.cat(several, dim=-2) for several in zip(empty, *own, strict=True))
        whole = (self._world.joined(tensor, places, self._batches.rows) for tensor in together)
        return [np.array((tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()) for tensor in whole]

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Takes up what `state` told. Raises KeyError or ValueError where it is not whole."""
        self.step, self.tokens, self.seconds = numbers["step"], numbers["tokens"], numbers["seconds"]
        self.best, self.evaluated, self._waited = dict(numbers["best"]), numbers["evaluated"], numbers["waited"]
        self.network.load_arrays({name: arrays[f"weights.{name}"] for name in self.network.places})
        best = {name.removeprefix("best."): array for name, array in arrays.items() if name.startswith("best.")}
        self._best_weights = {name: np.array(array) for name, array in best.items()}
        with torch.no_grad():
            for name, tensor in self._moments():
                tensor.copy_(spread(torch.from_numpy(np.array(arrays[name])), tensor))
        lanes = [torch.from_numpy(np.array(arrays[name])) for name in sorted(arrays) if name.startswith("lanes.")]
        self._lanes = [self._lane(lanes, part) for part in self._parts(self._batches.rows)] if lanes else None

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._adam.state()
        yield from self._muon.state()

    def _lane(self, lanes: list[Tensor], part: I64) -> State:
        """The states of the rows of a part."""
        if not len(part):
            return self.network.initial(1, self._start)
        own = [tensor.index_select(-2, torch.from_numpy(part)).to(self._device) for tensor in lanes]
        return own[0] if len(own) == 1 else tuple(own)


def _tensors(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _detached(state: State) -> State:
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return None if state is None else state.detach()
