"""Decisions grouped by their concepts: what lies apart is told apart, and numbers are those of the definition."""

import builtins

import numpy as np
import pytest

from lcrp.errors import ConfigError
from lcrp.storage.grouping import CLUSTERS, DIMENSIONS, grouped


def two_groups(seed: int, count: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat([0, 1], count // 2))
    centre = np.zeros((2, 9))
    centre[0, 2] = centre[1, 5] = 1.0
    return centre[owner] + rng.normal(0, 0.05, (count, 9)), owner


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_lie_apart_are_found(seed):
    concepts, owner = two_groups(seed)
    found = grouped(concepts)
    labels = found.clusters["kmeans-02"]
    assert len({*zip(labels, owner, strict=True)}) == 2
    assert {*found.clusters} == {f"kmeans-{size:02d}" for size in CLUSTERS}
    assert found.embeddings["spectral"].shape == (14, DIMENSIONS)
    assert found.embeddings["tsne"].shape == (14, 2)


def test_the_spectral_embedding_is_that_of_the_laplacian():
    """L = I - D^-1/2 A D^-1/2 over the graph of nearest neighbours, written out."""
    concepts, _ = two_groups(0)
    count = len(concepts)
    distance = ((concepts[:, None] - concepts[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    affinity = np.zeros((count, count))
    for row in range(count):
        for column in distance[row].argsort()[: round(count**0.5)]:
            affinity[row, column] = affinity[column, row] = 1.0
    degree = np.diag(affinity.sum(axis=1) ** -0.5)
    laplacian = np.eye(count) - degree @ affinity @ degree
    found = grouped(concepts)
    points = found.embeddings["spectral"]
    np.testing.assert_allclose(laplacian @ points, points * found.eigenvalues, atol=1e-10)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(laplacian)[:DIMENSIONS], atol=1e-10)
    assert (np.abs(found.eigenvalues) < 1e-10).sum() == 2  # two parts that nothing connects


@pytest.mark.parametrize("concepts", [np.zeros((6, 3)), np.eye(6)])
def test_equal_and_few_decisions_are_grouped_too(concepts):
    found = grouped(concepts)
    assert all(np.isfinite(points).all() for points in found.embeddings.values())
    assert all(len(labels) == 6 for labels in found.clusters.values())


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match="needs scikit-learn") as caught:
        grouped(np.eye(6))
    assert "lcrp[virelay]" in caught.value.with_mend()
