"""One forward pass, and the backward rounds over it.

Axes: B batch, C concept, H W picture, h w feature map.
"""

from collections.abc import Callable, Mapping, Sequence

import torch

from lcrp.attribution.accounts import Accounts
from lcrp.attribution.finite import check_differentiable, check_finite, check_no_checkpoint
from lcrp.attribution.records import Arrivals, Record
from lcrp.attribution.seeding import Seeding
from lcrp.attribution.sides import LINEARISED
from lcrp.attribution.task import NetworkOutput, Task
from lcrp.attribution.unseen import UnseenRounds
from lcrp.composites.windowed import whole
from lcrp.errors import LayerError, nearest
from lcrp.values import devices
from lcrp.values.attribution import Attribution
from lcrp.values.ledger import Ledger
from lcrp.values.prediction import at_least_float32
from lcrp.values.target import ExplainedTarget

ReadRelevance = Callable[[str, torch.Tensor], torch.Tensor | None]

ROUNDS_LOOKED_AT = 16  # of those that are read as they arise: what has no rule shows in the first


class Trace:
    """One forward pass, kept for as many backward rounds as there are targets.

    It is valid until the next forward pass of its attributor, and within the attributor's context; then its memory is
    free again, whoever still holds it.

    Attributes:
        activation: layer name to [B, C, h, w], detached; empty if the maps were read as they arose.
    """

    def __init__(
        self,
        task: Task,
        inputs: torch.Tensor,
        output: NetworkOutput,
        recorded: Mapping[str, Record],
        arrivals: Sequence[Arrivals],
        accounts: Accounts | None,
    ) -> None:
        self._ends: tuple[NetworkOutput, torch.Tensor] | None = (output, inputs)
        self.activation = {
            name: record.joined([call.detach() for call in record.calls]) for name, record in recorded.items()
        }
        self._seeding = Seeding(task)
        self._recorded = dict(recorded)
        self._arrivals = arrivals
        self._accounts = accounts
        self._unseen = UnseenRounds()
        self._read: ReadRelevance | None = None
        self._sums: dict[str, torch.Tensor] = {}

    @property
    def output(self) -> NetworkOutput:
        """What the network returned, differentiable."""
        return self._open()[0]

    @property
    def device(self) -> torch.device:
        """Where it was computed."""
        return self._input.device

    @property
    def is_linearised(self) -> bool:
        """Whether what is explained is no sum of logits, so that no relevance adds up to it."""
        return self._seeding.is_linearised(self.output)

    @property
    def is_contrast(self) -> bool:
        """Whether logits are set against each other, those of two classes or of a side's bins."""
        return self._seeding.is_contrast(self.output)

    def close(self) -> None:
        """Let go of everything but the activation."""
        self._ends, self._recorded, self._arrivals, self._unseen = None, {}, (), UnseenRounds()

    def explain(self, explained: Sequence[ExplainedTarget | None]) -> Attribution:
        """One backward round for one target (or none) of every image, seeded by the task.

        Positive relevance speaks for the target, also where its logit is negative.

        Args:
            explained: B targets; images without one get zeros.
        """
        return self.attribute(*self._seed(explained))

    def put_on(self, explained: Sequence[ExplainedTarget | None]) -> float:
        """Sum of the absolute relevance that a round puts on the output."""
        return float(self._seed(explained)[1].double().abs().sum())

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
        calls = [call for record in self._recorded.values() for call in record.calls]
        names = ["input", *(name for name, record in self._recorded.items() for _ in record.calls)]
        heatmap, *relevance = self._checked(
            names, self._backward([explained_output], [seed], [self._input, *calls], is_accounted=True)
        )
        by_layer = {}
        for name, record in self._recorded.items():
            parts, relevance = relevance[: len(record.calls)], relevance[len(record.calls) :]
            by_layer[name] = record.joined(parts)
        heatmap = at_least_float32(heatmap).sum(dim=1)
        ledgers = None
        if self._accounts is not None:
            closing = self._accounts.closing(explained_output, seed, heatmap, by_layer.values())
            ledgers = self._accounts.closed(closing, *devices.fetched(closing.rows))
        return Attribution(
            heatmap=heatmap,
            relevance=by_layer,
            activation=self.activation,
            ledgers=ledgers,
            without_map=frozenset(name for name, record in self._recorded.items() if not _is_map(record)),
        )

    def ledger_of_layers(
        self, explained: Sequence[ExplainedTarget | None]
    ) -> list[tuple[str, float, float, float, float]]:
        """What every layer did with the relevance of one round, as shares of the seed, from the output on.

        Args:
            explained: B targets; images without one get none.

        Returns:
            Of every layer that relevance reaches: its name; what its outputs received, what constants (biases above
            all) took of it, what was cut, and what stabilisers took. Nothing where the composite is no table of rules.
        """
        if self._accounts is None:
            return []
        explained_output, seed = self._seed(explained)
        self._checked(
            ["input"], self._backward([explained_output], [seed], [self._input], is_accounted=True, by_layer=True)
        )
        whole_seed = float(seed.double().sum().abs())
        rows = self._accounts.bookkeeper.layers()
        return [(name, a / whole_seed, b / whole_seed, c / whole_seed, d / whole_seed) for name, a, b, c, d in rows]

    def relevance(self, layer: str, explained: Sequence[ExplainedTarget | None]) -> torch.Tensor:
        """Relevance [B, C, h, w] of one recorded layer, by a round that goes no further.

        Args:
            layer: its name.
            explained: B targets; images without one get zeros.

        Raises:
            LayerError: the layer is not recorded, or its relevance is NaN or infinite.
        """
        return self.seeded_relevance(layer, *self._seed(explained))

    def relevances(self, explained: Sequence[ExplainedTarget | None]) -> dict[str, torch.Tensor]:
        """Relevance [B, C, h, w] of every recorded layer, by a round that goes no further than these.

        Args:
            explained: B targets; images without one get zeros.

        Raises:
            LayerError: the relevance of a layer is NaN or infinite.
        """
        explained_output, seed = self._seed(explained)
        names = [name for name, record in self._recorded.items() for _ in record.calls]
        calls = [call for record in self._recorded.values() for call in record.calls]
        parts = iter(self._checked(names, self._backward([explained_output], [seed], calls)))
        return {name: record.joined([next(parts) for _ in record.calls]) for name, record in self._recorded.items()}

    def seeded_relevance(self, layer: str, explained_output: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
        """The same of a seed of one's own.

        Args:
            layer: its name.
            explained_output: the tensor of `output` that is explained, [B, ...].
            seed: its relevance, of the same shape.

        Raises:
            LayerError: the layer is not recorded, or its relevance is NaN or infinite.
        """
        record = self._at(layer)
        parts = self._backward([explained_output], [seed], record.calls)
        return record.joined(self._checked([layer] * len(parts), parts))

    def read_relevance(
        self, explained: Sequence[ExplainedTarget | None], read: ReadRelevance, *, is_accounted: bool = False
    ) -> None:
        """One backward round whose maps are read as they arise, so that they need not lie in memory side by side.

        What broke in it is known once `ledgers` is called.

        Args:
            explained: B targets; images without one get zeros.
            read: called with the name of every layer that relevance reaches, and its relevance [B, C, h, w]; may return
                what is not finite where the relevance is not, which then need not be looked at itself.
            is_accounted: whether the round is kept account of, which the first ones always are.
        """
        accounts = self._accounts
        is_accounted = accounts is not None and (is_accounted or accounts.num_rounds < ROUNDS_LOOKED_AT)
        self._read, self._sums = read, {}
        explained_output, seed = self._seed(explained)
        try:
            heatmap = self._backward([explained_output], [seed], [self._input], is_accounted=is_accounted)[0]
            for arrivals in self._arrivals:
                arrivals.end()
        finally:
            self._read = None
        sums = {"input": heatmap.sum(), **dict(reversed(self._sums.items()))}
        closing = None
        if accounts is not None and is_accounted:
            closing = accounts.closing(explained_output, seed, at_least_float32(heatmap).sum(dim=1), ())
        self._unseen.add(sums, closing)

    def ledgers(self) -> list[tuple[Ledger, ...]]:
        """Those of the rounds whose maps were read since this was asked before, where they are known.

        Returns:
            Of every round, a ledger per image, or nothing.

        Raises:
            LayerError: the relevance of a layer is NaN or infinite, or went astray.
        """
        return self._unseen.ledgers(self._accounts)

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
        record = self._at(layer)
        heatmaps = self._backward(record.calls, record.split(relevance), [self._input], is_from_output=False)
        return at_least_float32(self._checked(["input"], heatmaps)[0]).sum(dim=1)

    def told(self, name: str, maps: torch.Tensor) -> None:
        """Called with the relevance of a layer whose activation was read, as soon as it is known."""
        if self._read is not None:
            found = self._read(name, maps)
            self._sums[name] = (maps if found is None else found).sum()

    def _seed(self, explained: Sequence[ExplainedTarget | None]) -> tuple[torch.Tensor, torch.Tensor]:
        """What is explained and its relevance, as the task puts it; positive relevance speaks for the target."""
        if self.is_linearised and self._accounts is not None:
            self._accounts.tell(LINEARISED)
        return self._seeding.put(self.output, explained)

    @property
    def _input(self) -> torch.Tensor:
        return self._open()[1]

    def _open(self) -> tuple[NetworkOutput, torch.Tensor]:
        """Output and input of the forward pass."""
        if self._ends is None:
            raise RuntimeError("this trace is over: its attributor was closed or has seen another batch")
        return self._ends

    def _at(self, layer: str) -> Record:
        self._open()
        if layer not in self._recorded:
            raise LayerError(f"layer '{layer}' is not recorded; nearest: {nearest(layer, self._recorded)}")
        return self._recorded[layer]

    def _backward(
        self,
        starts: Sequence[torch.Tensor],
        seeds: Sequence[torch.Tensor],
        ends: Sequence[torch.Tensor],
        *,
        is_accounted: bool = False,
        by_layer: bool = False,
        is_from_output: bool = True,
    ) -> list[torch.Tensor]:
        """Relevance of the `ends`, in their shapes, from relevance `seeds` of `starts`."""
        for start in starts:
            check_differentiable(start)
        placed = [seed.to(start) for start, seed in zip(starts, seeds, strict=True)]
        if self._accounts is not None:
            self._accounts.bookkeeper.begin(placed[0], is_open=is_accounted, by_layer=by_layer)
            if is_from_output and not is_accounted:
                self._accounts.audit(starts[0])
        try:
            gradients = torch.autograd.grad(starts, ends, placed, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            check_no_checkpoint(error)
            raise
        return [
            torch.zeros_like(tensor) if gradient is None else whole(gradient)
            for tensor, gradient in zip(ends, gradients, strict=True)
        ]

    def _checked(self, names: Sequence[str], relevance: list[torch.Tensor]) -> list[torch.Tensor]:
        """Relevance of what is named, if all of it is finite."""
        check_finite(names, *devices.fetched(torch.stack([one.sum() for one in relevance])))
        return relevance


def _is_map(record: Record) -> bool:
    """Whether the places of a layer are those of one map of the picture."""
    return len(record.calls) == 1 and record.calls[0].ndim == 4 and not record.has_regions()
