"""The scikit-learn steps behind a descriptor as an ONNX graph, written by skl2onnx.

Steps that skl2onnx does not know as transformers are written as steps that it knows and that compute the same.
"""

from copy import copy

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from skreid._search.quadratic import quadratic_form
from skreid._search.system import parts_of, steps_of
from skreid.descriptors import CenteredNormalizer

EUCLIDEAN = {"distance": "Euclidean"}


def known_steps(steps, *, in_union=False):
    """Return steps that skl2onnx knows and that compute the same, and how their outputs are compared.

    Parameters
    ----------
    steps : list of fitted transformers
        The last may be a learned metric.
    in_union : bool, default=False
        Whether their outputs stand in a union, and so are never compared by a learned metric of their own.

    Returns
    -------
    known : list of fitted transformers
    measure : dict of str to str
        The distance of two outputs p and g, as entries of the metadata.
    """
    known, measure = [], EUCLIDEAN
    for place, step in enumerate(steps):
        if hasattr(step, "pairwise_distances") and place == len(steps) - 1 and not in_union:
            projection, measure = _signed_projection(step)
            known.append(projection)
        elif isinstance(step, LinearDiscriminantAnalysis):
            known.append(_projection(*_discriminants(step)))
        elif isinstance(step, CenteredNormalizer):
            if step.block_sizes is not None:
                raise TypeError("CenteredNormalizer with block_sizes cannot be exported: use one block.")
            known += [_centring(step.mean_), Normalizer()]
        elif isinstance(step, FeatureUnion | ColumnTransformer):
            known.append(_known_union(step))
        else:
            known.append(step)
    return known, measure


def _known_union(union):
    """Return a union of steps, side by side, whose members skl2onnx knows."""
    union = copy(union)
    members = "transformer_list" if isinstance(union, FeatureUnion) else "transformers_"
    setattr(
        union,
        members,
        [(name, _known_member(part), *columns) for name, part, *columns in getattr(union, members) if part != "drop"],
    )
    return union


def _known_member(part):
    """Return what a member of a union computes as one step that skl2onnx knows."""
    known, _ = known_steps([] if part == "passthrough" else steps_of(part), in_union=True)
    return make_pipeline(*known) if known else "passthrough"


def names_of(steps):
    """Return the classes of steps and of all within them, for messages."""
    return ", ".join(dict.fromkeys(type(part).__name__ for step in steps for part in parts_of(step)))


def append_steps(model, steps, n_features, names):
    """Return an ONNX model whose output "descriptors" goes through steps that skl2onnx knows.

    Errors say `names`, those of the steps that these stand for.
    """
    if not steps:
        return model
    import onnx
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    (opset,) = (entry.version for entry in model.opset_import if entry.domain == "")
    pipeline = make_pipeline(*steps)
    try:
        tail = convert_sklearn(
            pipeline,
            initial_types=[("rows", FloatTensorType([None, n_features]))],
            target_opset={"": opset, "ai.onnx.ml": 3},
        )
    except Exception as error:  # skl2onnx raises many types
        raise TypeError(
            f"skl2onnx cannot convert one of the steps {names}: leave it out or replace it. It says: {error}"
        ) from error
    output = tail.graph.output[0].name
    for entry in tail.opset_import:  # it states the lowest version that its operators have
        entry.version = opset if entry.domain == "" else entry.version
    tail.ir_version = model.ir_version
    merged = onnx.compose.merge_models(
        onnx.compose.add_prefix(model, "describe_"),
        onnx.compose.add_prefix(tail, "steps_"),
        io_map=[("describe_descriptors", "steps_rows")],
    )
    return _renamed(merged, {"describe_frames": "frames", f"steps_{output}": "descriptors"})


def _renamed(model, names):
    """Rename tensors of a model everywhere."""
    for node in model.graph.node:
        for tensors in (node.input, node.output):
            for place, name in enumerate(tensors):
                tensors[place] = names.get(name, name)
    for tensor in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        tensor.name = names.get(tensor.name, tensor.name)
    return model


def _projection(mean, components):
    """Return a fitted PCA that computes ``(rows - mean) @ components.T``."""
    pca = PCA(n_components=len(components))
    pca.mean_ = np.asarray(mean, dtype=np.float64)
    pca.components_ = np.asarray(components, dtype=np.float64)
    pca.n_components_, pca.n_features_in_ = components.shape
    pca.explained_variance_ = np.ones(len(components))
    return pca


def _centring(mean):
    """Return a fitted scaler that subtracts a mean."""
    scaler = StandardScaler(with_std=False)
    scaler.mean_, scaler.scale_, scaler.var_ = np.asarray(mean, dtype=np.float64), None, None
    scaler.n_features_in_ = len(mean)
    return scaler


def _discriminants(lda):
    """Return mean and components of the projection of a fitted LinearDiscriminantAnalysis."""
    n_features = lda.scalings_.shape[0]
    n_components = lda.transform(np.zeros((1, n_features))).shape[1]
    mean = lda.xbar_ if lda.solver == "svd" else np.zeros(n_features)  # the "eigen" solver does not centre
    return mean, lda.scalings_[:, :n_components].T


def _signed_projection(metric):
    """Return a projection in which a quadratic form is a difference of two sums of squares, and how many are added."""
    components, weights = quadratic_form(
        metric, "it has no place in an ONNX file. XQDA is one; or export the Pipeline without its last step."
    )
    values, vectors = np.linalg.eigh(weights)
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    components = (np.sqrt(np.abs(values)) * vectors).T @ components
    n_positive = int((values >= 0).sum())
    formula = f"sum((p - g)[:{n_positive}]**2) - sum((p - g)[{n_positive}:]**2)"
    return _projection(metric.mean_, components), {"distance": formula, "n_positive": str(n_positive)}
