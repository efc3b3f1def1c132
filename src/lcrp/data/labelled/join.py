"""Classes of data and network belong together by name, never by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.errors import ConfigError, nearest
from lcrp.values.sample import VOID

_SYNONYMS = {  # folded: VOC's name, COCO's name
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
}
_LISTED = 10
BACKGROUND = "background"  # class of what is no object

LabelArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Which class of a network each class of the data is.

    Attributes:
        names: classes of the network.
        data_names: classes of the data, background included where it has one.
        targets: the network's class of each of the data's; -1 where it knows none.
    """

    names: tuple[str, ...]
    data_names: tuple[str, ...]
    targets: tuple[int, ...]

    @property
    def background(self) -> int:
        """The network's class of what is no object; void if it has none."""
        return 0 if folded(self.names[0]) == BACKGROUND else VOID

    @property
    def annotated_names(self) -> tuple[str, ...]:
        """Classes of the network, empty where the data annotates none such."""
        return tuple(name if number in self.targets else "" for number, name in enumerate(self.names))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Classes of the data that the network does not know."""
        return tuple(name for name, target in zip(self.data_names, self.targets, strict=True) if target < 0)

    @property
    def num_known(self) -> int:
        """Classes of the data that the network knows, without the background."""
        pairs = zip(self.data_names, self.targets, strict=True)
        return sum(target >= 0 and folded(name) != BACKGROUND for name, target in pairs)

    @property
    def is_same(self) -> bool:
        """Whether both have the same classes in the same order."""
        return self.names == self.data_names

    def labels(self, labels: LabelArray) -> LabelArray:
        """The network's classes of labels of the data; -1 of those that it does not know."""
        return np.array(self.targets, dtype=np.int64)[labels]

    def class_mask(self, mask: LabelArray) -> LabelArray:
        """A class mask in the network's classes; what it does not know is its background, or void."""
        table = np.array([target if target >= 0 else self.background for target in self.targets] or [VOID])
        return np.where(mask == VOID, VOID, table[np.where(mask == VOID, 0, mask)])

    def __str__(self) -> str:
        total = sum(folded(name) != BACKGROUND for name in self.data_names)
        told = f"{self.num_known} of {total} classes of the data are known to the network"
        unknown = [name for name in self.unknown if folded(name) != BACKGROUND]
        if not unknown:
            return told
        rest = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        return f"{told}; not: {', '.join(unknown[:_LISTED])}{rest}"


def join_classes(data: Sequence[str], network: Sequence[str], class_map: Mapping[str, str] | None = None) -> Join:
    """Join classes by name.

    A person's own map comes first; then the very name, then the name with case, spaces, hyphens and underscores folded,
    then COCO's name for a class of VOC and the other way round. A folded name that several classes of the network have
    joins none of them.

    Args:
        data: class names of the data.
        network: class names of the network.
        class_map: the network's name by the data's.

    Raises:
        ConfigError: the map names a class that is not there.
    """
    own = _checked(class_map or {}, data, network)
    places: dict[str, list[int]] = {}
    for number, name in enumerate(network):
        places.setdefault(_meaning(name), []).append(number)

    def target(name: str) -> int:
        wanted = own.get(name, name)
        if wanted in network:
            return list(network).index(wanted)
        found = places.get(_meaning(wanted), [])
        return found[0] if len(found) == 1 else -1

    return Join(names=tuple(network), data_names=tuple(data), targets=tuple(map(target, data)))


def folded(name: str) -> str:
    """A name without case, spaces, hyphens and underscores."""
    return "".join(sign for sign in name.casefold() if not sign.isspace() and sign not in "-_")


def _meaning(name: str) -> str:
    plain = folded(name)
    return _SYNONYMS.get(plain, plain)


def _checked(class_map: Mapping[str, str], data: Sequence[str], network: Sequence[str]) -> dict[str, str]:
    """The map with names as data and network write them."""
    problems: list[str] = []
    checked: dict[str, str] = {}
    for sides, choices, what in ((class_map.keys(), data, "data"), (class_map.values(), network, "network")):
        for name in sides:
            if folded(str(name)) not in map(folded, choices):
                problems.append(f"class_map names '{name}', no class of the {what}; nearest: {nearest(name, choices)}")
    if problems:
        raise ConfigError(*problems)
    for ours, theirs in class_map.items():
        wanted = next(one for one in network if folded(one) == folded(str(theirs)))
        checked |= {one: wanted for one in data if folded(one) == folded(str(ours))}
    return checked
