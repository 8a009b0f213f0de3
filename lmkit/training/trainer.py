"""The one training loop of all networks and objectives: a generator of events. Knows no files and shows nothing.

A step takes a batch that its number determines, adds up gradients over micro-batches and processes,
clips them, and moves the weights: matrices by Muon or AdamW, all else by AdamW. Randomness is
seeded anew at each step from the seed, the step and the process, so that what resuming needs
is weights, moments, the states of lanes and a few numbers.

B rows.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmkit.checkpoint import Array
from lmkit.errors import Diverged
from lmkit.nn.factory import SEEDS
from lmkit.nn.network import ROW_AXIS, Network, State, to_array
from lmkit.nn.sharded_tensors import shard_tensor
from lmkit.protocols import I64
from lmkit.training.batches import Batch, Batches
from lmkit.training.distributed import NetworkWithObjective, ProcessGroup, SharedNetwork
from lmkit.training.objectives.objective import Arrays, Objective, Tensors, tensors_of
from lmkit.training.optimizers import AdamW, Muon, clip
from lmkit.training.plan import Plan
from lmkit.training.validation import Validation

HIGHEST_RATE = 1e30  # what float32 can be multiplied by a few times


@dataclass(frozen=True)
class TrainStep:
    """One step of `total`: means over its predictions before it moves the weights, by name; the gradient's norm.

    `tokens` counts those that were learned from in all steps so far.
    """

    step: int
    total: int
    tokens: int
    seconds: float
    numbers: Mapping[str, float]
    rate: float
    norm: float

    @property
    def loss(self) -> float:
        """The mean loss, the first of the numbers."""
        return next(iter(self.numbers.values()))


@dataclass(frozen=True)
class Evaluation:
    """A validation at a step: its numbers by name, and whether they are the best so far."""

    step: int
    tokens: int
    seconds: float
    numbers: Mapping[str, float]
    best: bool


Event = TrainStep | Evaluation


class Trainer:
    """A model in training: its position, and its next steps."""

    def __init__(
        self, network: Network, objective: Objective, batches: Batches, plan: Plan, *,
        validation: Validation | None = None,
        world: ProcessGroup | None = None, shard: bool = False, compiled: bool = False,
    ) -> None:  # fmt: skip
        """Begin with the network as it is; `shard`: its weights are split among the processes of the world."""
        self.network, self.plan, self._objective, self._batches = network, plan, objective, batches
        self._validation = validation
        self._world = world or ProcessGroup()
        self._device = network.device
        compiled = compiled and not network.compile_parts(dynamic=True)
        module = NetworkWithObjective(network, objective, plan.precision)
        self._module: Any = self._world.wrap(module, shard=shard, methods=("hidden", "logits", "loss"))
        self._scored: Any = SharedNetwork(network, self._module) if shard else network
        if compiled:
            self._module = torch.compile(self._module)
        parameters: dict[str, Tensor] = {
            name: tensor for name, tensor in network.named_parameters() if tensor.requires_grad
        }
        matrices = network.matrices() if plan.optimizer == "muon" else {}
        tables = network.tables() if plan.rates.embeddings is not None else set()
        self._tables = AdamW({name: tensor for name, tensor in parameters.items() if name in tables})
        others = {name: tensor for name, tensor in parameters.items() if name not in tables and name not in matrices}
        self._adam = AdamW(others)
        self._muon = Muon({name: parameters[name] for name in matrices}, matrices)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.evaluated = 0
        self.best: dict[str, Any] = {}
        self._best_weights: dict[str, Array] = {}
        self._kept: list[tuple[float, int, dict[str, Array]]] = []
        self._waited = 0
        self._lanes: list[State] | None = None

    # Position.

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
        """The weights to keep: the best by `select_by`, else the last; with `average` the mean of several."""
        if len(self._kept) > 1:
            return _mean([arrays for _, _, arrays in self._kept])
        return self._best_weights or self.network.to_arrays()

    # Steps.

    def run(self) -> Iterator[Event]:
        """Trains to the end."""
        while True:
            if self._is_due():
                yield self._evaluate()
            if self.finished:
                if len(self._kept) > 1:
                    yield self._evaluate_mean()
                return
            yield self._take_step()

    def _is_due(self) -> bool:
        if self._validation is None or not self.step or self.evaluated == self.step:
            return False
        every = self.plan.evaluate_every
        return self.finished or bool(every and self.step % every == 0)

    def _evaluate(self) -> Evaluation:
        """Validates the network. Raises Diverged for NaN or infinity."""
        assert self._validation is not None
        self.network.eval()
        numbers = dict(self._validation(self._scored))
        self.network.train()
        if hasattr(self._module, "reshard"):
            self._module.reshard()
        if not all(map(math.isfinite, numbers.values())):
            raise Diverged(f"the validation loss after step {self.step} is not a number any more")
        self.evaluated = self.step
        merit = self._objective.merit(self.plan.select_by).of(numbers)
        better = not self.best or merit > self.best["merit"]
        self._waited = 0 if better else self._waited + 1
        if better:
            self.best = {"merit": merit, "step": self.step, **numbers}
            if self.plan.select_by:
                self._best_weights = self.network.to_arrays()
        if self.plan.average > 1:
            self._keep(merit)
        return Evaluation(self.step, self.tokens, self.seconds, numbers, better)

    def _keep(self, merit: float) -> None:
        """Keep the weights among those that are averaged, in place of the worst or the oldest ones."""
        self._kept.append((merit, self.step, self.network.to_arrays()))
        if self.plan.select_by:
            self._kept.sort(key=lambda kept: kept[:2])
        del self._kept[: -self.plan.average]

    def _evaluate_mean(self) -> Evaluation:
        """Validate the mean of the weights that were kept, which is what the run ends with."""
        self.network.load_arrays(self.weights())
        self.evaluated = 0
        kept, best, weights = self._kept, self.best, self._best_weights
        self._kept, self.best = [], {}
        made = self._evaluate()
        found = self.best
        self._kept, self.best, self._best_weights = kept, {**best, **found}, weights
        return made

    def _take_step(self) -> TrainStep:
        """One step. Raises Diverged, with everything as it was before, where the loss is no number."""
        begun = time.perf_counter()
        self.network.train()
        torch.manual_seed(((self.plan.seed * 1_000_003 + self.step) * 4099 + self._world.rank) % SEEDS)
        batch = self._objective.prepare(self._batches.batch(self.step))
        sums, lanes = self._gradients(batch)
        norm = clip(self._parameters, self.plan.clip)
        totals = self._world.summed(list(sums.values()))
        numbers = self._objective.numbers(dict(zip(sums, totals, strict=True)), batch.weight)
        if not all(map(math.isfinite, (*numbers.values(), norm))):
            self._forget_gradients()
            raise Diverged(f"the loss at step {self.step + 1} is not a number any more")
        factor = self.plan.schedule.factor(self.step + 1, max(self.total, self.step + 1))
        self._move(factor)
        self._lanes = lanes
        self.step += 1
        self.tokens += batch.tokens
        spent = self.seconds + time.perf_counter() - begun
        (self.seconds,) = self._world.summed([spent if self._world.first else 0.0])  # one clock for all
        return TrainStep(
            self.step, self.total, self.tokens, self.seconds, numbers, factor * self.plan.rates.adam, norm
        )  # fmt: skip

    def _gradients(self, batch: Batch) -> tuple[dict[str, float], list[State]]:
        """Adds up gradients of the mean loss; returns this process's sums and the states after the batch."""
        parts = self._parts(batch.rows)
        lanes = self._lanes
        if batch.fresh or lanes is None:
            lanes = [self._objective.initial(self.network, max(1, len(part))) for part in parts]
        totals: dict[str, float] = {}
        after = []
        for place, part in enumerate(parts):
            tensors = self._rows(batch, part)
            with self._world.apart(self._module) if place + 1 < len(parts) else torch.enable_grad():
                loss, sums, state = self._module(tensors, lanes[place])
                (loss * (self._world.size / max(1, batch.weight))).backward()
            totals |= {name: totals.get(name, 0.0) + float(own) for name, own in sums.items()}
            after.append(_detached(state))
        return totals, after

    def _rows(self, batch: Batch, part: I64) -> Tensors:
        """The rows of a part on the device; for an empty one a row with nothing to predict."""
        if len(part):
            arrays: Arrays = batch.take(part)
        else:
            arrays = self._objective.without_predictions(batch.take(np.zeros(1, dtype=np.int64)))
        return tensors_of(arrays, self._device)

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
        for adam, peak in ((self._adam, rates.adam), (self._tables, rates.embeddings or 0.0)):
            adam.step(self.step + 1, min(factor * peak, HIGHEST_RATE), rates.weight_decay)
        self._muon.step(min(factor * rates.muon, HIGHEST_RATE), rates.weight_decay)
        self._forget_gradients()

    @property
    def _parameters(self) -> list[Tensor]:
        return self._adam.parameters + self._tables.parameters + self._muon.parameters

    def _forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    # Stopping and going on.

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """All that resuming needs: numbers, and arrays by name."""
        numbers = {
            "best": self.best, "evaluated": self.evaluated, "seconds": self.seconds, "step": self.step,
            "tokens": self.tokens, "waited": self._waited, "kept": [list(kept[:2]) for kept in self._kept],
        }  # fmt: skip
        arrays = {f"weights.{name}": array for name, array in self.network.to_arrays().items()}
        arrays |= {f"best.{name}": array for name, array in self._best_weights.items()}
        for number, (_, _, kept) in enumerate(self._kept):
            arrays |= {f"kept.{number}.{name}": array for name, array in kept.items()}
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
        together = (torch.cat(several, dim=ROW_AXIS) for several in zip(empty, *own, strict=True))
        whole = (self._world.joined(tensor, places, self._batches.rows) for tensor in together)
        return [np.array((tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()) for tensor in whole]

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Restores what `state` gave. Raises KeyError or ValueError where it is not whole."""
        self.step, self.tokens, self.seconds = numbers["step"], numbers["tokens"], numbers["seconds"]
        self.best, self.evaluated, self._waited = dict(numbers["best"]), numbers["evaluated"], numbers["waited"]
        self.network.load_arrays({name: arrays[f"weights.{name}"] for name in self.network.places})
        best = {name.removeprefix("best."): array for name, array in arrays.items() if name.startswith("best.")}
        self._best_weights = {name: np.array(array) for name, array in best.items()}
        self._kept = [
            (merit, step, {name: np.array(arrays[f"kept.{number}.{name}"]) for name in self.network.places})
            for number, (merit, step) in enumerate(numbers.get("kept", []))
        ]
        with torch.no_grad():
            for name, tensor in self._moments():
                tensor.copy_(shard_tensor(torch.from_numpy(np.array(arrays[name])), tensor))
        lanes = [torch.from_numpy(np.array(arrays[name])) for name in sorted(arrays) if name.startswith("lanes.")]
        self._lanes = [self._lane(lanes, part) for part in self._parts(self._batches.rows)] if lanes else None

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._adam.state()
        yield from self._tables.state()
        yield from self._muon.state()

    def _lane(self, lanes: list[Tensor], part: I64) -> State:
        """The states of the rows of a part."""
        if not len(part):
            return self._objective.initial(self.network, 1)
        own = [tensor.index_select(ROW_AXIS, torch.from_numpy(part)).to(self._device) for tensor in lanes]
        return own[0] if len(own) == 1 else tuple(own)


def _mean(several: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The mean of weights of several times."""
    return {
        name: np.mean([arrays[name] for arrays in several], axis=0, dtype=np.float64).astype(array.dtype)
        for name, array in several[0].items()
    }


def _tensors(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _detached(state: State) -> State:
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return None if state is None else state.detach()
