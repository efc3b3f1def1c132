"""Folders of transformers, told by their config.json."""

from lcrp.errors import CheckpointError
from lcrp.models.auto.known import Known, classes
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.transformers_names import ARCHITECTURES, named

FAMILY = "transformers"


def recognise(found: Checkpoint) -> Known | None:
    """A network of the library, by the settings in its folder.

    Raises:
        CheckpointError: it is of the library, and of an architecture that does not run.
    """
    if "model_type" not in found.config:
        return None
    name = named(found.config)
    if name is None:
        kinds = found.config.get("architectures")
        kind = ", ".join(map(str, kinds)) if isinstance(kinds, list) and kinds else found.config["model_type"]
        raise CheckpointError(
            f"'{found.path}' is a folder of {FAMILY} with {kind}; those that run are {', '.join(ARCHITECTURES)}"
        )
    labels = found.config.get("id2label")
    names = tuple(map(str, labels.values())) if isinstance(labels, dict) else ()
    counted = f", {classes(len(names), names)}" if names else ""
    return Known(family=FAMILY, what=f"{FAMILY}' {name}{counted}", sign="its config.json")
