"""Ranking a gallery: descriptors from any fitted transformer or Pipeline, their distances, their neighbours.

A last step with a method `pairwise_distances` (a learned metric) decides the distance; otherwise it is Euclidean.
Distances are computed for a block of probes at a time, so the whole matrix is never in memory.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreid._base.checks import check_int
from skreid._base.kinds import check_same_kind
from skreid._base.labels import as_labels, check_both_or_none
from skreid._search.distances import check_finite, distance_blocks
from skreid._search.joint import EuclideanJoint, LearnedJoint
from skreid._search.measures import EuclideanMeasure, LearnedMeasure, probes_numbered
from skreid._search.nearest import check_n_neighbors, nearest_columns, nearest_rows, no_ranking
from skreid._search.reranking import RerankedBlocks, check_rerank
from skreid._search.system import check_width, describe, split_system, takes_cams, warn_without_cams
from skreid.gallery import Gallery


def gallery_distances(estimator, probes, gallery, cams_probe=None, cams_gallery=None, *, rerank=None):
    """Return a function that computes the distances between descriptors, a block of probes at a time.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
    probes : ndarray of shape (n_probes, n_features)
    gallery : ndarray of shape (n_gallery, n_features)
        Descriptors, as `describe` returns them.
    cams_probe, cams_gallery : array-like of shape (n_probes,) and (n_gallery,), optional
        Cameras, for a metric whose `pairwise_distances` takes them; otherwise ignored.
    rerank : dict or None, default=None
        The settings of re-ranking, as `check_rerank` returns them; None does not re-rank.

    Returns
    -------
    distances : callable
        ``distances(start, stop)`` -> ndarray of shape (stop - start, n_gallery), lower is nearer; what the
        functions of `skreid.metrics` take in place of a matrix.
    """
    _check_widths(probes, gallery)
    metric = split_system(estimator)[1]
    if metric is None:
        blocks = distance_blocks(probes, gallery)
        return blocks if rerank is None else RerankedBlocks(EuclideanJoint(probes, gallery), blocks, **rerank)
    if not takes_cams(metric):
        cams_probe = cams_gallery = None
    cams_probe, cams_gallery = _checked_cams(cams_probe, cams_gallery)
    measure = LearnedMeasure(metric, gallery, cams_gallery)

    def distances(start, stop):
        cams = None if cams_probe is None else cams_probe[start:stop]
        with probes_numbered(range(start, stop)):
            block = measure.block(probes[start:stop], cams).bounds(slice(None))
        return block if measure.n_rows == len(gallery) else block[:, measure.group]

    if rerank is None:
        return distances
    for name, rows in (("probes", probes), ("gallery", gallery)):
        check_finite(name, rows)
    cams = None if cams_probe is None else np.concatenate([cams_probe, cams_gallery])
    return RerankedBlocks(LearnedJoint(metric, probes, gallery, cams), distances, **rerank)


def rank_gallery(
    estimator, probes, gallery, n_neighbors=5, return_distance=True, *, cams_probe=None, cams_gallery=None, rerank=False
):
    """Rank a gallery for each probe, nearest first.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        An estimator that describes images, such as `MultiDepthReID`. A last step with `pairwise_distances`, such as
        `skreid.metric_learning.XQDA`, decides the metric.
    probes : images or descriptors
        Images in any form the estimator takes, or a float array (n_probes, n_features) of descriptors.
    gallery : images, descriptors or Gallery
        In the same forms, or as a `skreid.gallery.Gallery` of descriptors of the same estimator. One that was built by
        `Gallery.from_estimator` ranks with its own cameras, and is refused if it is of another estimator.
    n_neighbors : int, default=5
        Length of each ranking.
    return_distance : bool, default=True
        Whether to return the distances too.
    cams_probe, cams_gallery : array-like of shape (n_probes,) and (n_gallery,), optional
        Cameras, for a metric whose `pairwise_distances` takes them, such as `skreid.metric_learning.CVDCA`.
    rerank : bool or dict, default=False
        Whether to re-rank by k-reciprocal neighbours, as :func:`skreid.metrics.k_reciprocal_blocks` does; a dict sets
        `k1`, `k2` or `lambda_value`. All probes are used together, so a probe's ranking depends on the others. Of a
        `Gallery`, the descriptors are read into memory and searched exactly, whatever its engine.

    Returns
    -------
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending; only if `return_distance`. If re-ranked, they are no longer those of the metric. An empty gallery has
        rankings without an entry, of shape (n_probes, 0).
    indices : ndarray of shape (n_probes, n_neighbors), int64
        Indices of gallery images; equal distances in the gallery's order. Where a learned metric returns an infinite
        distance, the image never matches, and the index is larger than any.

    Raises
    ------
    ValueError
        If `n_neighbors` exceeds the size of a gallery, descriptors are not as wide as those of the estimator or hold
        NaN or infinity, a learned metric returns NaN or minus infinity, or cameras are given that it does not take.
        With `rerank`, also if a learned metric is not symmetric or not finite.

    Warns
    -----
    UserWarning
        If the metric learned a projection for each camera, and no cameras are given.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid import rank_gallery
    >>> gallery = np.array([[0.0], [2.0], [5.0]])
    >>> distances, indices = rank_gallery(StandardScaler().fit(gallery), [[1.9]], gallery, n_neighbors=2)
    >>> indices
    array([[1, 0]])
    """
    cams, rerank = (cams_probe, cams_gallery), check_rerank(rerank, "rank_gallery")
    return rank("rank_gallery", estimator, probes, gallery, n_neighbors, return_distance, *cams, rerank)


def rank(
    owner,
    estimator,
    probes,
    gallery,
    n_neighbors,
    return_distance=True,
    cams_probe=None,
    cams_gallery=None,
    rerank=None,
):
    """Rank a gallery as `rank_gallery` does; messages name the function that the user called, `owner`."""
    check_is_fitted(estimator)
    metric = split_system(estimator)[1]
    if not ((cams_probe is None and cams_gallery is None) or takes_cams(metric)):
        distance = "the Euclidean distance" if metric is None else f"{type(metric).__name__}.pairwise_distances"
        raise ValueError(
            f"cams_probe and cams_gallery were given, but {distance} takes no cameras: leave them out. To hide a "
            "probe's own camera from its ranking, put the gallery in a skreid.Gallery."
        )
    check_int(n_neighbors, "n_neighbors", owner)  # before images are described
    if isinstance(gallery, Gallery):
        check_n_neighbors(n_neighbors, len(gallery), owner)
        gallery.check_system(estimator)
        if gallery.estimator is not None and cams_gallery is None:
            if rerank is None:
                return gallery.kneighbors(probes, n_neighbors, return_distance, cams_probe=cams_probe)
            cams_gallery = gallery.cams if takes_cams(metric) else None
    probes = describe(estimator, probes, "the probes")
    if isinstance(gallery, Gallery):
        if metric is None and rerank is None:
            return gallery.kneighbors(probes, n_neighbors, return_distance)
        if metric is None and gallery.metric != "euclidean":
            raise ValueError(
                f"rerank refines Euclidean distances, and this Gallery ranks by {gallery.metric} distance: use "
                f"skreid.metrics.k_reciprocal_blocks(..., metric={gallery.metric!r})."
            )
        gallery = gallery.descriptors if rerank is None else np.asarray(gallery.descriptors)
    else:
        gallery = describe(estimator, gallery, "the gallery images")
    n_neighbors = check_n_neighbors(n_neighbors, len(gallery), owner)
    if cams_probe is None and cams_gallery is None:
        warn_without_cams(metric)
    if rerank is None or not len(probes) or not len(gallery):
        distances, indices = nearest(metric, probes, gallery, n_neighbors, cams_probe, cams_gallery)
    else:
        blocks = gallery_distances(estimator, probes, gallery, cams_probe, cams_gallery, rerank=rerank)
        distances, indices = nearest_columns(blocks, n_neighbors)
    return (distances, indices) if return_distance else indices


def nearest(metric, probes, gallery, n_neighbors, cams_probe=None, cams_gallery=None):
    """Find the nearest gallery descriptors of each probe, tile by tile.

    Parameters
    ----------
    metric : object with `pairwise_distances`, or None for the Euclidean distance
    probes, gallery : ndarray of shape (n, n_features)
    n_neighbors : int
    cams_probe, cams_gallery : array-like of shape (n,), optional
        Only for a metric that takes them.

    Returns
    -------
    distances, indices : ndarray of shape (n_probes, n_neighbors)
        Nearest first, equal distances in the gallery's order.
    """
    cams_probe, cams_gallery = _checked_cams(cams_probe, cams_gallery)
    if not len(probes) or not len(gallery):
        return no_ranking(len(probes), n_neighbors)
    _check_widths(probes, gallery)
    if metric is None:
        measure = EuclideanMeasure(gallery)  # checks each row when it reads it
    else:
        check_finite("gallery", gallery)
        measure = LearnedMeasure(metric, gallery, cams_gallery)
    return nearest_rows(measure, probes, n_neighbors, cams=cams_probe)


def _checked_cams(cams_probe, cams_gallery):
    """Return the cameras of both sides as checked arrays, None where there are none."""
    named = {"cams_probe": cams_probe, "cams_gallery": cams_gallery}
    if not check_both_or_none(**named):
        return None, None
    named = {name: as_labels(cams, name) for name, cams in named.items()}
    check_same_kind(**named)
    return tuple(named.values())


def _check_widths(probes, gallery):
    check_width("the probes", probes.shape[1], "those of the gallery", gallery.shape[1])
