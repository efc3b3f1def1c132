"""Decisions grouped by the relevance of their concepts: points in few dimensions, and clusters.

Spectral relevance analysis (SpRAy: Lapuschkin et al., Nature Communications 10, 2019, methods), over concepts instead
of pixels: a graph of nearest neighbours, the first eigenvectors of its normalised Laplacian, k-means among the first k.

Axes: M decision, C concept, D dimension.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lcrp.errors import ConfigError

Array = npt.NDArray[Any]

DIMENSIONS: Final = 8  # of a spectral embedding, at most
CLUSTERS: Final = (2, 3, 5, 8)  # sizes of k-means


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How decisions lie to each other.

    Attributes:
        embeddings: by name, [M, D] points.
        eigenvalues: [D] of the Laplacian, of the embedding "spectral".
        clusters: by name, [M] number of every decision's cluster.
    """

    embeddings: Mapping[str, Array]
    eigenvalues: Array
    clusters: Mapping[str, Array]


def grouped(concepts: Array) -> Grouping:
    """Group decisions, at least four, by [M, C] their concepts.

    Every set is given the same names, whatever its size; where it is smaller than a number of clusters, it has as many
    as decisions.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.manifold import TSNE
        from sklearn.neighbors import kneighbors_graph
    except ImportError:
        raise ConfigError(
            "grouping decisions needs scikit-learn", mend="pip install 'lcrp[virelay]' installs it."
        ) from None
    values = np.asarray(concepts, dtype=np.float64)
    count = len(values)
    neighbours = kneighbors_graph(values, max(1, min(count - 1, round(np.sqrt(count)))), mode="connectivity").toarray()
    eigenvalues, spectral = _spectral(np.maximum(neighbours, neighbours.T))
    tsne = TSNE(n_components=2, perplexity=min(30.0, (count - 1) / 3), random_state=0, init="random")
    clusters = {
        f"kmeans-{size:02d}": KMeans(n_clusters=min(size, count), n_init=10, random_state=0).fit_predict(
            _unit(spectral[:, :size])
        )
        for size in CLUSTERS
    }
    return Grouping(
        embeddings={"spectral": spectral, "tsne": tsne.fit_transform(values)},
        eigenvalues=eigenvalues,
        clusters=clusters,
    )


def _unit(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points [M, D] on the unit sphere, on which parts of a graph fall together (Ng et al., NeurIPS 2001)."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.where(length > 0, length, 1)


def _spectral(affinity: Array) -> tuple[Array, Array]:
    """Least eigenvalues [D] of the symmetric normalised Laplacian of a graph [M, M], and their eigenvectors [M, D].

    D is `DIMENSIONS` or M, if that is smaller. Signs are set so that the largest component is positive.
    """
    root = 1 / np.sqrt(affinity.sum(axis=1))
    laplacian = np.eye(len(affinity)) - root[:, None] * affinity * root
    eigenvalues, vectors = np.linalg.eigh(laplacian)
    count = min(DIMENSIONS, len(affinity))
    vectors = vectors[:, :count]
    largest = np.abs(vectors).argmax(axis=0)
    return eigenvalues[:count], vectors * np.sign(vectors[largest, np.arange(count)])
