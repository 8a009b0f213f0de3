"""Several processes that train one model, by torch's own DistributedDataParallel and FSDP2; one is a world of one."""

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
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


def join(device: str, *, shard: bool) -> World:
    """The world that torchrun's environment tells of; gloo on a CPU, NCCL on GPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 and not shard:
        return World()
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(local)
    if size == 1:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "0")
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", rank=rank, world_size=size)
    return World(rank, size)


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that processes share."""
    made: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return made


def spread(tensor: Tensor, like: Any) -> Tensor:
    """A whole tensor as processes share `like`: the part that is this process's."""
    if not hasattr(like, "device_mesh"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements)
