"""Which module of a network runs."""

from types import TracebackType

from torch import nn
from torch.utils.hooks import RemovableHandle

from lcrp.composites.operations.written import Written


class RunningModules:
    """Knows the innermost module that runs, within its context.

    Attributes:
        calls: number of calls of modules so far; the innermost call is the last of `stack`.
        stack: (name, number of the call) of every module that runs, the innermost last.
        written: what is written in place meanwhile; modules return what it has become.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._hooks: list[RemovableHandle] = []
        self.calls = 0
        self.stack: list[tuple[str, int]] = []
        self.written = Written()

    def __enter__(self) -> "RunningModules":
        for name, module in self._network.named_modules():
            self._hooks.append(module.register_forward_pre_hook(self._enter(name), prepend=True))
            self._hooks.append(module.register_forward_hook(self._leave, always_call=True))
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()
        self.stack.clear()

    @property
    def innermost(self) -> str:
        """Name of the module; '' for the network itself."""
        return self.stack[-1][0] if self.stack else ""

    @property
    def call(self) -> int:
        """Number of its call."""
        return self.stack[-1][1] if self.stack else 0

    def _enter(self, name: str):  # type: ignore[no-untyped-def]
        def enter(module: nn.Module, inputs: object) -> None:  # noqa: ARG001
            self.calls += 1
            self.stack.append((name, self.calls))

        return enter

    def _leave(self, module: nn.Module, inputs: object, output: object) -> object:  # noqa: ARG002
        if self.stack:
            self.stack.pop()
        return self.written.output(output)
