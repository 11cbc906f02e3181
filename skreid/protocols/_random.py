"""Shared by the protocols that draw at random: training and test identities, then probes and gallery, from one seed.

A repeat does not depend on how many follow: raising `n_repeats` adds repeats and leaves the first ones as they were.
"""

from abc import ABC, abstractmethod
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skreid._base.checks import check_choice, check_count_or_share, check_int
from skreid.protocols._base import Applicable, Trial, coded, compare


class RandomProtocol(Applicable, ABC):
    """Draws identities, then images, `n_repeats` times."""

    aggregate_probes = False  # whether the images of a probe person are combined too; only with an aggregation

    def _check(self):
        check_count_or_share(self.n_train, "n_train", type(self).__name__, none=True)
        check_count_or_share(self.n_test, "n_test", type(self).__name__, none=True)
        check_int(self.n_repeats, "n_repeats", type(self).__name__, 1)
        check_choice(self.aggregation, "aggregation", type(self).__name__, (None, "sum", "mean", "min"))

    def split(self, dataset):
        """Yield one trial per repeat.

        Parameters
        ----------
        dataset : Bunch, dict or object
            With `target`, identities of shape (n_samples,), and `cams`, the cameras.

        Yields
        ------
        Trial

        Raises
        ------
        ValueError
            If the dataset lacks a column, or has too few identities for the sizes asked for.
        """
        draw, identities = self._prepare(dataset)
        n_train, n_test = self._sizes(len(identities))
        identity, _, is_person = coded(dataset, type(self).__name__, junk_ids=self.junk_ids)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_repeats):
            drawn = rng.permutation(identities)
            train = np.flatnonzero(np.isin(identity, drawn[n_test : n_test + n_train]) & is_person)
            yield Trial(train, *draw(drawn[:n_test], rng))

    def aggregate(self, dataset, trial, distances):
        """Return the arguments of the metrics: identities, and distances between images or people.

        Parameters
        ----------
        dataset : Bunch, dict or object
            The dataset that `trial` was drawn from.
        trial : Trial
            One of the trials of :meth:`split`.
        distances : array-like of shape (len(trial.probe), len(trial.gallery)), or callable
            Lower is nearer; a callable returns rows, as in :mod:`skreid.metrics`.

        Returns
        -------
        Comparison

        Raises
        ------
        ValueError
            If `distances` has another shape.
        """
        return compare(dataset, trial, distances, type(self).__name__, self.aggregation, self.aggregate_probes)

    @abstractmethod
    def _prepare(self, dataset):
        """Return a function (test identities, rng) -> (probe, gallery), and the identities to draw from."""

    @property
    def _n_train(self):
        """The number or share of identities to train on, given or by default."""
        return (0.5 if self._fits else 0) if self.n_train is None else self.n_train

    def _sizes(self, n):
        def count(size):
            return int(size) if isinstance(size, Integral) else round(size * n)

        n_train = count(self._n_train)
        n_test = n - n_train if self.n_test is None else count(self.n_test)
        if n_test < 1 or n_train + n_test > n:
            raise ValueError(
                f"{type(self).__name__} draws {n_train} training and {max(n_test, 0)} test identities, "
                f"but the dataset has {n} that qualify ({self._qualify}). "
                "Change n_train or n_test, or check the dataset. n_train=0 leaves nobody out, for a system that "
                "is fitted already: evaluate(..., fit=False)."
            )
        return n_train, n_test

    def _describe(self, probes_and_gallery):
        def words(size):
            return str(size) if isinstance(size, Integral) else f"{size:.0%}"

        test = "all other" if self.n_test is None else words(self.n_test)
        aggregated = "" if self.aggregation is None else f", person distance = {self.aggregation} over image pairs"
        repeats = f"{self.n_repeats} repeat{'s' * (self.n_repeats > 1)} (random_state={self.random_state})"
        if self._fits:
            sizes = f"{words(self._n_train)} training / {test} test identities"
        elif self._n_train:
            sizes = f"nothing fitted, {words(self._n_train)} left out / {test} test identities"
        else:
            sizes = f"nothing fitted, {'all' if self.n_test is None else test} identities tested"
        return f"{self.name}: {sizes}; {probes_and_gallery}{aggregated}; {repeats}"
