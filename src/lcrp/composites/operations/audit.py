"""Which operations on the way of a decision had no rule."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from lcrp.composites.closed_form import Step
from lcrp.composites.operations.values import Local, Scaling

# derivatives of operations that move values and compute nothing, and those whose relevance goes as their gradient does:
# to the largest value, or by weights of interpolation that sum to 1
_MOVING = frozenset(
    [
        "AccumulateGrad",
        "Alias",
        "AsStrided",
        "Cat",
        "ChannelShuffle",
        "Clone",
        "Complex",
        "Concat",
        "ConstantPadNd",
        "Contiguous",
        "Copy",
        "CopyBackwards",
        "CopySlices",
        "Diagonal",
        "DiagonalScatter",
        "Expand",
        "Fill",
        "Flip",
        "Gather",
        "Im2Col",
        "Index",
        "IndexCopy",
        "IndexFill",
        "IndexPut",
        "IndexPutImpl",
        "IndexReduce",
        "IndexSelect",
        "LiftFresh",
        "MaskedFill",
        "MaskedScatter",
        "MaskedSelect",
        "Movedim",
        "Narrow",
        "NativeChannelShuffle",
        "Permute",
        "Put",
        "PixelShuffle",
        "PixelUnshuffle",
        "ReflectionPad1D",
        "ReflectionPad2D",
        "ReflectionPad3D",
        "Repeat",
        "RepeatInterleave",
        "ReplicationPad1D",
        "ReplicationPad2D",
        "ReplicationPad3D",
        "Reshape",
        "ReshapeAlias",
        "Roll",
        "Rot90",
        "Scatter",
        "ScatterReduce",
        "Select",
        "SelectScatter",
        "Slice",
        "SliceScatter",
        "Sort",
        "Split",
        "SplitWithSizes",
        "Squeeze",
        "Stack",
        "Swapaxes",
        "T",
        "Take",
        "TakeAlongDim",
        "To",
        "ToCopy",
        "Topk",
        "Transpose",
        "Tril",
        "Triu",
        "Unbind",
        "Unfold",
        "UnsafeSplit",
        "UnsafeView",
        "Unsqueeze",
        "View",
        "ViewAs",
        "ViewAsComplex",
        "ViewAsReal",
        "Zero",
        "Where",
        "AdaptiveMaxPool2D",
        "Amax",
        "Max",
        "MaxPool2DWithIndices",
        "MaxPool3DWithIndices",
        "MaxUnpool2D",
        "MaxUnpool3D",
        "Median",
        "Maximum",
        "Amin",
        "Min",
        "Minimum",
        "Aminmax",
        "Cummax",
        "Cummin",
        "Kthvalue",
        "Mode",
        "Nanmedian",
        "UpsampleBicubic2D",
        "UpsampleBicubic2DAa",
        "UpsampleBilinear2D",
        "UpsampleBilinear2DAa",
        "UpsampleLinear1D",
        "UpsampleNearest1D",
        "UpsampleNearest2D",
        "UpsampleNearest3D",
        "UpsampleNearestExact2D",
        "UpsampleTrilinear3D",
        "_Relevance",
    ]
)


def operation_name(node: torch.autograd.graph.Node) -> str:
    """Name of the operation of which a node is the derivative, such as 'LogSumExp'."""
    return re.sub(r"(Backward)?\d*$", "", node.name().rsplit("::", 1)[-1])


def moves_values(out: torch.Tensor, inputs: Sequence[torch.Tensor]) -> bool:
    """Whether an output holds values of its inputs, and nothing new."""
    ends = {x.grad_fn for x in inputs}
    waiting, seen = [out.grad_fn], set(ends)
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if operation_name(node) not in _MOVING:
            return False
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return True


def passed_as_gradient(explained: torch.Tensor) -> Counter[str]:
    """Operations between a tensor and the picture whose gradient took the place of a rule, and how many of each."""
    return Counter(name for node in _before(explained) if (name := operation_name(node)) not in _MOVING)


def passed_by_contribution(explained: torch.Tensor) -> Counter[str]:
    """Operations that no rule knows, of which every input took what it contributes, and how many of each."""
    steps = (getattr(node, "step", None) for node in _before(explained))
    operations = (step.operation for step in steps if isinstance(step, Step))
    return Counter(one.name for one in operations if isinstance(one, Local) and one.name)


def has_rules(explained: torch.Tensor) -> bool:
    """Whether the derivative of a tensor is that of a rule anywhere."""
    return any(isinstance(getattr(node, "step", None), Step) for node in _before(explained))


def rules_used(explained: torch.Tensor) -> set[str]:
    """Names of the rules by which relevance passes between a tensor and the picture."""
    steps = (getattr(node, "step", None) for node in _before(explained))
    return {type(step.rule).__name__ for step in steps if isinstance(step, Step)}


def follows_sign(explained: torch.Tensor) -> bool:
    """Whether relevance of a negative output, put on it as a positive number, speaks against what speaks for it.

    The rules of the operations that compute the output decide it: those behind which nothing but moves, sums and the
    like follows. z+ and flat ones look at no sign, shares by contribution do.
    """
    waiting, seen, found = [explained.grad_fn], set(), set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        step = getattr(node, "step", None)
        kind = None
        if isinstance(step, Step) and not isinstance(step.operation, Scaling):
            kind = step.rule.follows_sign
        if kind is None:
            waiting += [before for before, _ in node.next_functions]
        else:
            found.add(kind)
    return found == {True}


def _before(explained: torch.Tensor) -> Iterator[torch.autograd.graph.Node]:
    waiting = [explained.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [before for before, _ in node.next_functions]
