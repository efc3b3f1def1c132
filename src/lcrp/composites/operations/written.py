"""What a network writes in place: computed out of place where it can be, since rules keep what was there before.

What cannot (a view, or a tensor that has views) is written natively.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.containers import Current
from lcrp.composites.operations.kept import CopiesNeededError
from lcrp.composites.operations.memory import has_views, memory_of
from lcrp.composites.operations.order import Order
from lcrp.composites.operations.origin import is_cut, mark_written
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, leaves

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


class Written:
    """Which tensor stands for which now, in one forward pass.

    Args:
        cuts: counts where signals are written into memory that constants have too.
        about_to_write: is told of every constant before something is written into its memory.

    Attributes:
        any: whether anything was written.
        order: whether it matters how tensors lie in memory.
    """

    def __init__(
        self, cuts: Counter[str] | None = None, about_to_write: Callable[[torch.Tensor], None] | None = None
    ) -> None:
        self.any = False
        self.order = Order()
        self.about_to_write = about_to_write or _nothing
        self._cuts: Counter[str] = Counter() if cuts is None else cuts
        self._instead: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._viewed: dict[int, weakref.ref[torch.Tensor]] = {}
        self._aliases: dict[int, tuple[weakref.ref[Any], str]] = {}

    def note(self, out: torch.Tensor) -> None:
        """An output may be a view: what is written into one of the two changes the other."""
        base = out._base
        if base is not None:
            self.shares(base)

    def shares(self, tensor: torch.Tensor) -> None:
        """Another tensor has the memory of this one."""
        self._viewed[id(tensor)] = weakref.ref(tensor)

    def alias(self, constant: torch.Tensor, alias: Any, how: str) -> None:
        """Another has the memory of a constant, and will not depend on what is written into it."""
        self._aliases[memory_of(constant)] = weakref.ref(alias), how

    def natively(
        self, target: torch.Tensor, values: Sequence[torch.Tensor], *, was_signal: bool, wholly: bool = True
    ) -> None:
        """Values were written into the memory of a tensor.

        Args:
            target: the tensor, a signal now.
            values: those that are signals.
            was_signal: whether it was one before.
            wholly: whether all of it was written.
        """
        self.note(target)
        self.order.written(target)
        if not was_signal:
            if has_views(target):
                self.shares(target)
            alias, how = self._aliases.get(memory_of(target), (None, ""))
            if alias is not None and alias() is not None:
                self._cuts[how] += 1
        mark_written(target, values, was_signal=was_signal, wholly=wholly)

    def output(self, output: Any) -> Any:
        """What a module returns, every tensor in it as it is now."""
        return Current(self.current).of(output) if self.any else output

    def write(self, written: torch.Tensor, now: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """A value is written into a tensor.

        Args:
            written: the tensor, as the network has it.
            now: what stands for it so far.
            value: what it becomes.

        Returns:
            What the call returns to the network.
        """
        if value is now:
            return written
        self.order.written(now)
        viewed, was_signal = self._viewed.get(id(now)), now.requires_grad
        is_viewed = (viewed is not None and viewed() is now) or (not was_signal and has_views(now))
        if now._is_view() or is_viewed:
            check_writable(now)
            if not was_signal:
                self.about_to_write(now)
            with torch.no_grad() if not value.requires_grad else torch.enable_grad():
                now.copy_(value)
            self.natively(now, [value] if value.requires_grad else [], was_signal=was_signal)
            return now
        return self.instead(now, value if value.dtype == now.dtype else value.to(now.dtype))

    def instead(self, now: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """A value stands for a tensor from now on, which is kept so that no other gets its id."""
        self.any = True
        self._instead[id(now)] = (now, value)
        return value

    def current(self, values: Any) -> Any:
        """Values, each as it is now; of lists, tuples and mappings, their members."""
        if isinstance(values, torch.Tensor):
            while id(values) in self._instead:
                values = self._instead[id(values)][1]
            return values
        if isinstance(values, list | tuple):
            now = [self.current(value) for value in values]
            return tuple(now) if type(values) is tuple else getattr(values, "_make", type(values))(now)
        if isinstance(values, Mapping):
            members = {name: self.current(value) for name, value in values.items()}
            is_same = all(members[name] is value for name, value in values.items())
            return values if is_same else members  # torch looks at the type of what is not its own
        return values


def _nothing(tensor: torch.Tensor) -> None:
    """Nobody is told."""


def check_writable(target: torch.Tensor) -> None:
    """Whether torch lets a tensor be written into: not if it is one of several views that one operation returned.

    Raises:
        CopiesNeededError: it does not; where rules keep copies, such an operation is done as several.
    """
    if target._is_view():
        made = torch._C._autograd._get_creation_meta(target)
        if made == torch._C._autograd.CreationMeta.MULTI_OUTPUT_NODE:
            raise CopiesNeededError


def into_others(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """An operation that writes its output into a tensor that is there already; torch has no derivative of that."""
    named = dict(kwargs)
    targets = named.pop("out")
    several = isinstance(targets, list | tuple)
    if targets is None or not any(map(is_signal, args)):
        for target in targets if several else (targets,):
            mode.written.about_to_write(target)
        return func(*args, **kwargs)
    with mode:
        values = func(*args, **named)
        for target, value in zip(targets, values, strict=True) if several else ((targets, values),):
            target.copy_(value)
    return targets


def written(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Values written into a tensor by nothing but moving them there: what lies on constants stays there."""
    target, *rest = args
    was_signal, values = is_signal(target), [one for one in (*rest, *kwargs.values()) if is_signal(one)]
    if not was_signal:
        mode.written.about_to_write(target)
        if not values:
            return func(*args, **kwargs)
    check_writable(target)
    out = func(*args, **kwargs)
    base = target if target._base is None else target._base
    mode.written.natively(target, values, was_signal=was_signal, wholly=func.__name__ == "copy_")
    book(mode, base, has_cut=any(map(is_cut, (target, *rest))))
    return out


