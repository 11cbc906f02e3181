"""One ONNX file from the pixels of frames to descriptors, checked against the system that it was made from."""

import json
import warnings
from copy import copy
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skreid._base.files import write_file
from skreid._search.system import describe, steps_of
from skreid._version import __version__
from skreid.datasets import make_pedestrians
from skreid.multidepth import MultiDepthReID

USUAL = 1e-5  # of trained networks; square roots enlarge the rounding of what is close to zero, as in untrained ones
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Export:
    """What `to_onnx` wrote.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    metadata : dict of str to str
        What the file says about itself, as stored in its `metadata_props`.
    relative_error : float
        Norm of the difference between the descriptor of the file and that of the system, divided by the norm of the
        latter, for the image for which it is largest. An image that the system describes by zeros counts relative to
        the largest norm. Behind XQDA, the descriptors compared are the projections that the file returns, as the
        system's own steps compute them, not those of its `transform`.
    resizing_error : float or None
        The same for pictures of twice the height and width, which the file resizes itself; None without ``resize``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skreid.export import Export
    >>> Export(Path("reid.onnx"), {"distance": "Euclidean"}, 1e-6, None).metadata["distance"]
    'Euclidean'
    """

    path: Path
    metadata: dict
    relative_error: float
    resizing_error: float | None


def to_onnx(system, path, *, resize=False, X=None, tolerance=TOLERANCE):
    """Write a fitted system as one ONNX file: from uint8 frames to descriptors.

    The graph holds everything: scaling of the pixels, network, smoothing, square roots, lengths, and the scikit-learn
    steps behind them. It needs neither torch nor scikit-learn to run, and takes batches of any size.

    Parameters
    ----------
    system : fitted MultiDepthReID, Pipeline that begins with one, or search over either
        Steps after it: those that skl2onnx converts (PCA, scalers, `Normalizer`, selectors and others),
        `LinearDiscriminantAnalysis` as a transformer, `skreid.descriptors.CenteredNormalizer`, and `XQDA` at the end.
    path : str or path-like
        The file to write, usually with the ending ``.onnx``. An existing file is replaced once the new one is complete
        and checked.
    resize : bool, default=False
        Whether the graph resizes frames (bilinear, antialiased). If False, frames must have the system's size.
    X : images, default=None
        Images to check the file with. None draws sixteen pictures of people.
    tolerance : float, default=1e-4
        Largest `relative_error` allowed, that of the worst image. It is usually below 1e-5, and larger for untrained
        networks.

    Returns
    -------
    export : Export
        The path, the metadata and the measured errors.

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is missing, or skl2onnx for a Pipeline; or if torch is older than 2.9.
    TypeError
        If the system does not begin with a fitted `MultiDepthReID`, or a step cannot be converted.
    ValueError
        If the file's descriptor of an image differs from the system's by more than `tolerance`. No file is written
        then.

    Warns
    -----
    UserWarning
        If `relative_error` is above 1e-5, and allowed by `tolerance`. The message says the figure.

    Notes
    -----
    Input ``frames``: uint8, shape (n, height, width, 3), colours in the order RGB. Output ``descriptors``: float32,
    shape (n, n_dimensions). Descriptors are compared by the Euclidean distance, unless the metadata's ``distance`` says
    otherwise: behind XQDA, the outputs are projections whose distance is a difference of two sums of squares. The first
    ``n_positive`` dimensions, an entry of the metadata, belong to the first sum. They have the shape of what
    `transform` returns, but other values: compare outputs of the file with one another only. To search with a
    `skreid.gallery.Gallery`, export ``system[:-1]``, and build ``Gallery.from_estimator(system[-1], descriptors)``.

    The file computes in float32, also for a system with ``precision="bfloat16"``.

    Examples
    --------
    >>> import numpy as np, onnxruntime                      # doctest: +SKIP
    >>> from skreid.export import to_onnx                    # doctest: +SKIP
    >>> to_onnx(reid, "reid.onnx").relative_error < 1e-5     # doctest: +SKIP
    True
    >>> session = onnxruntime.InferenceSession("reid.onnx")  # doctest: +SKIP
    >>> descriptors = session.run(None, {"frames": frames})  # doctest: +SKIP
    """
    _require("onnx", "onnxscript", "onnxruntime")
    if parse_version(version("torch")) < parse_version("2.9"):
        raise ImportError(f"to_onnx requires torch 2.9 or newer, for its exporter. Found torch {version('torch')}.")
    describing, *steps = steps_of(system)
    if not isinstance(describing, MultiDepthReID):
        raise TypeError(
            "to_onnx takes a fitted MultiDepthReID, alone or as the first step of a Pipeline. Got "
            f"{type(describing).__name__} instead."
        )
    if steps:
        _require("skl2onnx")
    from skreid.export._graph import describing_graph
    from skreid.export._steps import append_steps, known_steps, names_of

    exact = copy(describing).set_params(precision="float32", verbose=0)
    (known, measure), names = known_steps(steps), names_of(steps)
    model = append_steps(describing_graph(exact, resize), known, exact.n_features_out_, names)
    metadata = _metadata(exact, [type(step).__name__ for step in steps], measure, resize)
    _write_metadata(model, metadata)
    content = model.SerializeToString()
    session = _session(content, names)
    learned = steps[-1:] if steps and hasattr(steps[-1], "pairwise_distances") else []
    reference = make_pipeline(exact, *steps[: len(steps) - len(learned)], *known[-1:] * len(learned))
    frames = _frames(exact, X)
    relative_error = _relative_error(session, reference, frames, names)
    differs = f"differs from the system's by {relative_error:.2g} of its norm for the worst of {len(frames)} images"
    if not relative_error <= tolerance:
        raise ValueError(
            f"The descriptor of the ONNX file {differs}, more than tolerance={tolerance:g}: nothing was written. A "
            "step behind the descriptor may enlarge rounding; a larger 'tolerance' accepts it."
        )
    if relative_error > USUAL:
        warnings.warn(
            f"The descriptor of the ONNX file {differs}, more than the usual {USUAL:g}: it is written, since "
            f"tolerance={tolerance:g} allows it. Untrained networks and steps that enlarge rounding do that.",
            stacklevel=2,
        )
    large = frames.repeat(2, axis=1).repeat(2, axis=2)
    resizing_error = _relative_error(session, reference, large, names) if resize else None
    return Export(write_file(path, content), metadata, relative_error, resizing_error)


