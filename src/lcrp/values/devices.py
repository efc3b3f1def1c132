"""What a program on the CPU must know of a device that computes beside it, as a GPU does.

Such a device works off what it was told, and the program goes on meanwhile; it waits where it asks for a number. So
numbers are asked for seldom, many at a time, and what is sent lies in memory that the device reads by itself.
"""

import torch


def waits(values: torch.Tensor) -> bool:
    """Whether the program waits where it looks at values: on every device but the CPU."""
    return values.device.type != "cpu"


def fetched(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """Tensors on the CPU, by one copy: a wait that is meant.

    Args:
        tensors: floats, truth values, or whole numbers below 2^53, on one device.

    Returns:
        The same numbers in the same shapes and types.
    """
    if not any(map(waits, tensors)):
        return list(tensors)
    if tensors[0].device.type == "mps":  # without float64
        return [one.cpu() for one in tensors]
    together = torch.cat([one.detach().double().flatten() for one in tensors]).cpu()
    parts = torch.split(together, [one.numel() for one in tensors])
    return [part.view(one.shape).to(one.dtype) for part, one in zip(parts, tensors, strict=True)]


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device, which fetches it without a wait."""
    if device.type != "cuda" or not values.numel():
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
