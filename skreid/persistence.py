"""Fitted estimators in files that cannot run code: skops archives, with the classes they may hold named here.

A pickle runs what it says when it is loaded; these do not, so they may come from somebody else.
"""

import os
import uuid
from pathlib import Path

from skreid._base.archives import ArchiveError, check_archive
from skreid._base.files import replacing
from skreid._base.moved import MOVED

__all__ = ["dump", "load", "trusted_types"]

_TRUSTED = (
    "skreid.descriptors._gog.GOG",
    "skreid.descriptors._lomo.LOMO",
    "skreid.descriptors._mlgd.MLGD",
    "skreid.descriptors._normalizer.CenteredNormalizer",
    "skreid.metric_learning._cvdca.CVDCA",
    "skreid.metric_learning._kernel_cvdca.KCVDCA",
    "skreid.metric_learning._kernel_xqda.KernelXQDA",
    "skreid.metric_learning._xqda.XQDA",
    "skreid.multidepth.MultiDepthReID",
    "skreid.rivals._cluster_first.ClusterFirst",
    "skreid.rivals._fcdf.FCDF",
    "skreid.rivals._tcp.TCPNet",
)
# the same classes under the names they had before their modules moved
_TRUSTED_BEFORE = tuple(f"{old}.{name.rpartition('.')[2]}" for name in _TRUSTED for old in MOVED)


def trusted_types():
    """Return the classes that `load` accepts beside those that skops itself trusts.

    Returns
    -------
    names : list of str
        Skreid's estimators; what `trusted` of `skops.io.load` takes.

    Examples
    --------
    >>> from skreid.persistence import trusted_types
    >>> "skreid.multidepth.MultiDepthReID" in trusted_types()
    True
    """
    return list(_TRUSTED)


def dump(estimator, path):
    """Save a fitted estimator, or a Pipeline with it, as a skops archive.

    Parameters
    ----------
    estimator : estimator
        Of skreid or scikit-learn.
    path : str or path-like
        The file to write, by custom ending in ".skops"; one that exists is replaced in one step.

    Returns
    -------
    path : pathlib.Path
        Where it was written.

    Raises
    ------
    ImportError
        If skops is not installed.
    OSError
        If the file cannot be written, such as on a full disk; one that was there stays as it was.

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
    path, content = Path(path), _skops().dumps(estimator)
    target = Path(os.path.realpath(path))  # a link stays one
    part = target.with_name(f"{uuid.uuid4().hex}.part")
    try:
        with replacing(target, part) as file:
            file.write(content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"'{path}' could not be written, {len(content):,} bytes ({error}); a file that was there stays as it was. "
            "Free some space, or give another path.",
        ) from error
    return path


def load(path, *, trusted=()):
    """Load an estimator that `dump` saved, if it holds nothing but what is trusted; nothing in it is run before.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : sequence of str, default=()
        Further classes and functions to accept, such as "people.networks.small" for a `backbone` of your own: they will
        be imported and called.

    Returns
    -------
    estimator : estimator

    Raises
    ------
    ImportError
        If skops is not installed.
    ValueError
        If the file is no such archive, would grow on unpacking, or holds what is not trusted; the message names it.

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
        raise ImportError("skreid.persistence needs skops: pip install skops, or skreid[skops].") from error
    return skops.io
