"""Which tensors have the same memory, whether torch tells or not."""

import torch

from lcrp.values import devices

_ALONE = 2  # who holds memory that one tensor has: the tensor, and what asks


def has_views(tensor: torch.Tensor) -> bool:
    """Whether any other has the memory of a tensor: then what is written into it must arrive there too."""
    try:
        storage = tensor.untyped_storage()
    except (RuntimeError, NotImplementedError):  # no memory of its own
        return True
    return torch._C._storage_Use_Count(storage._cdata) > _ALONE or not storage.resizable()


def memory_of(tensor: torch.Tensor) -> int:
    """Which memory it has; 0 for none of its own."""
    try:
        memory: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):
        return 0
    return memory


def has_equal(now: torch.Tensor, before: torch.Tensor) -> bool:
    """Whether two tensors of one shape hold the same; NaN is never the same."""
    return bool(devices.fetched((now == before).all())[0])
