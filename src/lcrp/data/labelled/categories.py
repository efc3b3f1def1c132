"""Categories of a COCO file: its own names, and which of them are classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lcrp.data.labelled.ids import Id, as_id

_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """Classes of a file.

    Attributes:
        names: of the classes; index = label.
        labels: of every category's id.
        notes: what a person should know of them.
    """

    names: tuple[str, ...]
    labels: Mapping[Id, int]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: object, used: Sequence[Id], published: Mapping[int, str] | None) -> "Categories":
        """What a file says of its categories.

        Args:
            given: its list of categories.
            used: ids that objects have.
            published: those of the set that it is taken for; they stand where the file says nothing else.

        Raises:
            ValueError: there are none, they are not as COCO writes them, or two have one id.
        """
        found = _listed(given)
        if published is not None and found.items() <= dict(published).items():
            unknown = sorted((one for one in used if one not in published), key=str)
            if unknown and not found:
                raise ValueError(f"category ids {unknown[:_LISTED]} are not COCO's")
            return cls(names=tuple(published.values()), labels=_numbered(list(published)))
        if not found:
            raise ValueError("it has no categories, so that nothing says what its objects are called")
        notes = [] if published is None else ["its categories are not COCO's: they are named as the file names them"]
        root = _root(given, used)
        if root is not None:
            notes.append(f"category '{found.pop(root)}' has no objects and stands above the others: it is no class")
        ids = sorted(found) if all(isinstance(one, int) for one in found) else list(found)
        names = tuple(found[one] for one in ids)
        notes += [f"{len(names) - len(set(names))} categories have another one's name"] * (len(set(names)) < len(names))
        unique = tuple(dict.fromkeys(names))
        return cls(names=unique, labels={one: unique.index(found[one]) for one in ids}, notes=tuple(notes))

    def class_of(self, category: Id) -> int:
        """Label of a category; -1 if it is not listed."""
        return self.labels.get(category, -1)


def _listed(given: object) -> dict[Id, str]:
    """Names by id."""
    if given is None:
        return {}
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ValueError("its categories are no list of objects")
    found: dict[Id, str] = {}
    for one in given:
        number, name = as_id(one.get("id"), "category"), one.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"category {number!r} has the name {name!r}")
        if number in found:
            raise ValueError(f"the categories '{found[number]}' and '{name}' have one id ({number!r})")
        found[number] = name.strip()
    return found


def _root(given: object, used: Sequence[Id]) -> Id | None:
    """The category above all others, as Roboflow writes it, if no object has it."""
    assert isinstance(given, list)
    above = {str(one.get("supercategory")) for one in given}
    for one in given:
        is_above = one.get("supercategory") in ("none", "", None) and str(one["name"]) in above
        if is_above and len(given) > 1 and as_id(one["id"], "category") not in used:
            return as_id(one["id"], "category")
    return None


def _numbered(ids: Sequence[int]) -> dict[Id, int]:
    return {one: number for number, one in enumerate(ids)}
