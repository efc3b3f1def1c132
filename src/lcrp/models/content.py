"""Where weights lie in what a checkpoint file holds: state dicts, and modules as training scripts pickle them."""

from pathlib import Path

from torch import Tensor

from lcrp.errors import CheckpointError
from lcrp.models.recognition import unwrapped
from lcrp.models.unpickling import Inert

MAX_MODULES = 10_000
MAX_KEY_LENGTH = 500
_CONTAINERS = ("ema", "model", "model_state", "state_dict", "model_state_dict")  # in order of preference


def weights_in(content: object, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None, Inert | None]:
    """State dict, class names and module in what a file holds.

    Raises:
        CheckpointError: there are no weights, or modules without end.
    """
    candidates = [content]
    own_names = None
    if isinstance(content, dict):
        candidates = [*(content[key] for key in _CONTAINERS if content.get(key) is not None), content]
        own_names = _class_names(content.get("class_names"))
    for candidate in candidates:
        if isinstance(candidate, Inert) and isinstance(candidate.content, dict):
            state = _module_state(candidate, path)
            names = _class_names(candidate.content.get("names"))
        elif isinstance(candidate, dict):
            state = {str(key): value for key, value in candidate.items() if isinstance(value, Tensor)}
            names = None
            if len(state) < len(candidate):
                continue
        else:
            continue
        if state:
            module = candidate if isinstance(candidate, Inert) else None
            return unwrapped(state), own_names or names, module
    raise CheckpointError(f"checkpoint '{path}' holds no weights: neither a known network nor a state_dict is in it")


def _module_state(root: Inert, path: Path) -> dict[str, Tensor]:
    """What `state_dict()` of the module behind a stand-in would give, in the same order."""
    state: dict[str, Tensor] = {}
    pending: list[tuple[str, Inert]] = [("", root)]
    visited = 0
    while pending:
        prefix, module = pending.pop()
        visited += 1
        if visited > MAX_MODULES or len(prefix) > MAX_KEY_LENGTH:  # modules that contain themselves never end
            raise CheckpointError(
                f"checkpoint '{path}' is refused: its modules are nested without end, or more than {MAX_MODULES}"
            )
        content = module.content if isinstance(module.content, dict) else {}
        hidden = content.get("_non_persistent_buffers_set") or ()
        for name, value in (*_items(content, "_parameters"), *_items(content, "_buffers")):
            if isinstance(value, Tensor) and name not in hidden:
                state[f"{prefix}{name}"] = value
        children = [(f"{prefix}{name}.", child) for name, child in _items(content, "_modules")]
        pending.extend((key, child) for key, child in reversed(children) if isinstance(child, Inert))
    return state


def _items(content: dict[object, object], name: str) -> list[tuple[object, object]]:
    members = content.get(name)
    return list(members.items()) if isinstance(members, dict) else []


def _class_names(value: object) -> tuple[str, ...] | None:
    """Class names from a list, or from a dictionary by class number; None if they are anything else."""
    if isinstance(value, dict):
        value = [value.get(index) for index in range(len(value))]
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None
