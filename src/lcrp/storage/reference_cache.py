"""Heatmaps of reference samples, kept beside the statistics that named them (HDF5, one file per concept).

A cache may vanish at any time: what cannot be read is computed again, what cannot be written is not kept.

Axes: N reference, H W picture.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lcrp.errors import StoreError
from lcrp.storage.hdf5 import open_file, read_array, reading
from lcrp.storage.new_file import new_file

Heatmap = npt.NDArray[np.floating]

FORMAT: Final = "lcrp-references"
VERSION: Final = 2

log = logging.getLogger(__name__)


class NeuronKey(NamedTuple):
    """One neuron of a concept on one sample, for one target."""

    sample: int
    class_id: int
    item: int
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCache:
    """Heatmaps that belong to one configuration, layer and mode.

    Attributes:
        folder: where the files lie; made when the first one is written.
        config_hash: of the statistics.
        layer: name of the layer.
        mode: 'relevance' or 'activation'.
    """

    folder: Path
    config_hash: str
    layer: str
    mode: str

    def path(self, concept: int) -> Path:
        """File of one concept."""
        parts = "\n".join((self.config_hash, self.layer, self.mode, str(concept)))
        return self.folder / f"{hashlib.sha256(parts.encode()).hexdigest()[:32]}.h5"

    def read(self, concept: int) -> dict[NeuronKey, Heatmap]:
        """Heatmaps [H, W] that are known for a concept; empty if there are none."""
        path = self.path(concept)
        if not path.is_file():
            return {}
        try:
            with open_file(path, kind=FORMAT, version=VERSION) as file, reading(path):
                keys, sizes, pixels = (read_array(file, name) for name in ("neuron", "size", "heatmap"))
                parts = np.split(pixels.astype(np.float32), sizes.prod(axis=1).cumsum()[:-1])
                found = [part.reshape(size) for part, size in zip(parts, sizes.tolist(), strict=True)]
                return {NeuronKey(*key): heatmap for key, heatmap in zip(keys.tolist(), found, strict=True)}
        except StoreError as error:
            log.debug("%s: computed again", error)
            return {}

    def write(self, concept: int, heatmaps: Mapping[NeuronKey, Heatmap]) -> None:
        """Add heatmaps [H, W] to those of a concept, replacing its file as a whole."""
        merged = {**self.read(concept), **heatmaps}
        if not merged:
            return
        try:
            with new_file(self.path(concept), kind=FORMAT, version=VERSION) as file:
                file.write_array("neuron", np.array(list(merged), dtype=np.int64))  # [N, 4]
                file.write_array("size", np.array([one.shape for one in merged.values()], dtype=np.int64))  # [N, 2]
                pixels = np.concatenate([one.ravel() for one in merged.values()])
                file.write_array("heatmap", pixels.astype(np.float32))  # of all, one after the other
        except StoreError as error:
            log.warning("reference heatmaps are not kept for the next run: %s", error)
