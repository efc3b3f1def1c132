"""What all rules compute with: signs, and denominators that are not zero.

Written for the operations that are fast on CPUs too: reductions and arithmetic take a fraction of the time of boolean
masks, and give the same bits. Looks at values are for CPUs alone: elsewhere the program would wait for them.
"""

from collections.abc import Iterator, Sequence

import torch

STABILIZER = 1e-6  # if no other is given: added to the absolute value of denominators, as zennit does


def stabilised(denominator: torch.Tensor, stabilizer: float = STABILIZER) -> torch.Tensor:
    """Denominator + stabilizer with its sign, that of zero being positive."""
    without_sign = denominator + 0.0  # turns -0.0 into 0.0
    return without_sign.add_(torch.copysign(denominator.new_full((), stabilizer), without_sign))


def where_positive(values: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """The values where a condition is positive, else zero; on CPUs many times faster than with a mask."""
    out: torch.Tensor = torch.ops.aten.threshold_backward(values, condition, 0)
    return out


def positive_part(values: torch.Tensor) -> torch.Tensor:
    """a+ = max(a, 0)."""
    return values.clamp(min=0)


def negative_part(values: torch.Tensor) -> torch.Tensor:
    """a- = min(a, 0)."""
    return values.clamp(max=0)


def has_negative(values: torch.Tensor) -> bool:
    """Whether any value is negative; a reduction, on CPUs many times faster than `any`."""
    return any(part.amin().item() < 0 for part in _glance_first(values))


def is_zero(values: torch.Tensor) -> bool:
    """Whether all values are zero; two reductions, since `aminmax` copies what is in channels last."""
    return all(part.amin().item() == 0 and part.amax().item() == 0 for part in _glance_first(values))


def _glance_first(values: torch.Tensor) -> Iterator[torch.Tensor]:
    """The row in the middle, which mostly settles a question; then everything; nothing of what is empty."""
    if values.numel() == 0:
        return
    if values.ndim > 1:
        yield values.select(-2, values.shape[-2] // 2)
    yield values


def convolved(
    x: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> torch.Tensor:
    """`torch.convolution` without derivatives; pixel by pixel with one thread, by oneDNN, as torch has it with several.

    On one thread torch takes another way for kernels of one pixel, which takes two to three times as long.
    """
    if not transposed and list(stride) == [1, 1] and is_left_out(x, weight):
        return torch.mkldnn_convolution(x, weight, offset, list(padding), list(stride), list(dilation), groups)
    arguments = stride, padding, dilation, transposed, output_padding, groups
    out: torch.Tensor = torch.ops.aten.convolution(x, weight, offset, *arguments)
    return out


def is_left_out(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether torch does not hand a convolution of single pixels to oneDNN, which knows it: it has one thread."""
    is_known = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    is_by_pixel = weight.shape[2:] == (1, 1) and x.numel() > 0
    is_plain = not (torch.is_grad_enabled() and x.requires_grad)
    has_onednn = bool(torch.backends.mkldnn.enabled) and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return is_known and is_by_pixel and is_plain and torch.get_num_threads() == 1 and has_onednn
