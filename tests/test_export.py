"""ONNX files against the systems that they were made from, run by onnxruntime, also in a process without torch."""

import json
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.utils.fixes import parse_version

from skreid import MultiDepthReID, cmc_score, rank_gallery
from skreid._search.system import describe
from skreid.datasets import make_pedestrians
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.export import to_onnx
from skreid.export._graph import describing_graph
from skreid.metric_learning import XQDA, KernelXQDA
from skreid.model_selection import IdentityKFold

pytestmark = [
    pytest.mark.skipif(parse_version(version("torch")) < parse_version("2.9"), reason="to_onnx needs torch 2.9"),
    pytest.mark.filterwarnings("ignore:The descriptor of the ONNX file differs"),  # networks of a few small filters
]

STEPS = {
    "PCA": [PCA(6)],
    "whitening": [PCA(6, whiten=True)],
    "scaler, PCA, LDA, unit length": [
        StandardScaler(),
        PCA(12),
        LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5),
        Normalizer(),
    ],
    "LDA that centres, with fewer components": [PCA(12), LinearDiscriminantAnalysis(n_components=3)],
    "a union": [
        FeatureUnion(
            [
                ("lda", make_pipeline(StandardScaler(), PCA(12), LinearDiscriminantAnalysis())),
                ("none", "drop"),
                ("union", make_union(CenteredNormalizer(), "passthrough")),
            ],
            transformer_weights={"lda": 2.0},
        )
    ],
    "columns": [
        ColumnTransformer(
            [("lda", LinearDiscriminantAnalysis(), [3, 0, 5]), ("all", "passthrough", [1])], remainder=PCA(2)
        )
    ],
    "SVD about the mean": [CenteredNormalizer(), TruncatedSVD(5)],
}


def system_of(describing, steps, people):
    """Fit the steps on the descriptors of an estimator, and put them behind it."""
    X = describing.transform(people.images)
    for step in steps:
        X = step.fit(X, people.target).transform(X)
    return make_pipeline(describing, *steps)


def run(path, frames):
    """Return what onnxruntime makes of frames."""
    return onnxruntime.InferenceSession(path).run(["descriptors"], {"frames": frames})[0]


def close(written, expected):
    """Return whether two arrays of descriptors differ by rounding only, for networks of a few small filters."""
    return np.linalg.norm(written - expected) <= 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalize": "rooted", "blur_size": (4, None), "n_filters": 3},
        {"normalize": "centered"},
        {"normalize": "l2", "blur_size": (None, 5)},
        {"normalize": None, "layers": "high"},
        {"normalize": "rooted", "layers": ("low", "high"), "precision": "bfloat16"},
        {"normalize": "whitened", "blur_size": (4, None), "sampling": "box"},
        {"normalize": "whitened", "average_flips": True},
        {"sampling": "box", "average_flips": True, "layers": ("middle", "high")},
    ],
    ids=str,
)
def test_file_describes_as_the_estimator_does(changes, settings, people, tmp_path):
    """Batches of 1, 7 and 32 frames, for each normalisation; a file computes in float32."""
    reid = MultiDepthReID(**settings | changes).fit(people.images, people.target)
    export = to_onnx(reid, tmp_path / "reid.onnx")
    reid.set_params(precision="float32")
    for size in (1, 7, 32):
        assert close(run(export.path, people.images[:size]), reid.transform(people.images[:size]))
    assert export.relative_error < 1e-4
    assert export.resizing_error is None


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_file_includes_the_steps_behind_the_descriptor(steps, fitted, people, tmp_path):
    system = system_of(fitted, steps, people)
    path = to_onnx(system, tmp_path / "system.onnx").path
    assert close(run(path, people.images), system.transform(people.images))


def test_learned_distance_follows_from_the_outputs_as_the_file_says(fitted, people, tmp_path):
    """Behind XQDA: the metadata's own formula gives what rank_gallery ranks by."""
    system = system_of(fitted, [PCA(9), XQDA(reg=0.1)], people)
    export = to_onnx(system, tmp_path / "system.onnx")
    outputs = run(export.path, people.images)
    formula = export.metadata["distance"]
    distances, indices = rank_gallery(system, people.images[:3], people.images, n_neighbors=len(people.images))
    n = int(export.metadata["n_positive"])
    for i in range(3):
        expected = [eval(formula, {"p": outputs[i], "g": outputs[j], "sum": np.sum}) for j in indices[i]]
        np.testing.assert_allclose(distances[i], expected, atol=1e-4 * np.abs(distances).max())
        squares = (outputs[i] - outputs[indices[i]]) ** 2
        np.testing.assert_allclose(squares[:, :n].sum(axis=1) - squares[:, n:].sum(axis=1), expected, rtol=1e-4)


