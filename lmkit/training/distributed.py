"""Several processes that train one model, by torch's own DistributedDataParallel and FSDP2; one is a world of one."""

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmkit.nn.network import Network, State
from lmkit.training.objectives.objective import Loss, Objective, Tensors


@dataclass(frozen=True)
class ProcessGroup:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=_device())
        torch.distributed.all_reduce(tensor)
        return [float(number) for number in tensor]

    def joined(self, rows: Tensor, places: Tensor, size: int) -> Tensor:
        """All rows, (..., B, N), of which this process has those at `places`."""
        if self.size == 1:
            return rows
        together = rows.new_zeros(*rows.shape[:-2], size, rows.shape[-1])
        together.index_copy_(-2, places, rows)
        torch.distributed.all_reduce(together)
        return together

    def wrap(self, module: nn.Module, *, shard: bool, methods: Sequence[str] = ()) -> nn.Module:
        """The module with its gradients averaged over all processes, or its weights shared out among them.

        `methods` of a module whose weights are shared out find them whole, as `forward` does.
        """
        if shard:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

            mesh = init_device_mesh(_device().type, (self.size,))
            for block in _blocks(module):
                fully_shard(block, mesh=mesh)
            sharded: Any = fully_shard(module, mesh=mesh)
            for name in methods:
                register_fsdp_forward_method(sharded, name)
            return sharded  # type: ignore[no-any-return]
        if self.size == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions want another name for it
            return DistributedDataParallel(module, broadcast_buffers=False)

    def apart(self, module: nn.Module) -> AbstractContextManager[Any]:
        """A context in which gradients add up without being exchanged: for all micro-batches but the last."""
        return module.no_sync() if hasattr(module, "no_sync") else nullcontext()  # type: ignore[operator,unused-ignore]

    def leave(self) -> None:
        """Ends the work together."""
        if self.size > 1:
            torch.distributed.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")


def _blocks(module: nn.Module) -> list[nn.Module]:
    layers = getattr(getattr(module, "network", None), "layers", None)
    return list(layers) if isinstance(layers, nn.ModuleList) else []


def join(device: str, *, shard: bool) -> ProcessGroup:
    """The process group that torchrun's environment describes; gloo on a CPU, NCCL on GPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 and not shard:
        return ProcessGroup()
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(local)
    if size == 1:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "0")
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", rank=rank, world_size=size)
    return ProcessGroup(rank, size)


class NetworkWithObjective(nn.Module):
    """A network and its objective as one module: what processes share, and what is compiled."""

    def __init__(self, network: Network, objective: Objective, precision: str) -> None:
        """`precision` is that of activations, `fp32` or `bf16`."""
        super().__init__()
        self.network = network
        self._objective = objective
        self._device, self._bf16 = network.device.type, precision == "bf16"

    def forward(self, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
            return self._objective.loss(self.network, batch, state)

    def loss(self, batch: Tensors) -> Loss:
        """Return the loss of rows that begin anew; see `SharedNetwork`."""
        return self._objective.loss(self.network, batch, None)

    def hidden(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return the network's hidden vectors; see `SharedNetwork`."""
        hidden, after = self.network(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the network's logits; see `SharedNetwork`."""
        return self.network.logits(hidden)


class SharedNetwork:
    """A network to score with while its weights are shared out among processes: these are gathered when it is asked."""

    def __init__(self, network: Network, module: Any) -> None:
        """`module` is what `ProcessGroup.wrap` made of the NetworkWithObjective."""
        self.device, self.initial = network.device, network.initial
        self._module = module

    def __call__(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`."""
        with torch.inference_mode(False), torch.no_grad():  # weights gathered here are trained with afterwards
            hidden, after = self._module.hidden(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        with torch.inference_mode(False), torch.no_grad():
            logits: Tensor = self._module.logits(hidden)
        return logits

    def loss(self, batch: Tensors) -> Loss:
        """Return the loss of rows that begin anew; see `Objective.loss`."""
        with torch.inference_mode(False), torch.no_grad():
            loss: Loss = self._module.loss(batch)
        return loss
