"""Canonizers: temporary rewrites of a network that leave its output as it is."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.types import ConvolutionTranspose

MERGED_INTO = "merged_into"  # attribute of a norm while it is merged: the layers in which it is folded
MERGED = "merged"  # attribute of these layers meanwhile: the norm


class MergeBatchNorm(SequentialMergeBatchNorm):  # type: ignore[misc]
    """Folds every BatchNorm that directly follows a linear layer into it, exactly.

    As zennit, 'follows' is told by the order of the leaf modules. Where we differ: eps is neutralised too, so that the
    BatchNorm left behind is the identity (zennit 0.4.6 leaves a factor 1 / sqrt(1 + eps)), and only a layer and a
    BatchNorm that have no other neighbour in that place are merged, so that layers used twice stay whole.
    """

    def apply(self, root_module: nn.Module) -> list["MergeBatchNorm"]:
        """Merge all pairs of a network in evaluation mode; one canonizer per pair is returned, each to be removed."""
        modules = [module for _, module in root_module.named_modules(remove_duplicate=False)]
        leaves = [*(module for module in modules if next(module.children(), None) is None), None]
        before: dict[nn.Module | None, set[nn.Module]] = defaultdict(set)
        after: dict[nn.Module, set[nn.Module | None]] = defaultdict(set)
        for first, second in pairwise(leaves):
            after[first].add(second)
            before[second].add(first)
        instances = []
        for linear, (norm, *others) in list(after.items()):
            if not others and len(before[norm]) == 1 and self._fit(linear, norm):
                instances.append(self.copy())
                instances[-1].register((linear,), norm)
        return instances

    def register(self, linears: tuple[nn.Module, ...], batch_norm: nn.Module) -> None:
        """Fold `batch_norm` into `linears`, remember how they were, and let norm and layers name each other."""
        self.eps = batch_norm.eps
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0  # type: ignore[assignment]
        for module, name, value in self._marks():
            object.__setattr__(module, name, value)  # a plain attribute, so that no module gets another sub-module

    def remove(self) -> None:
        """Give every parameter, buffer and eps back, bit for bit."""
        super().remove()
        self.batch_norm.eps = self.eps
        for module, name, _ in self._marks():
            object.__delattr__(module, name)

    def _marks(self) -> Iterator[tuple[nn.Module, str, object]]:
        yield self.batch_norm, MERGED_INTO, self.linears
        for linear in self.linears:
            yield linear, MERGED, self.batch_norm

    def _fit(self, linear: nn.Module, norm: nn.Module | None) -> bool:
        """Whether `norm` normalises the outputs of `linear` and can be folded into it."""
        if not isinstance(linear, self.linear_type) or not isinstance(norm, self.batch_norm_type):
            return False
        if isinstance(linear, ConvolutionTranspose) and linear.groups > 1:
            return False
        outputs = linear.out_features if isinstance(linear, nn.Linear) else linear.out_channels
        return norm.num_features == outputs and norm.affine and norm.running_mean is not None
