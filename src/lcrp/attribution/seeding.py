"""The relevance that a round puts on the output: what the task says, with the sign that speaks for the target.

Axes: B batch.
"""

from collections.abc import Sequence

import torch

from lcrp.attribution.sides import is_linearised
from lcrp.attribution.task import NetworkOutput, Task
from lcrp.composites.operations.audit import follows_sign
from lcrp.errors import ConfigError
from lcrp.values.target import ExplainedTarget


class Seeding:
    """Seeds the rounds over one forward pass.

    Args:
        task: of the network.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._is_signed: bool | None = None

    def is_linearised(self, output: NetworkOutput) -> bool:
        """Whether what is explained is no sum of logits, so that no relevance adds up to it."""
        return is_linearised(self._task, output)

    def is_contrast(self, output: NetworkOutput) -> bool:
        """Whether logits are set against each other, those of two classes or of a side's bins."""
        return getattr(self._task, "instead", None) is not None or self.is_linearised(output)

    def put(
        self, output: NetworkOutput, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is explained, [B, ...], and its relevance; positive relevance speaks for the target.

        Shares of a negative logit have the other sign than what they add to it: where rules take such shares, as
        epsilon and gamma do, the seed is -1.

        Args:
            output: of the forward pass, always the same.
            explained: B targets; None for an image that takes no part.

        Raises:
            ConfigError: logits are set against each other, and the rules take no such shares.
        """
        explained_output, seed = self._task.seed(output, explained)
        is_contrast = self.is_contrast(output)
        if self._is_signed is None:
            self._is_signed = self._task.seeds_logits and follows_sign(explained_output)
        if is_contrast and not self._is_signed:
            raise ConfigError(
                "differences of logits (two classes, bins of a side) are shared out by rules that look at their signs, "
                "and those of this composite (z+, gradients) do not; epsilon_gamma_flat and epsilon_flat do",
                mend="Set composite=epsilon_gamma_flat.",
            )
        if self._is_signed:
            is_size = seed != 0 if is_contrast else seed > 0
            seed = torch.where((explained_output.detach() < 0) & is_size, -seed, seed)
        return explained_output, seed