def _require(*modules):
    """Raise an ImportError that says what to install if a module is missing."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ImportError(f"to_onnx requires {', '.join(missing)}. Install with 'pip install skreid[onnx]'.")


def _metadata(estimator, steps, measure, resize):
    """Return what the file says about itself."""
    height, width = estimator.image_shape_
    size = "any height and width" if resize else f"height {height}, width {width}"
    return {
        "skreid": __version__,
        "input": f"frames: uint8, (n, height, width, 3), {size}",
        "color_order": "RGB",
        "frame_height": str(height),
        "frame_width": str(width),
        "resizes": json.dumps(bool(resize)),
        "output": "descriptors: float32, (n, n_dimensions)",
        **measure,
        "layers": json.dumps(list(estimator.layers_)),
        "n_filters": json.dumps([len(estimator.filters_[layer]) for layer in estimator.layers_]),
        "normalize": json.dumps(estimator.normalize),
        "steps": json.dumps(steps),
    }


def _write_metadata(model, metadata):
    """Write who made a model and what it says about itself."""
    model.producer_name, model.producer_version = "skreid", __version__
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)


def _frames(estimator, X):
    """Return frames to check with, uint8, of the size of the estimator."""
    if X is None:
        return make_pedestrians(n_identities=4, n_shots=2, image_size=estimator.image_shape_, random_state=0).images
    from skreid._images.source import ImageSource

    frames = ImageSource(X, estimator.image_shape_).read(slice(None)).permute(0, 2, 3, 1).numpy()
    if frames.dtype != np.uint8:
        raise ValueError("X must be uint8 images or files to check an ONNX file that takes uint8 frames. Got floats.")
    return frames


def _session(content, names):
    """Return a session of onnxruntime that runs an ONNX file; `names` are those of its steps."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types
        if not names:
            raise
        raise TypeError(
            f"onnxruntime cannot run what skl2onnx made of one of the steps {names}: leave it out or replace "
            f"it. It says: {error}"
        ) from error


def _relative_error(session, reference, frames, names):
    """Return how far the descriptors of a file are from those of a system, relative to their norm: the worst image."""
    written = session.run(["descriptors"], {"frames": frames})[0]
    expected = describe(reference, frames)
    if written.shape != expected.shape:
        raise TypeError(
            f"skl2onnx does not convert one of the steps {names} as a transformer: leave it out or replace it. The "
            f"file returns an array of shape {written.shape} for {len(frames)} images, the system {expected.shape}."
        )
    norms = np.linalg.norm(expected, axis=1)
    norms[norms == 0] = max(norms.max(), np.finfo(norms.dtype).tiny)
    return float((np.linalg.norm(written - expected, axis=1) / norms).max())
