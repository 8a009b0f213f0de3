"""Tensors that several processes hold a part of each, as FSDP2 makes them."""

from typing import Any

from torch import Tensor


def gather_tensor(tensor: Tensor) -> Tensor:
    """Return all of a tensor whose parts several processes hold."""
    made: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return made


def shard_tensor(tensor: Tensor, like: Any) -> Tensor:
    """Return this process's part of a full tensor, split as `like` is."""
    if not hasattr(like, "device_mesh"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements)
