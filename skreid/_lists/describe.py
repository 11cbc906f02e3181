"""Descriptors of lists too long for memory or one machine: chunk by chunk, wherever joblib sends them.

Each process gets the estimator once. Chunks come back in any order, and finished ones are never described again.
"""

import hashlib
import os
import warnings
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from threading import Lock

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from skreid._base.arrays import tabular
from skreid._base.bars import progress_bar
from skreid._base.checks import check_int
from skreid._images.docs import fill_images
from skreid._lists.chunks import Chunks, count_images, listed
from skreid._lists.output import ArrayOutput, FileOutput, GrowingFile
from skreid._search.identity import mark
from skreid._search.system import describe as describe_chunk
from skreid._search.system import origin_of_system
from skreid.exceptions import ImageError

try:
    import cloudpickle
except ImportError:  # joblib before 1.6 carries it along
    from joblib.externals import cloudpickle

_loaded, _lock = {}, Lock()  # in a worker: digest -> estimator of that pickle; only the last one


@fill_images
def describe(estimator, X, *, batch_size=256, out=None, n_jobs=None, verbose=0):
    """Describe many images, in chunks that joblib may spread over processes and machines.

    The result equals that of ``estimator.transform`` on each chunk, bit for bit on the same kind of machine with the
    same number of threads. If a worker dies, its chunks are described again.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        If its last step has `pairwise_distances`, the steps before it describe.
    %(images)s
        An iterator is read one chunk at a time, never as a whole. On several machines: paths that mean the same file
        everywhere.
    batch_size : int, default=256
        Images per chunk, the unit of work that a worker gets.
    out : path-like, ndarray or None, default=None
        Where descriptors go. A path: a new ``.npy`` file, memory-mapped, so that only a few chunks are in memory. An
        array of shape (n, n_features), memory-mapped or not. None: a new array in memory. Beside a file, a second one
        ending in ``.progress`` records the finished chunks: after an interruption, the same call resumes from there. It
        refuses other images: it compares pixels, the bytes of encoded pictures, or the name, size and modification time
        of files. Equal images in another form, such as an array in place of a list, count as others. Images of a data
        set or an iterator are compared chunk by chunk: the resumed call reads them again from the start, and describes
        the rest.
    n_jobs : int or None, default=None
        Number of chunks described at the same time, as in joblib; None means 1, or what `joblib.parallel_config` says.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    descriptors : ndarray of shape (n, n_features)
        In the order of `X`: `out` itself if it is an array; memory-mapped and read-only if it is a path.

    Raises
    ------
    ImageError
        If an image cannot be used; the message gives its position in `X`.
    ValueError
        If `X` does not hold images; if `out` has another shape, or a type that would change descriptors; if the file
        holds descriptors of another estimator or of other images; if the file or its record is damaged; or if `out` is
        a path and the estimator cannot be pickled.
    OSError
        If the file or its record cannot be written, or their folder does not exist. A disk that is too small is noticed
        after the first chunk, when the whole file is allocated; that of an iterator grows with each chunk.

    Warns
    -----
    UserWarning
        If an estimator with ``on_error="nan"`` described images by NaN, in this call or in one that it resumes; the
        message gives their positions.

    See Also
    --------
    skreid.Gallery : Search the descriptors.

    Examples
    --------
    >>> from skreid import describe
    >>> from skreid.datasets import make_pedestrians
    >>> from skreid.descriptors import LOMO
    >>> people = make_pedestrians(n_identities=2, image_size=(128, 48), random_state=0)
    >>> lomo = LOMO().fit(people.images)
    >>> descriptors = describe(lomo, people.images, batch_size=3)
    >>> bool((descriptors == lomo.transform(people.images)).all())
    True
    """
    check_int(batch_size, "batch_size", "describe")
    X = listed(tabular(X, "X"))
    n_images = count_images(X)
    if isinstance(out, (str, os.PathLike)):
        output = (GrowingFile if n_images is None else FileOutput)(Path(out), estimator, X, batch_size)
    else:
        output = ArrayOutput(out, n_images)
    with (
        progress_bar("Describing", "image", n_images, shown=verbose) as bar,
        warnings.catch_warnings(),  # workers inherit the filters
    ):
        # of each chunk: one warning at the end covers all
        warnings.filterwarnings("ignore", r"\d+ of \d+ images cannot be used and are described by NaN")
        chunks = Chunks(X, batch_size, output.is_done, bar.update)
        while not chunks.exhausted:
            n_before = chunks.n_finished
            try:
                for start, rows in _spread(estimator, chunks, n_jobs):
                    output.write(start, rows, chunks.waiting[start])
                    chunks.finish(start)
                    bar.update(len(rows))
            except BrokenExecutor:  # a process was killed, perhaps for using too much memory
                if chunks.n_finished == n_before:
                    raise
    if chunks.error:
        raise chunks.error
    if not chunks.n_images:
        output.write(0, describe_chunk(estimator, [] if n_images is None else X), [])
    if output.unusable:
        named = ", ".join(map(str, sorted(output.unusable)))
        warnings.warn(
            f"{len(output.unusable)} of {chunks.n_images} images are described by NaN, at positions {named}.",
            stacklevel=2,
        )
    descriptors = output.result(chunks.n_images)
    mark(descriptors, origin_of_system(estimator))
    return descriptors


