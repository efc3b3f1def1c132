"""Rules that hand relevance on and weigh nothing; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.composites.families import Family
from lcrp.composites.operations.values import Local, Masked, Operation
from lcrp.composites.windowed import whole


class Pass(Rule):
    """Relevance passes as it is, but where a factor is zero; summed where the input was broadcast."""

    explains = frozenset[Family](
        ["norm", "normalisation", "relu", "activation", "scale", "gate", "quotient", "l2_norm", "softmax"]
    )

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _MaskedPassStep if isinstance(operation, Masked) else _PassStep


class _PassStep(Step):
    keeps = "nothing"
    reads_input = False

    def relevance(self, upper: torch.Tensor) -> torch.Tensor:
        return upper if upper.shape == self.shapes[0] else self.lower(whole(upper))  # windowed maps pass too

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper.sum_to_size(self.shapes[0])


class _MaskedPassStep(Step):
    keeps = "for constants"
    operation: Masked
    reads_input = False

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return torch.where(self.operation.factor != 0, upper, 0).sum_to_size(self.shapes[0])


class Moved(Rule):
    """Relevance of values goes where they came from; what lies on constants among them stays there."""

    explains = frozenset[Family]()  # the operations ask for it themselves

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _MovedStep


class _MovedStep(Step):
    keeps = "for constants"
    operation: Local
    reads_input = False

    def lower(self, upper: torch.Tensor) -> Tensors:
        inputs = [upper.new_zeros(shape).requires_grad_() for shape in self.shapes]
        with torch.enable_grad():
            y = self.operation.function(*inputs)
        return torch.autograd.grad(y, inputs, upper)


class Halves(Rule):
    """Both factors of a product take half of its relevance (Achtibat et al., AttnLRP, 2024, section 3.2)."""

    explains = frozenset[Family](["product"])

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _HalvesStep


class _HalvesStep(Step):
    keeps = "nothing"
    reads_input = False

    def lower(self, upper: torch.Tensor) -> Tensors:
        share = upper / len(self.shapes)
        return tuple(share.sum_to_size(shape) for shape in self.shapes)
