"""Representational similarity over clusters of behaviour, as the paper compares features and activity.

The frames of a feature set are cut into clusters; the mean activity (or feature) in each cluster is one item; the items' inner products are
a similarity matrix, and two matrices over the same items are compared by debiased CKA. Clusters without enough frames are no items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.cka import cka_from_hsic
from vrodent.analysis.flow import leading_axes

MIN_ITEMS = 5
"""The debiased estimator divides by n - 3; below this many items it is mostly noise."""


@dataclass(frozen=True, kw_only=True)
class RsaConfig:
    """How behaviour is cut and compared.

    Attributes:
        num_clusters: of each feature set; the paper's 50.
        num_components: principal components of a feature set in which it is cut.
        every: frames; every n-th is used.
        least: frames of those in a cluster, else it is no item.
        num_null: shifted pairings.
    """

    num_clusters: int = 50
    num_components: int = 20
    every: int = 5
    least: int = 4
    num_null: int = 50

    def __post_init__(self) -> None:
        for name, least in (("num_clusters", MIN_ITEMS), ("num_components", 1), ("every", 1), ("least", 1), ("num_null", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"RsaConfig.{name} must be at least {least}, got {getattr(self, name)}.")


def clusters(features: Sequence[np.ndarray], config: RsaConfig, seed: int) -> np.ndarray:
    """Cluster of every frame (k-means in the leading principal components), over the joined frames.

    Args:
        features: one (time, column) array a trial, already thinned.
        config: number of clusters and components.
        seed: of k-means.

    Raises:
        AnalysisError: NaN, or fewer frames than clusters.
    """
    check_trials(features, "clusters")
    mean, axes, _ = leading_axes(features, min(config.num_components, features[0].shape[1]))
    joined = np.concatenate([((trial - mean) @ axes).astype(np.float32) for trial in features])
    if config.num_clusters > len(joined):
        raise AnalysisError(f"clusters: {config.num_clusters} clusters wanted of {len(joined)} frames; use fewer clusters.")
    return KMeans(config.num_clusters, n_init="auto", max_iter=50, random_state=seed).fit_predict(joined)


def membership(rows: np.ndarray, num_rows: int) -> sparse.csr_matrix:
    """(row, frame) matrix with a 1 where a frame belongs to a row: its product with frames gives the rows' sums."""
    return sparse.csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(num_rows, len(rows)))


def kernels(sums: np.ndarray, counts: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarity matrices of cluster means.

    Args:
        sums: (..., cluster, column), summed over frames.
        counts: (..., cluster), frames.
        least: frames that make a cluster an item.

    Returns:
        (..., cluster, cluster) inner products of means, 0 on the diagonal and at clusters that are no items; (..., cluster) which are.
    """
    valid = counts >= least
    means = np.divide(sums, counts[..., None], out=np.zeros_like(sums, dtype=float), where=valid[..., None])
    centre = means.sum(axis=-2, keepdims=True) / np.maximum(valid.sum(axis=-1), 1)[..., None, None]
    means = np.where(valid[..., None], means - centre, 0.0)
    kernel = means @ np.swapaxes(means, -1, -2)
    size = kernel.shape[-1]
    kernel[..., np.arange(size), np.arange(size)] = 0.0
    return kernel, valid


def kernel_cka(left: np.ndarray, right: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Debiased CKA of similarity matrices over the same items.

    Args:
        left, right: (..., item, item) with a diagonal of 0.
        valid: (..., item), items that count in both.

    Returns:
        (...), NaN with fewer than `MIN_ITEMS` items or where nothing varies.

    Source: Song et al. 2012, JMLR 13, eq. 5.
    """
    num = valid.sum(axis=-1)
    both = valid[..., :, None] & valid[..., None, :]
    left, right = np.where(both, left, 0.0), np.where(both, right, 0.0)
    enough = num >= MIN_ITEMS
    xy, xx, yy = (_hsic(a, b, np.where(enough, num, MIN_ITEMS)) for a, b in ((left, right), (left, left), (right, right)))
    return np.where(enough, cka_from_hsic(xy, xx, yy), np.nan)


def _hsic(left: np.ndarray, right: np.ndarray, num: np.ndarray) -> np.ndarray:
    trace = (left * right).sum(axis=(-2, -1))
    rows_left, rows_right = left.sum(axis=-1), right.sum(axis=-1)
    total = rows_left.sum(axis=-1) * rows_right.sum(axis=-1) / ((num - 1) * (num - 2))
    return (trace + total - 2 / (num - 2) * (rows_left * rows_right).sum(axis=-1)) / (num * (num - 3))