def test_file_says_what_it_takes_and_returns(fitted, people, tmp_path):
    """The metadata, the names and shapes of its tensors; and it is valid ONNX."""
    system = system_of(fitted, [PCA(6)], people)
    model = onnx.load(to_onnx(system, tmp_path / "system.onnx").path)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert (said["frame_height"], said["frame_width"], said["color_order"]) == ("32", "16", "RGB")
    assert json.loads(said["layers"]) == ["low", "middle", "high"]
    assert json.loads(said["steps"]) == ["PCA"]
    assert said["distance"] == "Euclidean"
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (frames,), (descriptors,) = session.get_inputs(), session.get_outputs()
    assert (frames.name, frames.type, frames.shape[1:]) == ("frames", "tensor(uint8)", [32, 16, 3])
    assert isinstance(frames.shape[0], str)
    assert (descriptors.name, descriptors.type) == ("descriptors", "tensor(float)")


def test_file_resizes_frames_if_asked(fitted, people, tmp_path):
    """Frames of the right size stay as they are; others are resized to within a grey level of what skreid does."""
    export = to_onnx(fitted, tmp_path / "reid.onnx", resize=True)
    assert close(run(export.path, people.images), fitted.transform(people.images))
    large = make_pedestrians(n_identities=3, image_size=(77, 31), random_state=1).images
    expected = fitted.transform(large)
    error = np.linalg.norm(run(export.path, large) - expected) / np.linalg.norm(expected)
    assert error < 0.02
    assert 0 < export.resizing_error < 0.02


def test_file_runs_without_torch_and_scikit_learn(fitted, people, tmp_path):
    """A process that imports onnxruntime and numpy only."""
    path = to_onnx(fitted, tmp_path / "reid.onnx").path
    np.save(tmp_path / "frames.npy", people.images[:5])
    code = (
        "import sys, numpy, onnxruntime\n"
        f"session = onnxruntime.InferenceSession({str(path)!r})\n"
        f"out = session.run(None, {{'frames': numpy.load({str(tmp_path / 'frames.npy')!r})}})[0]\n"
        f"numpy.save({str(tmp_path / 'out.npy')!r}, out)\n"
        "assert not {'torch', 'sklearn', 'skreid'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert close(np.load(tmp_path / "out.npy"), fitted.transform(people.images[:5]))


def test_file_that_differs_is_not_written(fitted, tmp_path):
    """An existing file stays."""
    path = tmp_path / "reid.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=r"differs from the system's by .* more than tolerance=1e-12"):
        to_onnx(fitted, path, tolerance=1e-12)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def describe_with_one_error(monkeypatch, place, factor, n_images=16):
    """Let the system's own descriptors differ from the file's by a factor, for one image among others."""
    factors = np.ones((n_images, 1), np.float64)
    factors[place] = factor
    monkeypatch.setattr("skreid.export._onnx.describe", lambda system, frames: factors * describe(system, frames))


@pytest.fixture(scope="module")
def graph(fitted):
    return describing_graph(fitted, False).SerializeToString()


@pytest.fixture
def exported_before(graph, monkeypatch):
    """Export the network of `fitted` once for several tests."""
    monkeypatch.setattr("skreid.export._graph.describing_graph", lambda *_: onnx.load_from_string(graph))


@pytest.mark.usefixtures("exported_before")
def test_error_is_that_of_the_worst_image(fitted, tmp_path, monkeypatch):
    """One image of sixteen differs by a thousandth of its norm; over all images, that is four times less."""
    describe_with_one_error(monkeypatch, 3, 1 / 1.001)
    with pytest.warns(UserWarning, match="0.001 of its norm for the worst of 16 images"):
        export = to_onnx(fitted, tmp_path / "reid.onnx", tolerance=0.01)
    assert export.relative_error == pytest.approx(0.001, rel=0.01)


@pytest.mark.usefixtures("exported_before")
def test_an_image_that_is_described_by_zeros_counts_relative_to_the_others(fitted, tmp_path, monkeypatch):
    """By hand: the file's descriptor of that image, relative to the largest norm."""
    describe_with_one_error(monkeypatch, 3, 0)
    frames = make_pedestrians(n_identities=4, n_shots=2, image_size=(32, 16), random_state=0).images
    norms = np.linalg.norm(describe(fitted, frames), axis=1)
    with pytest.warns(UserWarning, match="worst of 16 images"):
        export = to_onnx(fitted, tmp_path / "reid.onnx", X=frames, tolerance=2)
    assert export.relative_error == pytest.approx(norms[3] / np.delete(norms, 3).max(), rel=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("exported_before")
@pytest.mark.parametrize(("factor", "outcome"), [(1, "quiet"), (1 + 4e-5, "warned"), (1 + 4e-4, "refused")])
def test_a_file_that_differs_more_than_usual_is_written_with_a_warning(factor, outcome, fitted, tmp_path, monkeypatch):
    """From 1e-5 to 1e-4, the default tolerance; the warning says the figure."""
    describe_with_one_error(monkeypatch, slice(None), 1 / factor)
    path = tmp_path / "reid.onnx"
    if outcome == "quiet":
        to_onnx(fitted, path)  # a warning is an error
    elif outcome == "warned":
        with pytest.warns(UserWarning, match=r"by (3.9|4|4.1)e-05 of its norm.* more than the usual 1e-05"):
            to_onnx(fitted, path)
    else:
        with pytest.raises(ValueError, match=r"more than tolerance=0\.0001: nothing was written"):
            to_onnx(fitted, path)
    assert path.exists() == (outcome != "refused")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([KernelXQDA()], "KernelXQDA is not a quadratic form"),
        ([FunctionTransformer(np.abs)], "skl2onnx cannot convert one of the steps FunctionTransformer"),
        ([make_union(PCA(2), FunctionTransformer(np.abs))], "steps FeatureUnion, PCA, FunctionTransformer"),
        ([make_union(PCA(2), KMeans(2, n_init=1, random_state=0))], "one of the steps FeatureUnion, PCA, KMeans"),
        ([make_union(PCA(2), XQDA(reg=0.1))], "skl2onnx cannot convert one of the steps FeatureUnion, PCA, XQDA"),
        ([KMeans(2, n_init=1, random_state=0)], "one of the steps KMeans as a transformer"),
        ([CenteredNormalizer(block_sizes=[8, 0])], "CenteredNormalizer with block_sizes"),
    ],
    ids=str,
)
def test_steps_that_cannot_be_converted_are_named(steps, message, settings, people, tmp_path):
    reid = MultiDepthReID(**settings | {"layers": "high", "max_epochs": 0}).fit(people.images, people.target)
    for step in steps:
        if isinstance(step, CenteredNormalizer):
            step.set_params(block_sizes=[reid.n_features_out_ - 1, 1])
    with pytest.raises(TypeError, match=message):
        to_onnx(system_of(reid, steps, people), tmp_path / "system.onnx")
    assert not list(tmp_path.iterdir())


