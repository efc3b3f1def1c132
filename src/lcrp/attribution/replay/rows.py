"""Variants that do not differ yet: kernels run for one of them.

Axes: V variant, C channel, h w place.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from lcrp.attribution.replay.calls import FASTER
from lcrp.attribution.replay.kernels import AS_IT_IS, NORMS

_aten = torch.ops.aten
_WRITING = {_aten.copy_, _aten.fill_, _aten.masked_fill_, _aten.zero_}  # place by place
_OF_FIRST = {  # kernels that treat every row of their first input alone
    *NORMS,
    *(_aten.convolution, _aten.max_pool2d_with_indices, _aten.avg_pool2d, _aten._adaptive_avg_pool2d),
    *(_aten.upsample_nearest2d, _aten.upsample_bilinear2d),
}


class RowsError(Exception):
    """A kernel cannot take rows that lie in the same memory."""


class RowsOnce(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Kernels within the block run once for rows that lie in the same memory, as those of an expanded picture do.

    What they give is expanded again, so that the rows stay one until something is done that tells them apart. A network
    that writes other values into each ends in a RowsError; one that writes into some of them alone writes into all, so
    that what is found is to be compared.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One call to a kernel."""
        options = dict(kwargs or {})
        with torch._C.DisableTorchFunction():  # what looks at strides here is not the network
            try:
                return _computed(func, args, options)
            except RuntimeError as error:
                if any(0 in one.stride() for one in _tensors((args, options))):
                    raise RowsError(str(error)) from error
                raise


def _computed(func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    kernel = FASTER.get(func, func)
    if func in (_aten.view.default, _aten._unsafe_view.default) and is_repeated(args[0]):
        return _viewed(*args)
    if not _treats_rows_alone(func, args, options):
        return kernel(*args, **options)
    num_rows = len(next(filter(is_repeated, _tensors((args, options)))))
    cut = 1 if func.overloadpacket in _OF_FIRST else len(args)
    result = kernel(*tree_map(first_row, args[:cut]), *args[cut:], **tree_map(first_row, options))
    if func._schema.is_mutable:
        return args[0]
    return tree_map_only(torch.Tensor, lambda out: _repeated(out, num_rows), result)


def _treats_rows_alone(func: Any, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a kernel is given repeated rows and nothing that differs from row to row, and makes each of its own."""
    packet = func.overloadpacket
    if packet in _OF_FIRST:
        return is_repeated(args[0]) and not (packet is _aten.native_batch_norm and args[5])
    if packet is _aten.cat:
        axis = args[1] if len(args) > 1 else options.get("dim", 0)
        return axis % max(1, args[0][0].ndim) != 0 and all(map(is_repeated, args[0]))
    if torch.Tag.nondeterministic_seeded in func.tags or not (
        torch.Tag.pointwise in func.tags or packet in AS_IT_IS | _WRITING
    ):
        return False
    tensors = _tensors((args, options))
    repeated = [one for one in tensors if is_repeated(one)]
    most = max((one.ndim for one in tensors), default=0)
    differing = [one for one in tensors if not is_repeated(one) and one.ndim == most > 0 and len(one) > 1]
    is_written_alone = not func._schema.is_mutable or is_repeated(args[0])
    return bool(repeated) and is_written_alone and not differing and all(one.ndim == most for one in repeated)


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def is_repeated(leaf: Any) -> bool:
    """Whether something is a tensor whose rows lie in the same memory."""
    return isinstance(leaf, torch.Tensor) and leaf.ndim > 1 and len(leaf) > 1 and leaf.stride(0) == 0


def _viewed(rows: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A view of repeated rows; where it joins them, of a copy in which each has a place of its own."""
    try:
        view: torch.Tensor = _aten.view(rows, shape)
    except RuntimeError:
        row = first_row(rows)
        own = rows.new_empty_strided(rows.shape, row.stride()).copy_(rows) if all(row.stride()) else rows.contiguous()
        view = _aten.view(own, shape)
    return view


def _repeated(out: torch.Tensor, num_rows: int) -> torch.Tensor:
    """A kernel's result [1, ...] for all rows; statistics [C] are nobody's."""
    return out.expand(num_rows, *out.shape[1:]) if out.ndim > 1 else out


def first_row(leaf: Any) -> Any:
    """The row [1, ...] that repeated rows are, as if others lay behind it: kernels tell channels last by that."""
    if not is_repeated(leaf):
        return leaf
    size = max(length * step for length, step in zip(leaf.shape[1:], leaf.stride()[1:], strict=True))
    return leaf.as_strided((1, *leaf.shape[1:]), (size, *leaf.stride()[1:]), leaf.storage_offset())
