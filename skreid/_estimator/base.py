"""Bases of the estimators that learn from images: tags and, for those with a network, ranking, a cache and a device.

Their own state is numpy only. The live network, rebuilt on demand, is kept beside the estimator and is never pickled.
"""

import os
import sys
import warnings
from weakref import WeakKeyDictionary

import joblib
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from skreid._base.bars import progress_bar
from skreid._base.docs import named_alone
from skreid._network.device import resolve_device
from skreid._ranking import rank
from skreid._scoring import cmc_score
from skreid._training.parallel import is_first

_live_networks = WeakKeyDictionary()
BAR_FROM = 1000  # transform shows a bar for this many images or more


@named_alone
class ImageEstimator(TransformerMixin, BaseEstimator):
    """A transformer of images that learns from identities: its score, and scikit-learn's tags."""

    __metadata_request__score = {"cams": True}  # noqa: RUF012 - scikit-learn's way to set a default request

    def score(self, X, y, cams=None):
        """Return the rank-1 score of `skreid.cmc_score`: the share of probes whose nearest image is a true match.

        Parameters
        ----------
        X : images, n of them
            Of people that the estimator was not fitted on.
        y : array-like of shape (n,)
            Identities.
        cams : array-like of shape (n,), optional
            Camera of each image.

        Returns
        -------
        score : float
            In [0, 1].

        Warns
        -----
        SeenIdentitiesWarning
            As for `skreid.cmc_score`, if the estimator was fitted on some of these people.
        """
        check_is_fitted(self)
        return cmc_score(self, X, y, cams=cams)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


@named_alone
class NetworkEstimator(ImageEstimator):
    """A transformer of images with the parameters `device`, `memory`, `random_state` and `verbose`."""

    def kneighbors(self, X, gallery, n_neighbors=5, return_distance=True):
        """Rank a gallery for each probe image, nearest first.

        Parameters
        ----------
        X : images, n_probes of them, or ndarray of shape (n_probes, n_features_out_)
            Probes: images as for `fit`, or descriptors that `transform` returned.
        gallery : images, n_gallery of them, ndarray of shape (n_gallery, n_features_out_), or Gallery
            Gallery: images, descriptors, or a `skreid.Gallery` of descriptors.
        n_neighbors : int, default=5
            Length of each ranking, at most n_gallery.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Euclidean, ascending; only if `return_distance`.
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Positions in the gallery; equal distances keep the gallery's order.
        """
        return rank(f"{type(self).__name__}.kneighbors", self, X, gallery, n_neighbors, return_distance)

    def _resolve_device(self, fall_back=False):
        """Return the torch device to run on now."""
        return resolve_device(self.device, fall_back)

    def _live(self, settings, learned, build):
        """Return the result of `build`, reused while the settings are equal and the learned objects the same."""
        live = _live_networks.get(self)
        if live is None or live[0] != settings or any(a is not b for a, b in zip(live[1], learned, strict=True)):
            live = _live_networks[self] = (settings, learned, build())
        return live[2]

    def _memory(self):
        """Return the cache; without a seed nothing is cached, since no two fits would be the same."""
        if self.random_state is None:
            if self.memory is not None:
                warnings.warn("memory is not used: it needs random_state to be an int.", stacklevel=5)
            return joblib.Memory(None)
        if isinstance(self.memory, joblib.Memory):
            return self.memory
        return joblib.Memory(None if self.memory is None else os.fspath(self.memory), verbose=0)

    def _bar(self, total, desc, hidden=False):
        return progress_bar(desc, "image", total, shown=not hidden and self.verbose and is_first())

    def _say(self, line):
        """Show a line, above any bars."""
        if self.verbose and is_first():
            tqdm.write(line, file=sys.stderr)
