"""Save fitted estimators, searches and results to files that run no code when they are loaded, and load them again.

Loading a pickle runs whatever code is in it. These files are skops archives, which hold data alone and name the
classes to build; `load` builds trusted classes only, so a file may come from somebody else.
"""

import warnings
from pathlib import Path

from skreid._base.archives import ArchiveError, check_archive
from skreid._base.files import write_file
from skreid._base.moved import old_names

__all__ = ["dump", "load", "trusted_types"]

_TRUSTED_BY_MODULE = {
    "skreid._base.stand_ins": ("Distribution", "Request"),
    "skreid._scoring": ("CMCScorer",),
    "skreid.descriptors._gog": ("GOG",),
    "skreid.descriptors._lomo": ("LOMO",),
    "skreid.descriptors._mlgd": ("MLGD",),
    "skreid.descriptors._normalizer": ("CenteredNormalizer",),
    "skreid.evaluation._nearest": ("Nearest",),
    "skreid.evaluation._result": ("EvaluationResult", "Repeat"),
    "skreid.evaluation._where": ("CameraCounts",),
    "skreid.metric_learning._cvdca": ("CVDCA",),
    "skreid.metric_learning._kernel_cvdca": ("KCVDCA",),
    "skreid.metric_learning._kernel_xqda": ("KernelXQDA",),
    "skreid.metric_learning._xqda": ("XQDA",),
    "skreid.metrics._ranking": ("RankingMetrics",),
    "skreid.metrics._summary": ("Summary",),
    "skreid.model_selection": ("IdentityKFold", "IdentityShuffleSplit"),
    "skreid.multidepth": ("MultiDepthReID",),
    "skreid.protocols._given": ("CUHK03NPProtocol", "GivenSplitProtocol", "Market1501Protocol"),
    "skreid.protocols._named": ("CUHK01Protocol", "VIPeRProtocol"),
    "skreid.protocols._shots": ("ShotProtocol",),
    "skreid.protocols._two_views": ("TwoViewProtocol",),
    "skreid.rivals._cluster_first": ("ClusterFirst",),
    "skreid.rivals._fcdf": ("FCDF",),
    "skreid.rivals._tcp": ("TCPNet",),
    "sklearn.model_selection._search_successive_halving": ("HalvingGridSearchCV", "HalvingRandomSearchCV"),
    "sklearn.model_selection._split": (  # those whose state is numbers; skops itself trusts searches, but no splitter
        "GroupKFold",
        "GroupShuffleSplit",
        "KFold",
        "LeaveOneGroupOut",
        "LeavePGroupsOut",
        "PredefinedSplit",
        "ShuffleSplit",
        "StratifiedGroupKFold",
        "StratifiedKFold",
        "StratifiedShuffleSplit",
        "_CVIterableWrapper",  # cv as a list of splits
    ),
}
_TRUSTED = tuple(f"{module}.{name}" for module, names in _TRUSTED_BY_MODULE.items() for name in names)
_TRUSTED_BEFORE = tuple(old for name in _TRUSTED for old in old_names(name))  # in files of earlier versions


def trusted_types():
    """Return the names of the classes that `load` trusts in addition to those that skops trusts by itself.

    Returns
    -------
    names : list of str
        The estimators, scorers, splitters, protocols and results of skreid, and scikit-learn's halving searches and
        splitters. skops names a class after the module that defines it, so the names lead into private modules. Pass
        the list as `trusted` to use `skops.io.load` without :func:`load`.

    See Also
    --------
    load : Trusts these classes, and others that you name.

    Examples
    --------
    >>> from skreid.persistence import trusted_types
    >>> {"skreid.multidepth.MultiDepthReID", "skreid._scoring.CMCScorer"} <= set(trusted_types())
    True
    """
    return list(_TRUSTED)