def test_whitening_that_was_not_learned_is_refused_as_transform_refuses_it(settings, people, tmp_path):
    reid = MultiDepthReID(**settings | {"normalize": "rooted"}).fit(people.images, people.target)
    with pytest.raises(ValueError, match="normalize='whitened' was not set when this estimator was fitted"):
        to_onnx(reid.set_params(normalize="whitened"), tmp_path / "file.onnx")


def test_other_systems_are_refused(people, tmp_path):
    with pytest.raises(TypeError, match=r"takes a fitted MultiDepthReID.*Got GOG"):
        to_onnx(GOG().fit(people.images), tmp_path / "gog.onnx")


def test_a_search_is_exported_as_what_it_found(settings, people, tmp_path):
    search = GridSearchCV(MultiDepthReID(**settings | {"max_epochs": 0}), {}, scoring=cmc_score, cv=IdentityKFold(2))
    path = to_onnx(search.fit(people.images, people.target), tmp_path / "search.onnx").path
    assert close(run(path, people.images), search.best_estimator_.transform(people.images))


def test_a_file_that_an_interrupted_export_left_does_not_matter(fitted, tmp_path):
    """Nor does a link: the file that it points to is replaced."""
    (tmp_path / "reid.onnx.part").write_bytes(b"left")
    if sys.platform != "win32":
        (tmp_path / "reid.onnx").symlink_to(tmp_path / "version2.onnx")
    path = to_onnx(fitted, tmp_path / "reid.onnx").path
    assert path.is_symlink() == (sys.platform != "win32")
    assert onnx.load(path).producer_name == "skreid"
    assert (tmp_path / "reid.onnx.part").read_bytes() == b"left"


def test_file_may_be_checked_with_images_of_ones_own(fitted, people, tmp_path):
    """Images of any size; floats are refused, since the file takes uint8."""
    large = list(make_pedestrians(n_identities=2, image_size=(50, 20), random_state=1).images)
    assert to_onnx(fitted, tmp_path / "reid.onnx", X=large).relative_error < 1e-4
    with pytest.raises(ValueError, match="X must be uint8 images"):
        to_onnx(fitted, tmp_path / "reid.onnx", X=people.images / 255.0)


def test_residual_network_is_exported(people, tmp_path):
    """A network by name, with batch norm and skipped connections."""
    reid = MultiDepthReID(backbone="resnet18", input_size=(64, 32), max_epochs=0, blur_size=(8, None), random_state=0)
    reid.fit(people.images, people.target)
    assert to_onnx(reid, tmp_path / "reid.onnx", tolerance=1e-3).relative_error < 1e-3


def test_missing_libraries_are_named(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("skreid.export._onnx.find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(ImportError, match=r"to_onnx requires onnxruntime. Install with 'pip install skreid\[onnx\]'"):
        to_onnx(fitted, tmp_path / "reid.onnx")
