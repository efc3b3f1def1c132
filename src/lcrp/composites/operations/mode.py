"""Rules on operations: while a network runs, every operation that a rule explains gets the rule's derivative.

Calls of torch's functions are looked up by the function itself (`catalogue`), so that it does not matter how a network
is written: as modules, functions or operators. What depends on the picture is told by data flow: it requires a
gradient, while weights and other constants do not. Python functions of torch are opened, so that what they call is
seen; every other operation passes relevance on as its gradient.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import is_
from types import FunctionType
from typing import Any, Protocol

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from lcrp.composites.bookkeeper import Bookkeeper
from lcrp.composites.closed_form import Rule, Tensors
from lcrp.composites.families import Family
from lcrp.composites.node import passed_on
from lcrp.composites.operations.audit import moves_values
from lcrp.composites.operations.catalogue import HANDLERS, IN_PLACE, KNOWN, LIKE_ANOTHER, OPENED, SHAPED
from lcrp.composites.operations.constants import Constants
from lcrp.composites.operations.cuts import without_grad
from lcrp.composites.operations.kept import Kept
from lcrp.composites.operations.linear_map import Geometry, LinearMap
from lcrp.composites.operations.origin import (
    NOTHING,
    LinearOutput,
    Origin,
    is_cut,
    is_picture,
    mark,
    mark_cut,
    note,
    origin_of,
)
from lcrp.composites.operations.running import RunningModules
from lcrp.composites.operations.signals import Arguments, Options, check_real, in_order, is_signal, leaves
from lcrp.composites.operations.unknown import contribution
from lcrp.composites.operations.values import Local, Operation
from lcrp.composites.operations.written import Written, into_others
from lcrp.composites.rules import Epsilon
from lcrp.composites.signs import Signs
from lcrp.composites.table import RuleTable

Function = Callable[..., Any]


class Seen(Protocol):
    """Is told of every output of a layer."""

    def __call__(self, layer: str, y: torch.Tensor, axis: int, *, is_again: bool) -> torch.Tensor:
        """Another output, or the same; `is_again` where a norm was applied to the output before."""
        ...


class OperationRules(TorchFunctionMode):
    """Within its context a network's derivatives are relevance.

    Args:
        network: in evaluation mode, its parameters without gradients.
        table: which rule explains which operation.
        seen: is told of every output of a linear map, and may replace it.

    Attributes:
        few_rounds: whether few backward rounds follow the next forward pass, as of `Step`.
        about_to_write: is told of every constant before the network writes into it.
        running: which module runs.
        bookkeeper: what operations keep of relevance, in backward rounds.
        constants: what is made of parameters and buffers.
        kept: what rules keep of the forward pass.
        signs: which of their inputs are negative somewhere.
        is_cut: whether the network has turned derivatives off.
        cuts: how often the network takes a value out of what depends on the picture, by how it does.
    """

    def __init__(self, network: nn.Module, table: RuleTable, seen: Seen | None = None) -> None:
        super().__init__()
        self.table = table
        self._seen = seen
        self.few_rounds = False
        self.about_to_write: Callable[[torch.Tensor], None] | None = None
        self.running = RunningModules(network)
        self.cuts: Counter[str] = Counter()
        self.bookkeeper = Bookkeeper()
        self.constants = Constants(network)
        self._opened: dict[Function, Function] = {}
        self._opening: list[Function] = []
        self._moving: dict[tuple[Function, str | None], bool] = {}
        self.begin()

    def __torch_function__(
        self, func: Function, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One call of a function of torch."""
        named = kwargs or {}
        if named:
            args, named = in_order(func, args, named)
        before = args
        if self.written.any:
            args, named = self.written.current(args), self.written.current(named)
        if not torch.is_grad_enabled():
            return without_grad(self, func, args, named)
        if named and named.get("out") is not None:
            return into_others(self, func, args, named)
        handle = HANDLERS.get(func)
        if handle is not None:
            return handle(self, func, args, named)
        if func in IN_PLACE:
            if any(map(is_signal, args)):
                plain, handle = IN_PLACE[func]
                return self.written.write(before[0], args[0], handle(self, plain, args, named))
            self.written.about_to_write(args[0])
        if isinstance(func, FunctionType) and func.__module__ in OPENED:
            return self.open(func, args, named)
        return self.native(func, args, named)

    def begin(self, *, copies: bool = False) -> None:
        """A forward pass begins, in which rules keep copies or not."""
        if copies or self.constants.have_changed():  # copies are of this pass alone
            self.constants.forget()
        self.end()
        self.kept, self.signs = Kept(copies=copies), Signs()
        self.cuts.clear()
        self.is_cut = False

    def end(self) -> None:
        """A forward pass is over: what it has written is let go."""
        self.written = self.running.written = Written(self.cuts, self.about_to_write)

    def current(self, output: Any) -> Any:
        """An output of the network or of a module, as it is after what was written into it."""
        return self.written.output(output)

    def rule(self, family: Family) -> Rule | None:
        """The rule of an operation that runs now; None for the gradient."""
        return self.table.rule(family, self.running.innermost)

    def open(self, func: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call of a Python function of torch, this mode seeing what it calls."""
        if func in self._opening:  # a part of it, in a function of its own, asks again
            return self.native(func, args, kwargs)
        self._opening.append(func)
        try:
            with self:
                return self._open(func)(*args, **kwargs)
        finally:
            self._opening.pop()

    def native(self, func: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call as it is: its gradient is the relevance, or its contribution if it computes what no rule knows."""
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor):
            if out.requires_grad and origin_of(out) is NOTHING:
                return self._without_rule(func, args, kwargs, out)
            if self.cuts and func not in SHAPED and any(map(is_cut, leaves(args, kwargs))):
                return mark_cut(out)
        elif isinstance(out, list | tuple) and any(map(is_signal, out)):
            parts = [
                self._without_rule(func, args, kwargs, part, number) if is_signal(part) else part
                for number, part in enumerate(out)
            ]
            return out if all(map(is_, parts, out)) else type(out)(parts)
        return out

    def _without_rule(
        self, func: Function, args: Arguments, kwargs: Options, out: torch.Tensor, number: int | None = None
    ) -> torch.Tensor:
        inputs = tuple(value for value in leaves(args, kwargs) if is_signal(value) and value is not out)
        rule = None if func in KNOWN or self._moves(func, out, inputs) else self.rule("unknown")
        is_real = all(one.is_floating_point() for one in (out, *inputs))
        if rule is None or not inputs or not is_real or any(out is value for value in args):
            self.written.note(out)
            return self.inherit(out, args[:1] if func in LIKE_ANOTHER else args)
        return self.explained(rule, *contribution(self.kept, func, args, kwargs, number), out.detach().clone())

    def _moves(self, func: Function, out: torch.Tensor, inputs: Tensors) -> bool:
        """Whether a function holds values of its inputs, and nothing new, as far as its last derivative shows."""
        kind = (func, None if out.grad_fn is None else out.grad_fn.name())
        if kind not in self._moving:
            self._moving[kind] = moves_values(out, inputs)
        return self._moving[kind]

    def inherit(self, out: torch.Tensor, args: tuple[Any, ...]) -> torch.Tensor:
        """Note on an output what does not change by what is done to its inputs: that all are gates, or the picture."""
        if args and is_signal(args[0]) and origin_of(args[0]) is NOTHING:  # as most are
            return out
        signals = [one for one in leaves(args, {}) if is_signal(one)]
        return mark(out, signals) if signals and origin_of(signals[0]) is not NOTHING else out

    def explained(
        self, rule: Rule, operation: Operation, inputs: Tensors, y: torch.Tensor, norm_epsilon: float | None = None
    ) -> torch.Tensor:
        """The output of an operation, whose gradient is relevance by a rule."""
        check_real(y, *inputs)
        options: dict[str, Any] = {"norm_epsilon": norm_epsilon, "few_rounds": self.few_rounds}
        if y._is_view():
            y = y.clone()
        if isinstance(operation, Local) and torch.is_autocast_enabled(y.device.type):
            operation = operation.in_the_same_precision(y.device.type)
        out = passed_on(rule, operation, inputs, y, bookkeeper=self.bookkeeper, **options)
        step = out.grad_fn.step  # type: ignore[union-attr]
        step.layer = self.running.innermost
        self.kept.by(step)
        self.signs.of(step)
        is_map = isinstance(operation, LinearMap)
        if isinstance(operation, Local):
            is_map = operation.is_map or bool(operation.name)
        if not is_map and all(map(is_picture, inputs)):
            note(out, Origin(is_picture=True, version=out._version))
        return out

    def linear(
        self,
        family: Family,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        geometry: Geometry | None,
        run: Callable[[], torch.Tensor],
    ) -> torch.Tensor:
        """The output of a linear map of constants."""
        layer = self._layer(weight)
        x = self.kept.own(x)
        rule = self.table.rule(family, layer, is_first=is_picture(x))
        linear = self._map(weight, bias, geometry)
        if rule is None:
            y = run()
        else:
            with torch.no_grad():
                y = run()
            y = self.explained(rule, linear, (x,), y)
        output = LinearOutput(map=linear, x=x, rule=rule, layer=layer, call=self.running.call, version=x._version)
        return self._told(y, output, is_again=False)

    def merged(self, y: torch.Tensor, before: LinearOutput, linear: LinearMap, *, is_norm: bool) -> torch.Tensor:
        """The output of a linear map with which a scaling of its channels was merged.

        Args:
            y: the scaled output.
            before: the output of the map.
            linear: the map, scaled.
            is_norm: whether the scaling has the rule of norms, which is absorbed if it is epsilon.
        """
        rule = before.rule
        self.kept.check(before.x, before.version)
        if rule is not None:
            norm = self.table.families.get("norm") if is_norm else None
            y = self.explained(rule, linear, (before.x,), y, norm.epsilon if isinstance(norm, Epsilon) else None)
        output = replace(before, map=linear)
        return self._told(y, output, is_again=True)

    def _told(self, y: torch.Tensor, output: LinearOutput, *, is_again: bool) -> torch.Tensor:
        if output.rule is not None:
            y.grad_fn.step.layer = output.layer  # type: ignore[union-attr]
        if self._seen is not None:
            y = self._seen(output.layer, y, output.map.axis, is_again=is_again)
        output.own_version = y._version
        return note(y, Origin(linear=output))

    def _layer(self, weight: torch.Tensor) -> str:
        """The innermost module that runs, or a module within it that holds the weight and does not run by itself."""
        running, owner = self.running.innermost, self.constants.owners.get(id(weight), "")
        return owner if owner.startswith(f"{running}." if running else "") and owner else running

    def _map(self, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry | None) -> LinearMap:
        """The linear map of constants; the same as in the pass before if they are."""
        values = (weight,) if bias is None else (weight, bias)

        def made() -> LinearMap:
            of, *offset = (one.detach().clone() if self.kept.copies else one.detach() for one in values)
            return LinearMap(weight=of, bias=offset[0] if offset else None, geometry=geometry)

        return self.constants((*values, geometry, self.kept.copies), made)

    def _open(self, func: Function) -> Function:
        """A Python function of torch that lets this mode see what it calls."""
        if func not in self._opened:
            assert isinstance(func, FunctionType)
            names = {name: _never for name in func.__globals__ if name.startswith("has_torch_function")}
            opened = FunctionType(
                func.__code__, {**func.__globals__, **names}, func.__name__, func.__defaults__, func.__closure__
            )
            opened.__kwdefaults__ = func.__kwdefaults__
            self._opened[func] = opened
        return self._opened[func]


def _never(*tensors: object) -> bool:  # noqa: ARG001
    return False
