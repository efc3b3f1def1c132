"""Outputs of the layers that are analysed, as concepts and their places.

Axes: B batch, N region of interest, C concept, h w feature map, P place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from lcrp.attribution.side_by_side import behind_themselves, check_side_by_side
from lcrp.composites.operations.kept import Kept
from lcrp.composites.windowed import whole
from lcrp.errors import LayerError

ReadMaps = Callable[[str, torch.Tensor], None]  # name of a layer, and its maps [B, C, h, w]
Alter = Callable[[torch.Tensor, int], torch.Tensor]  # another output of a layer, from its own and its concepts' axis


@dataclass(slots=True, kw_only=True)
class Record:
    """The output of a layer in one forward pass.

    Attributes:
        axis: of the concepts.
        num_pictures: B of the pass; a first axis of another size is that of regions, all of them of one picture.
        calls: an output of every call.
    """

    axis: int
    num_pictures: int = 1
    calls: list[torch.Tensor] = field(default_factory=list)

    def activation(self) -> torch.Tensor:
        """The output, detached, as `joined`."""
        with torch._C.DisableTorchFunction():  # no doing of the network
            return self.joined([call.detach() for call in self.calls])

    def joined(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Parts in the shapes of the calls as maps of concepts.

        Returns:
            [B, C, h, w] of a single map, [1, C, N, h * w] of the regions of one picture, [B, C, 1, P] of all else.
        """
        maps = [self._maps(part) for part in parts]
        if len(maps) == 1:
            return maps[0]
        return torch.cat([one.flatten(2)[:, :, None] for one in maps], dim=3)

    def split(self, maps: torch.Tensor) -> list[torch.Tensor]:
        """What `joined` joined, in the shapes of the calls."""
        sizes = [max(1, self._num_places(call)) for call in self.calls]
        parts = torch.split(maps.flatten(2), sizes, dim=2)  # [B, C, P]
        return [self._part(part, call) for part, call in zip(parts, self.calls, strict=True)]

    def has_regions(self) -> bool:
        """Whether a call's first axis is not that of the pictures."""
        return any(len(call) != self.num_pictures for call in self.calls)

    def _num_places(self, call: torch.Tensor) -> int:
        """Places of a picture in a call."""
        return call.numel() // call.shape[self.axis] // self.num_pictures

    def _maps(self, part: torch.Tensor) -> torch.Tensor:
        """A part in the shape of a call as [B, C, h, w]; one place without relevance where there are no regions."""
        maps = part.movedim(self.axis, 1)
        if len(maps) != self.num_pictures:
            num_places = maps.shape[2:].numel()
            if not len(maps):
                return maps.new_zeros(1, maps.shape[1], 1, 1)
            return maps.movedim(0, 1).reshape(1, maps.shape[1], len(maps), num_places)
        return maps if maps.ndim == 4 else maps.reshape(*maps.shape[:2], 1, -1)

    def _part(self, places: torch.Tensor, call: torch.Tensor) -> torch.Tensor:
        """Places [B, C, P] in the shape of a call."""
        shape = call.movedim(self.axis, 1).shape
        if len(call) == self.num_pictures:
            return places.reshape(shape).movedim(1, self.axis)
        if not len(call):
            return torch.zeros_like(call)
        by_region = places.reshape(shape[1], shape[0], *shape[2:]).movedim(0, 1)  # [N, C, ...]
        return by_region.movedim(1, self.axis)


class Arrivals:
    """Waits for the relevance of all calls of a layer, in one backward round after the other.

    Args:
        record: of the layer; its calls get hooks and are not kept.
        tell: called with the relevance of the layer, as `Record.joined`, once all of it is there.
    """

    def __init__(self, record: Record, tell: Callable[[torch.Tensor], None]) -> None:
        self._tell = tell
        self._empty = [call.new_empty(()).expand(call.shape) for call in record.calls]
        self._record = Record(axis=record.axis, num_pictures=record.num_pictures, calls=self._empty)
        self._parts: dict[int, torch.Tensor] = {}
        for number, call in enumerate(record.calls):
            if call.requires_grad:
                call.register_hook(self._hook(number))  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """A round is over: what has not arrived is zero, if anything has."""
        if self._parts:
            parts = [
                self._parts[number] if number in self._parts else torch.zeros_like(empty)
                for number, empty in enumerate(self._empty)
            ]
            self._parts = {}
            self._tell(self._record.joined(parts))

    def _hook(self, number: int) -> Callable[[torch.Tensor | None], None]:
        def arrive(relevance: torch.Tensor | None) -> None:
            if relevance is not None:
                self._parts[number] = whole(relevance)
                if len(self._parts) == len(self._empty):
                    self.end()

        return arrive


