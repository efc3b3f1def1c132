"""What does not fit between the weights in a file and a network, in words."""

from collections.abc import Sequence

MAX_LISTED = 10


def misfits(
    *, missing: Sequence[str], unknown: Sequence[str], differing: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
) -> str:
    """What does not fit between a file and a network, at most ten keys of each kind; empty if all does.

    Args:
        missing: keys of the network that the file lacks.
        unknown: keys of the file that the network lacks.
        differing: keys of both, with the shapes in the file and in the network.
    """
    labelled = (
        ("missing", [f"'{key}'" for key in missing]),
        ("not in the network", [f"'{key}'" for key in unknown]),
        ("of another shape", [f"'{key}' (file {found}, network {own})" for key, found, own in differing]),
    )
    return "; ".join(f"{label}: {_listed(items)}" for label, items in labelled if items)


def _listed(items: Sequence[str]) -> str:
    rest = len(items) - MAX_LISTED
    return ", ".join(items[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
