"""The engine: one forward pass per batch, then one backward round per target.

Axes: B batch, C concept, H W picture, h w feature map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType

import torch
from torch import nn

from lcrp.attribution.finite import check_differentiable, check_finite
from lcrp.attribution.plain import alone_with, plain
from lcrp.attribution.task import NetworkOutput, Task
from lcrp.composites.closed_form import expect_rounds
from lcrp.composites.spec import BuildComposite
from lcrp.composites.windowed import whole
from lcrp.errors import LayerError, nearest
from lcrp.values.attribution import Attribution
from lcrp.values.normalisation import Normalisation
from lcrp.values.prediction import at_least_float32
from lcrp.values.target import ExplainedTarget

ReadMaps = Callable[[str, torch.Tensor], None]  # name of a layer, and its maps [B, C, h, w]


class Trace:
    """One forward pass, kept for as many backward rounds as there are targets.

    It is valid until the next forward pass of its attributor, and within the attributor's context; then its memory is
    free again, whoever still holds it.

    Attributes:
        activation: layer name to [B, C, h, w], detached; empty if the maps were read as they arose.
    """

    def __init__(
        self, task: Task, inputs: torch.Tensor, output: NetworkOutput, recorded: Mapping[str, torch.Tensor]
    ) -> None:
        self._ends: tuple[NetworkOutput, torch.Tensor] | None = (output, inputs)
        self.activation = {name: tensor.detach() for name, tensor in recorded.items()}
        self._task = task
        self._recorded = dict(recorded)
        self._read: ReadMaps | None = None
        self._sums: dict[str, torch.Tensor] = {}

    @property
    def output(self) -> NetworkOutput:
        """What the network returned, differentiable."""
        return self._open()[0]

    def close(self) -> None:
        """Let go of everything but the activation."""
        self._ends, self._recorded = None, {}

    def explain(self, explained: Sequence[ExplainedTarget | None]) -> Attribution:
        """One backward round for one target (or none) of every image, seeded by the task.

        Args:
            explained: B targets; images without one get zeros.
        """
        return self.attribute(*self._task.seed(self.output, explained))

    def attribute(self, explained_output: torch.Tensor, seed: torch.Tensor) -> Attribution:
        """One backward round from the network's output.

        Args:
            explained_output: the tensor of `output` that is explained, [B, ...].
            seed: its relevance, of the same shape.

        Returns:
            Relevance of the input and of every recorded layer; zero for layers that do not lead to the output.

        Raises:
            LayerError: the relevance of a layer is NaN or infinite.
        """
        heatmap, *relevance = self._backward(explained_output, seed, {**self._input(), **self._recorded})
        by_layer = dict(zip(self._recorded, relevance, strict=True))
        return Attribution(heatmap=at_least_float32(heatmap).sum(dim=1), relevance=by_layer, activation=self.activation)

    def relevance(self, layer: str, explained: Sequence[ExplainedTarget | None]) -> torch.Tensor:
        """Relevance [B, C, h, w] of one recorded layer, by a round that goes no further.

        Args:
            layer: its name.
            explained: B targets; images without one get zeros.

        Raises:
            LayerError: the layer is not recorded, or its relevance is NaN or infinite.
        """
        return self._backward(*self._task.seed(self.output, explained), {layer: self._at(layer)})[0]

    def read_relevance(self, explained: Sequence[ExplainedTarget | None], read: ReadMaps) -> None:
        """One backward round whose maps are read as they arise, so that they need not lie in memory side by side.

        Args:
            explained: B targets; images without one get zeros.
            read: called with the name of every layer that relevance reaches, and its relevance [B, C, h, w].

        Raises:
            LayerError: the relevance of a layer is NaN or infinite.
        """
        self._read, self._sums = read, {}
        try:
            self._backward(*self._task.seed(self.output, explained), self._input())
        finally:
            self._read = None
        check_finite(dict(reversed(self._sums.items())))

    def conditional(self, layer: str, relevance: torch.Tensor) -> torch.Tensor:
        """Heatmaps of relevance that restarts at one layer; every path around the layer is excluded.

        Args:
            layer: name of a recorded layer.
            relevance: [B, C, h, w] at its output, usually masked to one concept per image.

        Returns:
            [B, H, W] relevance of the input, summed over its channels.

        Raises:
            LayerError: the layer is not recorded, or the relevance of the input is NaN or infinite.
        """
        return at_least_float32(self._backward(self._at(layer), relevance, self._input())[0]).sum(dim=1)

    def arrive(self, name: str, relevance: torch.Tensor | None) -> None:
        """Called by a layer's output when its relevance is known."""
        if self._read is not None and relevance is not None:
            maps = whole(relevance)
            self._sums[name] = maps.sum()
            self._read(name, maps)

    def _input(self) -> dict[str, torch.Tensor]:
        return {"input": self._open()[1]}

    def _open(self) -> tuple[NetworkOutput, torch.Tensor]:
        """Output and input of the forward pass."""
        if self._ends is None:
            raise RuntimeError("this trace is over: its attributor was closed or has seen another batch")
        return self._ends

    def _at(self, layer: str) -> torch.Tensor:
        self._open()
        if layer not in self._recorded:
            raise LayerError(f"layer '{layer}' is not recorded; nearest: {nearest(layer, self._recorded)}")
        return self._recorded[layer]

    def _backward(
        self, start: torch.Tensor, seed: torch.Tensor, ends: Mapping[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """Relevance of the `ends`, in their shapes, from relevance `seed` of `start`."""
        tensors = list(ends.values())
        check_differentiable(start)
        gradients = torch.autograd.grad(start, tensors, seed.to(start), retain_graph=True, allow_unused=True)
        relevance = [
            torch.zeros_like(tensor) if gradient is None else whole(gradient)
            for tensor, gradient in zip(tensors, gradients, strict=True)
        ]
        check_finite({name: tensor.sum() for name, tensor in zip(ends, relevance, strict=True)})
        return relevance


class Attributor:
    """Explains one network by one composite, within a context.

    Inside the context the network carries the composite's canonizers and rules, is in evaluation mode, has no gradients
    for its parameters and works out of place. Afterwards it is bit for bit what it was, also after an error.

    Args:
        network: any network that takes [B, 3, H, W].
        composite: builds the composite for the network.
        task: reads and seeds the network's output.
        layers: names of the layers whose relevance and activation are recorded.
        mean: subtracted from RGB images in [0, 1], per channel.
        std: divided by afterwards, per channel.

    Raises:
        LayerError: a layer is not in the network.
    """

    def __init__(
        self,
        network: nn.Module,
        composite: BuildComposite,
        task: Task,
        *,
        layers: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.network = network
        self.composite = composite
        self.task = task
        self._normalise = Normalisation(mean=tuple(mean), std=tuple(std))
        modules = dict(network.named_modules())
        for name in layers:
            if name not in modules:
                raise LayerError(
                    f"layer '{name}' is not in {type(network).__name__}; nearest: {nearest(name, modules)}"
                )
        self._modules = {name: modules[name] for name in layers}
        self._recorded: dict[str, torch.Tensor | None] = {}
        self._read: ReadMaps | None = None
        self._trace: Trace | None = None
        self._undo = ExitStack()

    def __enter__(self) -> "Attributor":
        with ExitStack() as stack:
            stack.enter_context(alone_with(self.network))
            stack.enter_context(plain(self.network))
            composite = self.composite(self.network)
            stack.callback(composite.remove)
            composite.register(self.network)
            for name, module in self._modules.items():  # after the rules, so that what they return is recorded
                stack.callback(module.register_forward_hook(self._recorder(name)).remove)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close_trace()
        self._undo.close()

    @contextmanager
    def reading_by(self, task: Task) -> Iterator[None]:
        """Outputs of forward passes within the block are read and seeded by another task."""
        before, self.task = self.task, task
        try:
            yield
        finally:
            self.task = before

    def forward(self, images: torch.Tensor, read: ReadMaps | None = None, *, is_for_few: bool = False) -> Trace:
        """One forward pass; the trace of the pass before is over.

        Args:
            images: [B, 3, H, W] RGB in [0, 1]; moved to the network's device and dtype.
            read: called with the name and output [B, C, h, w] of every recorded layer, which is then not kept in the
                trace.
            is_for_few: whether few rounds follow, most of which reach little of the picture.

        Raises:
            LayerError: a recorded layer is used more than once, or not at all.
        """
        self._close_trace()
        inputs = self.normalised(images).requires_grad_()
        self._read = read
        expect_rounds(self.network, few=is_for_few)
        with torch.enable_grad():
            output = self.network(inputs)
        recorded, self._recorded = self._recorded, {}
        for name in self._modules:
            if name not in recorded:
                raise LayerError(f"layer '{name}' takes no part in the forward pass of {type(self.network).__name__}")
        kept = {name: tensor for name in self._modules if (tensor := recorded[name]) is not None}
        self._trace = Trace(self.task, inputs, output, kept)
        return self._trace

    def output(self, images: torch.Tensor) -> NetworkOutput:
        """What the network says of images [B, 3, H, W], without a trace for backward rounds; it records no layer."""
        assert not self._modules, "layers are recorded by `forward`"
        self._close_trace()
        with torch.no_grad():
            output: NetworkOutput = self.network(self.normalised(images))
        return output

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters()).device

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] as the network takes them: normalised, on its device and in its dtype."""
        like = next(self.network.parameters())
        images = images.to(like.device, torch.promote_types(like.dtype, torch.float32))
        inputs = self._normalise(images).detach().to(like.dtype)
        return inputs.contiguous(memory_format=torch.channels_last)  # faster on CPUs and GPUs

    def _recorder(self, name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def arrive(relevance: torch.Tensor | None) -> None:
            if self._trace is not None:
                self._trace.arrive(name, relevance)

        def record(module: nn.Module, inputs: object, output: torch.Tensor) -> None:  # noqa: ARG001
            if name in self._recorded:
                raise LayerError(f"layer '{name}' is used more than once in a forward pass; leave it out")
            self._recorded[name] = output if self._read is None else None
            if self._read is not None:
                self._read(name, output.detach())
                if output.requires_grad:
                    output.register_hook(arrive)  # type: ignore[no-untyped-call]

        return record

    def _close_trace(self) -> None:
        self._recorded = {}
        if self._trace is not None:
            self._trace.close()
            self._trace = None