class Recorder:
    """Watches layers in one forward pass after the other.

    Args:
        layers: their names.

    Attributes:
        alter: replaces the output of layers, by name.
        counts: how often every layer runs in a forward pass; None before the first.
        kept: of the forward pass; outputs of layers are kept too.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self.layers = tuple(layers)
        self.alter: Mapping[str, Alter] = {}
        self.counts: Mapping[str, int] | None = None
        self.kept = Kept()
        self._read: ReadMaps | None = None
        self._told: Callable[[str, torch.Tensor], None] = _tell_nobody
        self._records: dict[str, Record] = {}
        self._arrivals: list[Arrivals] = []
        self._open: str | None = None
        self._num_pictures = 1
        self._by_operation: set[str] = set()

    def start(
        self,
        read: ReadMaps | None = None,
        told: Callable[[str, torch.Tensor], None] | None = None,
        *,
        num_pictures: int = 1,
    ) -> None:
        """A forward pass begins.

        Args:
            read: called with the activation of a layer as soon as it is known, which then is not kept.
            told: called with the relevance of such a layer in every backward round.
            num_pictures: that go through the network together.
        """
        self._num_pictures = num_pictures
        self._read, self._told = read, told or self._told
        self._records, self._arrivals, self._open = {}, [], None
        self._by_operation.clear()
        self._done: set[str] = set()

    def end(self) -> None:
        """No further pass: nobody is told of any."""
        self.start()
        self._told = _tell_nobody

    def again(self) -> None:
        """The forward pass begins anew; what was read of it is not read again."""
        read = self._read
        done = self._done

        def rest(name: str, maps: torch.Tensor) -> None:
            if name not in done and read is not None:
                read(name, maps)

        self.start(None if read is None else rest, num_pictures=self._num_pictures)

    def operation(self, layer: str, y: torch.Tensor, axis: int, *, is_again: bool) -> torch.Tensor:
        """An operation of a layer has run.

        Args:
            layer: its name.
            y: its output.
            axis: of its concepts.
            is_again: whether this is the output before, to which a norm was applied that belongs to the layer.

        Returns:
            The output that takes its place.
        """
        if layer not in self.layers and layer not in self.alter:
            return y
        if layer in self.alter:
            y = _owned(self.alter[layer](y, axis))
        self._by_operation.add(layer)
        self._note(layer, y, axis, is_again=is_again)
        return self.kept.own(y)

    def module(self, layer: str) -> Callable[[nn.Module, object, object], object]:
        """Forward hook of a module: records its output, unless an operation of its own was."""

        def record(module: nn.Module, inputs: object, output: object) -> object:  # noqa: ARG001
            if layer in self._by_operation or not isinstance(output, torch.Tensor):
                self._by_operation.discard(layer)
                return output
            axis = 1 if output.ndim == 4 else -1
            if layer in self.alter:
                output = _owned(self.alter[layer](output, axis))
            self._note(layer, output, axis, is_again=False)
            return self.kept.own(output)

        return record

    def finish(self) -> tuple[dict[str, Record], list[Arrivals]]:
        """The forward pass is over.

        Returns:
            What was recorded, by layer, and what waits for the relevance of what was read.

        Raises:
            LayerError: a layer did not run, one use of it lies behind another, or it is of regions of several pictures.
        """
        self._settle()
        for name, record in self._records.items():
            _check_regions(name, record)
        check_side_by_side({name: record.calls for name, record in self._records.items()})
        counts = {name: len(record.calls) for name, record in self._records.items()}
        self.counts = counts if self._read is None else self.counts
        recorded = {name: self._records[name] for name in self.layers if name in self._records}
        arrivals, self._records, self._arrivals = self._arrivals, {}, []
        return recorded, arrivals

    def readable(self) -> dict[str, torch.Tensor]:
        """The forward pass is over: the outputs, as `Record.activation`, of layers that relevance can be read at.

        In the order in which they ran; those that did not, or whose uses lie behind each other, are left out.
        """
        records, self._records = self._records, {}
        behind = set(behind_themselves({name: record.calls for name, record in records.items()}))
        return {name: record.activation() for name, record in records.items() if name not in behind and record.calls}

    def _note(self, layer: str, y: torch.Tensor, axis: int, *, is_again: bool) -> None:
        if self._open != layer:
            self._settle()
        record = self._records.setdefault(layer, Record(axis=axis, num_pictures=self._num_pictures))
        if is_again and record.calls:
            record.calls.pop()
        record.calls.append(y)
        self.kept.note(y)
        self._open = layer

    def _settle(self) -> None:
        """Nothing more is applied to the layer that ran last."""
        name, self._open = self._open, None
        if name is None or self._read is None:
            return
        record = self._records[name]
        if self.counts is None or len(record.calls) < self.counts.get(name, 1):
            return
        _check_regions(name, record)
        self._read(name, record.activation())
        self._done.add(name)
        self._arrivals.append(Arrivals(record, lambda maps: self._told(name, maps)))
        self._records[name] = Record(axis=record.axis, num_pictures=record.num_pictures)


def _check_regions(name: str, record: Record) -> None:
    """Whether every row of a layer is known to be of a picture."""
    if record.num_pictures > 1 and record.has_regions():
        raise LayerError(
            f"layer '{name}' has {len(record.calls[0])} rows for {record.num_pictures} pictures: whose they are is not "
            "known; give one picture at a time"
        )


def _owned(output: torch.Tensor) -> torch.Tensor:
    """An output in memory of its own, so that what a network writes into it is written nowhere else."""
    return output.clone() if output._is_view() else output


def _tell_nobody(name: str, maps: torch.Tensor) -> None:
    """In place of somebody who is told."""
