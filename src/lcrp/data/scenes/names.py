"""Names in scenes: classes, contexts, and the parts of which objects are made."""

from collections.abc import Mapping
from types import MappingProxyType

DRAWING_VERSION = 1
"""Goes up with every change that alters a pixel; it is part of the dataset's fingerprint."""

CLASS_NAMES = ("boat", "car", "kite", "horse", "rider", "bird")
CONTEXT_NAMES = ("water", "road", "grass", "sky", "sand")

OWN_CONTEXT: Mapping[str, str] = MappingProxyType(
    {"boat": "water", "car": "road", "kite": "sky", "horse": "grass", "rider": "road", "bird": "sand"}
)
"""Where each class is at home; every context is the own one of some class."""

PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "boat": ("boat.hull", "boat.mast", "boat.sail"),
        "car": ("car.body", "car.windows", "car.wheels", "car.lights"),
        "kite": ("kite.diamond", "kite.tail"),
        "horse": ("horse.body", "horse.head", "horse.mane", "horse.legs", "horse.tail"),
        "rider": ("rider.person", "rider.bicycle", "rider.wheels"),
        "bird": ("bird.body", "bird.head", "bird.beak", "bird.wing", "bird.legs", "bird.tail"),
    }
)
"""What belongs to the instance mask and the box of an object."""

COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"kite": ("kite.person", "kite.string"), "horse": ("horse.bar",)}
)
"""What always comes with an object without being it: part masks, but neither instance mask nor box."""

PART_NAMES = tuple(part for name in CLASS_NAMES for part in (*PARTS[name], *COMPANIONS.get(name, ())))