def _spread(estimator, chunks, n_jobs):
    """Yield (start, descriptors) of each chunk, in the order they are finished."""
    backend, _ = get_active_backend()
    n_workers = joblib.effective_n_jobs(n_jobs)
    streams = getattr(backend, "supports_return_generator", True)
    parallel = Parallel(n_jobs, batch_size=1, return_as="generator_unordered" if streams else "list")
    given = iter(chunks)
    first = list(islice(given, 1))
    if not first:
        return
    with _carried(estimator, backend, n_workers) as carried, nullcontext() if streams else parallel:
        calls = (delayed(_describe)(carried, start, (images,)) for start, images in chain(first, given))
        if streams:
            with closing(parallel(calls)) as described:
                yield from described
        else:  # these keep all results of a call in memory
            while wave := list(islice(calls, 4 * n_workers)):
                yield from parallel(wave)


@contextmanager
def _carried(estimator, backend, n_workers):
    """Yield the estimator as calls receive it: itself within this process, else its pickle and a digest."""
    client = getattr(backend, "client", None)  # of a Dask cluster
    if getattr(backend, "supports_sharedmem", False) or n_workers == 1:
        yield estimator, None
        return
    pickled = cloudpickle.dumps(estimator)
    digest = hashlib.sha256(pickled).hexdigest()
    pickled = np.frombuffer(pickled, np.uint8)  # as an array, joblib memory-maps it and Ray stores it once
    if client is None:
        yield pickled, digest
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        # A task rather than scattered data: Dask runs it again if the worker that holds the result dies
        yield client.submit(np.asarray, pickled, key=f"estimator-{digest}"), digest


def _describe(carried, start, images):
    """Describe one chunk, whose first image has position `start`; a 1-tuple, which Dask keeps in its task."""
    estimator = _unpacked(*carried) if carried[1] else carried[0]
    try:
        with joblib.parallel_config(backend="threading", n_jobs=1):  # n_jobs of the estimator means threads here
            rows = np.asarray(describe_chunk(estimator, images[0]))
    except ImageError as error:
        place = start + error.index
        raise ImageError(place, str(error).replace(f"image {error.index}", f"image {place}", 1)) from error
    if rows.ndim != 2 or len(rows) != len(images[0]):
        raise ValueError(
            f"{type(estimator).__name__} described {len(images[0])} images by an array of shape {rows.shape}; expected "
            "one row per image."
        )
    return start, rows


def _unpacked(pickled, digest):
    """Return the estimator of a pickle, loaded once per process."""
    with _lock:
        if digest not in _loaded:
            _loaded.clear()
            _loaded[digest] = cloudpickle.loads(pickled.data)
        return _loaded[digest]
