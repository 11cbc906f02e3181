"""The page on deploying: an ONNX file describes, and a gallery answers where torch is not installed."""

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.fixes import parse_version

from skreid import Gallery, rank_gallery
from skreid.export import to_onnx
from skreid.metric_learning import CVDCA, XQDA, KernelXQDA

pytestmark = pytest.mark.skipif(
    parse_version(version("torch")) < parse_version("2.9"), reason="to_onnx needs torch 2.9"
)

ANSWER = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTorch())
import numpy as np, onnxruntime
from skreid import Gallery
session = onnxruntime.InferenceSession("reid.onnx")
given = np.load("given.npz")
descriptors = session.run(["descriptors"], {"frames": given["frames"]})[0]
gallery = Gallery.open("gallery")
of_cams = {"cams_probe": given["cams"]} if gallery.metric == "CVDCA" else {}
distances, indices = gallery.kneighbors(descriptors, n_neighbors=8, **of_cams)
threshold = gallery.threshold(descriptors[:4], far=0.25, **of_cams | {k: v[:4] for k, v in of_cams.items()})
named = gallery.identify(descriptors, threshold=threshold, **of_cams).best != None
np.savez("answer.npz", distances=distances, indices=indices, named=named, threshold=threshold)
"""


@pytest.fixture(scope="module")
def exported(fitted, people, tmp_path_factory):
    """Return network and PCA, fitted, and the bytes of their file."""
    describing = make_pipeline(fitted, PCA(9, random_state=0).fit(fitted.transform(people.images)))
    return describing, to_onnx(describing, tmp_path_factory.mktemp("file") / "reid.onnx").path.read_bytes()


@pytest.mark.parametrize("metric", [None, XQDA(reg=0.1), KernelXQDA(), CVDCA()], ids=str)
def test_a_gallery_answers_without_torch_as_the_whole_system_does(metric, exported, people, tmp_path):
    """The file holds the steps before the learned metric, and the gallery that metric."""
    pytest.importorskip("skops", reason="saves the metric")
    images, ids, cams = people.images, people.target[8:], people.cams
    system, content = exported
    (tmp_path / "reid.onnx").write_bytes(content)
    described = onnxruntime.InferenceSession(content).run(["descriptors"], {"frames": images[8:]})[0]
    if metric is None:
        gallery = Gallery(described, ids=ids, cams=cams[8:])
    else:
        metric.fit(system.transform(images), people.target, cams)
        system = Pipeline([*system.steps, ("metric", metric)])
        gallery = Gallery.from_estimator(system[-1], described, ids=ids, cams=cams[8:])
    gallery.save(tmp_path / "gallery")
    np.savez(tmp_path / "given.npz", frames=images[:8], cams=cams[:8])
    subprocess.run([sys.executable, "-c", ANSWER], check=True, cwd=tmp_path)
    answer = np.load(tmp_path / "answer.npz")
    given = {"cams_probe": cams[:8], "cams_gallery": cams[8:]} if isinstance(metric, CVDCA) else {}
    distances, indices = rank_gallery(system, images[:8], images[8:], n_neighbors=len(ids), **given)
    close = {"rtol": 1e-3, "atol": 1e-3 * np.abs(distances).max()}
    np.testing.assert_allclose(answer["distances"], distances[:, :8], **close)
    of_image = np.take_along_axis(distances, indices.argsort(axis=1), axis=1)
    np.testing.assert_allclose(np.take_along_axis(of_image, answer["indices"], axis=1), answer["distances"], **close)
    np.testing.assert_array_equal(answer["named"], answer["distances"][:, 0] <= answer["threshold"])
    assert answer["named"][:4].sum() <= 1
