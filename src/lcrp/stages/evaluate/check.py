"""What a sanity check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One property that relevance must have.

    Attributes:
        name: what is checked.
        value: what was found.
        bound: what it is compared with.
        is_fine: whether it holds.
        note: what the value means.
    """

    name: str
    value: float
    bound: float
    is_fine: bool
    note: str
