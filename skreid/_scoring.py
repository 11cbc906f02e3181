"""CMC inside cross-validation: the test fold is described once, split into probe and gallery, ranked, scored.

A scorer object rather than a function, so that camera ids can be routed to it.
"""

from numbers import Integral

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length

from skreid._base.labels import as_labels
from skreid._ranking import check_usable, describe, gallery_distances
from skreid.metrics import ranking_metrics
from skreid.model_selection import split_probe_gallery


class CMCScorer:
    """Score a transformer by how well it finds test persons again: rank-k and mAP.

    Called as ``scorer(estimator, X, y, *, cams=None)`` on a test fold, it describes every image once; then,
    `n_repeats` times, draws a gallery of `n_shots` images an identity, lets all other images be probes (with
    cameras: those of other cameras), ranks the gallery for every probe, and averages the figures.

    Parameters
    ----------
    ranks : int or sequence of int, default=1
        Ranks of the cumulative matching characteristic.
    mean_average_precision : bool, default=False
        Whether to report mAP as well.
    n_repeats : int, default=10
        Random galleries to average over.
    n_shots : int, default=1
        Gallery images an identity; 1 is the single-shot protocol.
    random_state : int, default=0
        Seeds the galleries, so that all candidates of a search meet the same ones.

    Notes
    -----
    Identities that the estimator was trained on are found too easily, and nothing tells: split by identity, as
    `skreid.model_selection.IdentityKFold` does. `skreid.evaluation.evaluate` refuses them.

    With one rank and no mAP the score is a float; otherwise a dict such as ``{"rank_1": 0.7, "mAP": 0.6}``,
    which searches take with ``refit="rank_1"``. Camera ids reach the scorer through scikit-learn's metadata
    routing, e.g. ``cross_validate(..., params={"cams": cams})`` with routing enabled; without routing, `params`
    are for `fit` alone. `sklearn.callback.ScoringMonitor` wants names: ``scoring={"rank_1": cmc_score}``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skreid import CMCScorer
    >>> X, y = np.array([[0.0], [0.1], [5.0], [5.2]]), ["ann", "ann", "bob", "bob"]
    >>> CMCScorer(ranks=(1, 2))(FunctionTransformer().fit(X), X, y)
    {'rank_1': 1.0, 'rank_2': 1.0}
    """

    def __init__(self, ranks=1, *, mean_average_precision=False, n_repeats=10, n_shots=1, random_state=0):
        for name, value in (("n_repeats", n_repeats), ("n_shots", n_shots)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(
                    f"The {name!r} parameter of CMCScorer must be an int in the range [1, inf). Got {value!r} instead."
                )
        self.ranks = ranks
        self.mean_average_precision = mean_average_precision
        self.n_repeats = n_repeats
        self.n_shots = n_shots
        self.random_state = random_state
        self._request = MetadataRequest(owner="CMCScorer")
        self._request.score.add_request(param="cams", alias=True)

    def __call__(self, estimator, X, y, *, cams=None):
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            A last step with `pairwise_distances` decides the metric; otherwise it is Euclidean.
        X : images, n of them
            In any form the estimator takes.
        y : array-like of shape (n,)
            Identities.
        cams : array-like of shape (n,), optional
            Camera of each image; probe and gallery then come from different cameras, and a metric whose
            `pairwise_distances` takes cameras is told them.

        Returns
        -------
        score : float, or dict of str to float
            In [0, 1], higher is better.

        Raises
        ------
        ValueError
            If there is one identity only, or none has a probe: each has one image, or one camera.
        """
        ranks = [self.ranks] if isinstance(self.ranks, Integral) else list(self.ranks)
        if not ranks or not all(isinstance(rank, Integral) and rank >= 1 for rank in ranks):
            raise ValueError(
                "The 'ranks' parameter of CMCScorer must be an int in the range [1, inf), or several. "
                f"Got {self.ranks!r} instead."
            )
        y = as_labels(y, "y")
        cams = None if cams is None else as_labels(cams, "cams")
        if hasattr(X, "__len__") or hasattr(X, "shape"):
            check_consistent_length(X, y, cams)
        if len(y) and (y == y[0]).all():
            raise ValueError(f"y holds one identity only, {y[0]}: there is nobody to take it for. Score two or more.")
        descriptors = describe(estimator, X)
        check_consistent_length(descriptors, y, cams)
        check_usable(descriptors)
        rng = np.random.default_rng(self.random_state)
        rounds = [
            self._one_round(estimator, descriptors, y, cams, int(rng.integers(2**31))) for _ in range(self.n_repeats)
        ]
        scores = {name: float(np.mean([one[name] for one in rounds])) for name in rounds[0]}
        if isinstance(self.ranks, Integral) and not self.mean_average_precision:
            return scores[f"rank_{self.ranks}"]
        return scores

    def _one_round(self, estimator, descriptors, y, cams, seed):
        """Return the figures for one random gallery."""
        probe, gallery = split_probe_gallery(y, cams=cams, n_shots=self.n_shots, random_state=seed)
        seen_by = {} if cams is None else {"cams_probe": cams[probe], "cams_gallery": cams[gallery]}
        distances = gallery_distances(estimator, descriptors[probe], descriptors[gallery], **seen_by)
        found = ranking_metrics(y[probe], y[gallery], distances, ranks=self.ranks, **seen_by)
        scores = {f"rank_{k}": share for k, share in found.ranks.items()}
        if self.mean_average_precision:
            scores["mAP"] = found.mean_average_precision
        return scores

    def get_metadata_routing(self):
        """Return the routing request: the scorer takes `cams`."""
        return self._request

    def __repr__(self):
        changed = {name: value for name, value in vars(self).items() if name != "_request"}
        return f"CMCScorer({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


cmc_score = CMCScorer()