def dump(estimator, path):
    """Save a fitted estimator, a Pipeline or a search as a skops archive.

    Parameters
    ----------
    estimator : object
        An estimator of skreid or scikit-learn, a Pipeline of them, or a search over them with a scorer and a splitter
        of skreid. Also such a scorer or splitter, a protocol, or an `EvaluationResult`.
    path : str or path-like
        The file to write; its name usually ends in ".skops". An existing file is replaced in one step.

    Returns
    -------
    path : pathlib.Path
        The file written.

    Raises
    ------
    ImportError
        If skops is not installed.
    OSError
        If the file cannot be written, for example because the disk is full. An existing file stays unchanged.
    TypeError
        If the estimator holds something that cannot be saved, such as a lambda.

    Warns
    -----
    UserWarning
        If it holds classes or functions that :func:`load` does not trust by itself, such as decision trees or functions
        of your own. The message names them: who loads the file has to list them in `trusted`.

    Notes
    -----
    Distributions of `scipy.stats`, which random searches draw from, are saved by name and arguments, and so are
    requests for metadata.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skreid.metric_learning import XQDA
    >>> from skreid.persistence import dump, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = dump(XQDA().fit([[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1]), Path(folder) / "xqda.skops")
    ...     load(path).n_features_in_
    1
    """
    return write_archive(estimator, path)


def write_archive(estimator, path, reader="skreid.persistence.load", stacklevel=3):
    """Write what `dump` writes, for a function that reads it and has a parameter `trusted`."""
    io = _skops()
    from skreid._base.stand_ins import with_stand_ins

    try:
        content = io.dumps(with_stand_ins(estimator))
    except Exception as error:  # pickle and skops raise many types
        cyclic = isinstance(error, RecursionError)
        why = "it holds an object that refers back to itself" if cyclic else f"{type(error).__name__}: {error}"
        raise TypeError(
            f"This {type(estimator).__name__} cannot be saved: {why}. Functions and classes of your own must stand at "
            "the top level of a module."
        ) from error
    unknown = sorted(set(io.get_untrusted_types(data=content)) - set(_TRUSTED))
    if unknown:
        warnings.warn(
            f"This {type(estimator).__name__} holds types that {reader} does not trust by itself. It loads the file "
            f"only with trusted={unknown}.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return write_file(path, content)


def load(path, *, trusted=()):
    """Load what `dump` saved, after checking that the file holds trusted types only.

    Nothing in the file is run before that check. Files written by earlier versions load too, even where a class has
    moved to another module since.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    trusted : sequence of str, default=()
        Classes and functions to trust in addition to :func:`trusted_types`, for example "people.networks.small" for
        a `backbone` of your own. They are imported and called: name only what you know.

    Returns
    -------
    estimator : object
        The estimator, fitted if it was fitted when it was saved, or whatever else was saved.

    Raises
    ------
    ImportError
        If skops is not installed.
    ValueError
        If the file is not a readable skops archive, would grow to more than 100 times its size when unpacked, or
        holds types that are not trusted. The message names the file and the reason.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.dummy import DummyClassifier
    >>> from skreid.persistence import dump, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(dump(DummyClassifier(), Path(folder) / "dummy.skops"))
    DummyClassifier()
    """
    io = _skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    path = Path(path)
    content = path.read_bytes()
    try:
        check_archive(path, growth=100)
        return io.loads(content, trusted=[*_TRUSTED, *_TRUSTED_BEFORE, *trusted])
    except UntrustedTypesFoundException as error:
        raise ValueError(
            f"'{path}' was not loaded, and nothing in it was run: it holds types that are not trusted. {error} Name "
            "them in 'trusted' only if you know what they do."
        ) from error
    except Exception as error:  # a damaged archive may raise anything
        why = error if isinstance(error, ArchiveError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"'{path}' is not a readable skops archive (nothing in it was run): {why}") from error


def _skops():
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("skreid.persistence requires skops. Install it with 'pip install skreid[skops]'.") from error
    return skops.io
