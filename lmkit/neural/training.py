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
from lmkit.errors import LmkitError, Status
from lmkit.families.windows import UNSCORED
from lmkit.neural.batches import Batch, Batches, with_loss_at_end_only
from lmkit.neural.network import Network, State, to_array
from lmkit.neural.optimizers import AdamW, Muon, Rates, clip
from lmkit.neural.schedules import Schedule
from lmkit.neural.world import World, spread


class Diverged(LmkitError):
    """The loss is no number any more."""

    status = Status.NO


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

    @torch.no_grad()
    def _with_own_words(self, inputs: Tensor, state: State) -> Tensor:
        """Some inputs replaced by what the model would have said there. Bengio et al. (2015), in two passes."""
        said = self.network.logits(self.network(inputs, state)[0]).argmax(dim=-1)  # (B, T)
        kept = torch.rand(inputs[:, 1:].shape, device=inputs.device) < self._plan.teacher_forcing
        return torch.cat((inputs[:, :1], torch.where(kept, inputs[:, 1:], said[:, :-1])), dim=1)


class Trainer:
    """A model in training: where it stands, and how it goes on."""

    def __init__(
        self, network: Network, batches: Batches, plan: Plan, start: int, *, validation: Any = None,
        world: World | None = None, shard: bool = False, compiled: bool = False,
    ) -> None:  # fmt: skip
        """`validation` is called without arguments and gives tokens, summed nats and how many were foreseen."""
        self.network, self.plan, self._batches, self._start = network, plan, batches, start
        self._validation = validation
        self._world = world or World()
        self._device = network.device
        objective = Objective(network, plan, self._device)
        self._objective: Any = self._world.wrap(objective, shard=shard)
        if compiled:
            self._objective = torch.compile(self._objective)
        parameters: dict[str, Tensor] = dict(network.named_parameters())
        matrices = network.matrices() if plan.optimizer == "muon" else {}
        self._adam = AdamW({name: tensor for name, tensor in parameters.items() if name not in matrices})
        self._muon = Muon({name: parameters[name] for name in matrices}, matrices)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self._evaluated = 0
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
        if self._validation is None or not self.step or self._evaluated == self.step:
            return False
        every = self.plan.evaluate_every
        return self.finished or bool(every and self.step % every == 0)

    def _evaluate(self) -> Evaluated:
        """Scores the validation text."""
        self.network.eval()
        tokens, nats, correct = self._validation()
        self.network.train()
        mean, accuracy = -nats / max(1, tokens), correct / max(1, tokens)
        self._evaluated = self.step
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
        torch.manual_seed((self.plan.seed * 1_000_003 + self.step) * 4099 + self._world.rank)
        batch = self._batches.batch(self.step)
        if self.plan.loss_at == "last":
            batch = with_loss_at_end_only(batch)
        count = int((batch.targets != UNSCORED).sum())
        nats, lanes = self._gradients(batch, count)
        norm = clip(self._adam.parameters + self._muon.parameters, self.plan.clip)
        total, seconds = self._world.summed([nats, self.seconds if self._world.first else 0.0])
        mean = total / max(1, count)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self._forget_gradients()
            raise Diverged(f"the loss at step {self.step + 1} is not a number any more")
        factor = self.plan.schedule.factor(self.step + 1, max(self.total, self.step + 1))
        self._move(factor)
        self._lanes = lanes
        self.step += 1
        self.tokens += count
        self.seconds = seconds + time.perf_counter() - begun
        return Stepped(
            self.step, self.total, self.tokens, self.seconds, mean, factor * self.plan.rates.adam, norm
        )  # fmt: skip

    def _gradients(self, batch: Batch, count: int) -> tuple[float, list[State]]:
        """Adds up gradients of the mean loss; returns this process's summed nats and the states after the batch."""
        mine = np.arange(self._world.rank, len(batch.inputs), self._world.size)
        parts = [part for part in np.array_split(mine, self.plan.accumulate) if len(part)]
        lanes = self._lanes
        if batch.fresh or lanes is None:
            lanes = [self.network.initial(len(part), self._start) for part in parts]
        nats, after = 0.0, []
        for place, part in enumerate(parts):
            inputs, targets = (
                torch.from_numpy(ids[part].astype(np.int64)).to(self._device) for ids in (batch.inputs, batch.targets)
            )
            with self._world.apart(self._objective) if place + 1 < len(parts) else torch.enable_grad():
                loss, own, state = self._objective(inputs, targets, lanes[place])
                (loss * (self._world.size / max(1, count))).backward()
            nats += float(own)
            after.append(_detached(state))
        return nats, after

    def _move(self, factor: float) -> None:
        """One step of the optimizers at a share of their peak rates."""
        rates = self.plan.rates
        self._adam.step(self.step + 1, factor * rates.adam, rates.weight_decay)
        self._muon.step(factor * rates.muon, rates.weight_decay)
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        for parameter in self._adam.parameters + self._muon.parameters:
            parameter.grad = None

    # Stopping and going on.

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """All that is needed to go on: numbers, and arrays by name."""
        numbers = {
            "best": self.best, "evaluated": self._evaluated, "seconds": self.seconds, "step": self.step,
            "tokens": self.tokens, "waited": self._waited,
        }  # fmt: skip
        arrays = {f"weights.{name}": array for name, array in self.network.to_arrays().items()}
        arrays |= {f"best.{name}": array for name, array in self._best_weights.items()}
        arrays |= {name: to_array(tensor) for name, tensor in self._moments()}
        for place, state in enumerate(self._lanes or []):
            for number, part in enumerate(_parts(state)):
                arrays[f"lanes.{place}.{number}"] = np.array(part.cpu().numpy())
        return numbers, arrays

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Takes up what `state` told. Raises KeyError or ValueError where it is not whole."""
        self.step, self.tokens, self.seconds = numbers["step"], numbers["tokens"], numbers["seconds"]
        self.best, self._evaluated, self._waited = dict(numbers["best"]), numbers["evaluated"], numbers["waited"]
        self.network.load_arrays({name: arrays[f"weights.{name}"] for name in self.network.places})
        best = {name.removeprefix("best."): array for name, array in arrays.items() if name.startswith("best.")}
        self._best_weights = {name: np.array(array) for name, array in best.items()}
        with torch.no_grad():
            for name, tensor in self._moments():
                tensor.copy_(spread(torch.from_numpy(np.array(arrays[name])), tensor))
        states = sorted({int(name.split(".")[1]) for name in arrays if name.startswith("lanes.")})
        self._lanes = [self._lane(place, arrays) for place in states] or None

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._adam.state()
        yield from self._muon.state()

    def _lane(self, place: int, arrays: Mapping[str, Array]) -> State:
        names = sorted(name for name in arrays if name.startswith(f"lanes.{place}."))
        parts = [torch.from_numpy(np.array(arrays[name])).to(self._device) for name in names]
        return parts[0] if len(parts) == 1 else tuple(parts)


def _parts(state: State) -> tuple[Tensor, ...]:
    if state is None:
        return ()
    return state if isinstance(state, tuple) else (state,)


def _detached(state: State) -> State:
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return None if state is None else state.detach()
