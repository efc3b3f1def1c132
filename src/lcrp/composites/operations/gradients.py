"""Gradients that a network takes while it runs: among rules they would be relevance."""

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from lcrp.composites.operations.audit import has_rules
from lcrp.composites.operations.signals import Arguments, Function, Options
from lcrp.errors import ConfigError

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def gradient(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.autograd.grad, backward and the like, called by a module that runs.

    Raises:
        ConfigError: a rule stands on the way of the derivative.
    """
    if mode.running.stack and any(
        has_rules(one) for one in tree_leaves((args, dict(kwargs))) if isinstance(one, torch.Tensor)
    ):
        name = "Tensor.backward" if func is torch.Tensor.backward else f"torch.autograd.{func.__name__}"
        raise ConfigError(
            f"the network calls {name} while it runs; under the rules of a composite it would get relevance instead of "
            "gradients: such a network is explained by composite=gradient only"
        )
    return func(*args, **kwargs)
