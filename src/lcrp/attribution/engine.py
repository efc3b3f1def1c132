"""The engine: one forward pass per batch, then one backward round per target.

Axes: B batch, C concept, H W picture, h w feature map.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lcrp.attribution.accounts import Accounts
from lcrp.attribution.finite import check_no_transform
from lcrp.attribution.memory_order import MemoryOrder
from lcrp.attribution.own_state import OwnState
from lcrp.attribution.plain import alone_with, plain
from lcrp.attribution.records import Alter, ReadMaps, Recorder
from lcrp.attribution.task import NetworkOutput, Task
from lcrp.attribution.trace import Trace
from lcrp.composites.operations.kept import CopiesNeededError
from lcrp.composites.operations.mode import OperationRules
from lcrp.composites.operations.order import Order, Watch
from lcrp.composites.operations.origin import picture
from lcrp.composites.spec import BuildComposite
from lcrp.composites.table import RuleTable
from lcrp.errors import ConfigError, LayerError, nearest
from lcrp.values.ledger import Unaccounted
from lcrp.values.normalisation import Normalisation


class Attributor:
    """Explains one network by one composite, within a context.

    Inside the context the network is in evaluation mode and has no gradients for its parameters; in forward passes its
    operations follow the composite's rules. Afterwards it is bit for bit what it was, also after an error.

    Args:
        network: any network that takes [B, 3, H, W].
        composite: builds the composite for the network.
        task: reads and seeds the network's output.
        layers: names of the layers whose relevance and activation are recorded.
        mean: subtracted from RGB images in [0, 1], per channel.
        std: divided by afterwards, per channel.
        unaccounted: what happens where relevance went astray though the composite conserves it.
        told: what the log has said of the network's operations, which it says once; kept from context to context.

    Attributes:
        told: what the log has said of the network's operations.
        checked: which parts of the network were seen to run again from a tape as they do (`AblatedLogits`).

    Raises:
        LayerError: a layer is not in the network.
        ConfigError: it has no parameters.
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
        unaccounted: Unaccounted = "error",
        told: set[str] | None = None,
    ) -> None:
        if next(network.parameters(), None) is None:
            raise ConfigError(f"{type(network).__name__} has no parameters: there is nothing to explain")
        self.network = network
        self.composite = composite
        self.task = task
        self._normalise = Normalisation(mean=tuple(mean), std=tuple(std))
        self._layers = {name: _layer(network, name) for name in layers}
        self._recorder = Recorder(layers)
        self._rules: OperationRules | None = None
        self._accounts: Accounts | None = None
        self._own_state: OwnState | None = None
        self._order, self._seen = MemoryOrder(network), Order()
        self._copies = False  # whether rules keep copies, since the network overwrites what they would keep
        self._unaccounted = unaccounted
        self.told: set[str] = set() if told is None else told
        self.checked: set[object] = set()
        self._trace: Trace | None = None
        self._undo = ExitStack()

    def __enter__(self) -> "Attributor":
        with ExitStack() as stack:
            stack.enter_context(alone_with(self.network))
            built = self.composite(self.network)
            stack.enter_context(plain(self.network, out_of_place=not isinstance(built, RuleTable)))
            self._own_state = OwnState(self.network)
            stack.callback(self._own_state.give_back)
            stack.enter_context(self._order)
            if isinstance(built, RuleTable):
                self._rules = OperationRules(self.network, built, self._recorder.operation)
                self._accounts = Accounts(
                    bookkeeper=self._rules.bookkeeper,
                    cuts=self._rules.cuts,
                    claims=getattr(self.composite, "conserves", False),
                    losing=built.losing,
                    unaccounted=self._unaccounted,
                    told=self.told,
                )
                self._rules.about_to_write = self._own_state.about_to_write
                stack.enter_context(self._rules.running)
            else:
                stack.callback(built.remove)
                built.register(self.network)
            for name, module in self._layers.items():  # after the rules, so that what they return is recorded
                stack.callback(module.register_forward_hook(self._recorder.module(name)).remove)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close_trace()
        self._undo.close()
        self._recorder.end()  # it refers to this object, which else would stay, and the network with it

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
            LayerError: a recorded layer is not used, or one use of it lies behind another.
            ConfigError: several images are given to a network that takes one.
        """
        self._close_trace()
        if self.takes_one and len(images) != 1:
            raise ConfigError(f"{type(self.network).__name__} is explained one picture at a time, not {len(images)}")
        if read is not None and self._recorder.counts is None:
            self._recorder.start()
            self._run(images[:1])  # which layers run how often
        self._recorder.start(read, self._told, num_pictures=len(images))
        self._trace = self._run(images, is_for_few=is_for_few)
        return self._trace

    def altered(self, images: torch.Tensor, layer: str, alter: Alter) -> NetworkOutput:
        """What the network says of images [B, 3, H, W] where the output of a layer is another one, without derivatives.

        Args:
            images: RGB in [0, 1].
            layer: its name; it need not be recorded.
            alter: makes the other output from the layer's own and the axis of its concepts. A layer with a norm of its
                own asks twice, before and after it: what comes before must not show in what comes after.

        Raises:
            LayerError: the layer is not in the network.
        """
        self._close_trace()
        module, hook = _layer(self.network, layer), self._recorder.module(layer)
        self._recorder.start()
        self._recorder.alter = {layer: alter}
        handle = None if layer in self._layers else module.register_forward_hook(hook)
        try:
            with _without_memory():
                _, output = self._through(images)
        finally:
            self._recorder.alter = {}
            self._recorder.start()
            if handle is not None:
                handle.remove()
        return output

    def output(self, images: torch.Tensor) -> NetworkOutput:
        """What the network says of images [B, 3, H, W], without a trace for backward rounds; it records no layer."""
        self._close_trace()
        watch = Watch()
        try:
            with torch.no_grad(), nullcontext() if self._order.is_settled else watch:
                output: NetworkOutput = self.network(self.normalised(images))
        except Exception as error:
            if not self._order.is_another_needed(watch.order, error):
                raise
            return self.output(images)
        return self.output(images) if self._order.is_another_needed(watch.order) else output

    def readable(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs of the recorded layers at which relevance can be read, by name, in the order in which they run.

        Left out is what `forward` refuses: layers that take no part, or of which one use lies behind another.

        Args:
            images: [B, 3, H, W] RGB in [0, 1].

        Returns:
            Maps [B, C, h, w], detached.
        """
        self._close_trace()
        self._recorder.start(num_pictures=len(images))
        self._through(images)
        return self._recorder.readable()

    @contextmanager
    def ruled(self, *, is_for_few: bool = False) -> Iterator[None]:
        """Operations within the block follow the composite's rules, as in a forward pass.

        Args:
            is_for_few: as of `forward`.
        """
        with ExitStack() as stack:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            if self._rules is not None:
                self._rules.few_rounds = is_for_few
                self._rules.begin(copies=self._copies)
                self._recorder.kept, self._seen = self._rules.kept, self._rules.written.order
                stack.callback(self._rules.end)
                stack.enter_context(self._rules)
            else:
                self._seen = stack.enter_context(Watch()).order
            yield

    @property
    def takes_one(self) -> bool:
        """Whether pictures go through the network one by one, when they are explained."""
        return bool(getattr(self.network, "takes_one_picture", False))

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters()).device

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] as the network takes them: normalised, on its device and in its dtype."""
        like = next(self.network.parameters())
        dtype, is_async = torch.promote_types(like.dtype, torch.float32), like.device.type == "cuda"
        images = images.to(like.device, dtype, non_blocking=is_async)
        inputs = self._normalise(images).detach().to(like.dtype)
        return self._order.of(inputs)

    def _through(self, images: torch.Tensor, *, is_for_few: bool = False) -> tuple[torch.Tensor, NetworkOutput]:
        """Input and output of a pass by rules, done again where their memory was overwritten, or its order shows."""
        inputs = self.normalised(images).requires_grad_()
        try:
            with torch.enable_grad(), self.ruled(is_for_few=is_for_few):
                output = self.network(picture(inputs.clone()))  # networks may write into what they get
            is_overwritten = self._rules is not None and self._rules.kept.is_overwritten()
            if not self._order.is_another_needed(self._seen) and not is_overwritten:
                return inputs, output
        except CopiesNeededError:
            is_overwritten = True
        except Exception as error:
            check_no_transform(error)
            is_overwritten = False
            if not self._order.is_another_needed(self._seen, error):
                raise
        if self._rules is not None and self._own_state is not None:
            self._own_state.give_back()
        self._recorder.again()
        self._copies = self._copies or is_overwritten
        return self._through(images, is_for_few=is_for_few)

    def _run(self, images: torch.Tensor, *, is_for_few: bool = False) -> Trace:
        inputs, output = self._through(images, is_for_few=is_for_few)
        if self._rules is not None:
            self._rules.signs.look()
        recorded, arrivals = self._recorder.finish()
        for name in self._layers:
            if name not in recorded:
                raise LayerError(f"layer '{name}' takes no part in the forward pass of {type(self.network).__name__}")
        kept = {name: record for name, record in recorded.items() if record.calls}
        return Trace(self.task, inputs, output, kept, arrivals, self._accounts)

    def _told(self, name: str, maps: torch.Tensor) -> None:
        if self._trace is not None:
            self._trace.told(name, maps)

    def _close_trace(self) -> None:
        if self._trace is not None:
            self._trace.close()
            self._trace = None


def _layer(network: nn.Module, name: str) -> nn.Module:
    """A layer of a network."""
    modules = dict(network.named_modules())
    if name not in modules:
        raise LayerError(f"layer '{name}' is not in {type(network).__name__}; nearest: {nearest(name, modules)}")
    module: nn.Module = modules[name]
    return module


@contextmanager
def _without_memory() -> Iterator[None]:
    """Forward passes within the block keep nothing for a backward pass."""
    with torch.autograd.graph.saved_tensors_hooks(_nothing, _nothing):
        yield


def _nothing(kept: Any) -> Any:
    """In place of what would be kept."""