def each(func: Function, mode: "OperationRules", _: Function, args: Arguments, kwargs: Options) -> Any:
    """The same function for every tensor of a list; further lists hold what goes with each."""
    tensors, *others = args
    with mode:
        found = [
            func(one, *(other[number] if isinstance(other, list | tuple) else other for other in others), **kwargs)
            for number, one in enumerate(tensors)
        ]
    return None if func.__name__[-1] == "_" else tuple(found)


def filled(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """What writes into its first argument and has no twin that does not, such as random numbers."""
    target = next(value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
    if not is_signal(target):
        mode.written.about_to_write(target)
    return mode.native(func, args, kwargs)


def renamed_axes(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """A tensor becomes a view of itself."""
    target = args[0]
    if not is_signal(target):
        return func(*args, **kwargs)
    plain = getattr(torch.Tensor, func.__name__.removesuffix("_"))
    return mode.written.instead(target, mode.native(plain, args, kwargs))


def booked(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Values of signals beside constants: what lies on constants stays there."""
    out = mode.native(func, args, kwargs)
    if is_signal(out):
        book(mode, out, has_cut=any(map(is_cut, leaves(args, kwargs))))
    return out


def book(mode: "OperationRules", out: torch.Tensor, *, has_cut: bool) -> None:
    """What the derivative of an output, which moves values, passes to no input is that of constants, or was cut."""
    node, bookkeeper, layer = out.grad_fn, mode.bookkeeper, mode.running.innermost
    if node is None or mode.rule("unknown") is None:
        return

    def keep(lower: Sequence[torch.Tensor | None], upper: Sequence[torch.Tensor | None]) -> None:
        if bookkeeper.is_open and upper[0] is not None:
            found = [one for one in lower if one is not None]
            bookkeeper.kept(upper[0], found, by="cut" if has_cut else "constants", layer=layer)

    node.register_hook(keep)
