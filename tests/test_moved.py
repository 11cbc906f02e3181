"""Files written before a module moved still load: pickles and skops archives that name the old module."""

import pickle
import subprocess
import sys
import zipfile
from importlib import import_module, reload
from pathlib import Path

import numpy as np
import pytest

import skreid
from skreid import persistence
from skreid._base.moved import MOVED, old_names
from skreid.descriptors import LOMO
from skreid.metric_learning import XQDA
from skreid.rivals import FCDF

OLD_CLASSES = [
    ("skreid.descriptors.gog", "GOG"),
    ("skreid.descriptors.lomo", "LOMO"),
    ("skreid.descriptors.mlgd", "MLGD"),
    ("skreid.descriptors.normalizer", "CenteredNormalizer"),
    ("skreid.fcdf", "ClusterFirst"),
    ("skreid.fcdf", "FCDF"),
    ("skreid.metric_learning.cvdca", "CVDCA"),
    ("skreid.metric_learning.kernel_cvdca", "KCVDCA"),
    ("skreid.metric_learning.kernel_xqda", "KernelXQDA"),
    ("skreid.metric_learning.xqda", "XQDA"),
    ("skreid.protocols._repeated", "ShotProtocol"),
    ("skreid.protocols._repeated", "TwoViewProtocol"),
    ("skreid.scoring", "CMCScorer"),
    ("skreid.tcp", "TCPNet"),
]


def old_pickle(instance, module):
    """Return a pickle of an instance as it was written while its class was in an old module."""
    new = pickle.dumps(instance, protocol=0)  # the protocol that spells names out, a line each
    old = new.replace(f"c{type(instance).__module__}\n".encode(), f"c{module}\n".encode())
    assert old != new
    return old


def old_archive(path, modules):
    """Rewrite a skops archive to name old modules, given as new -> old."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for new, old in modules.items():
        schema = entries["schema.json"].replace(f'"{new}"'.encode(), f'"{old}"'.encode())
        assert schema != entries["schema.json"]
        entries["schema.json"] = schema
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(("module", "name"), OLD_CLASSES)
def test_pickles_that_name_an_old_module_load(module, name):
    cls = getattr(import_module(MOVED[module]), name)
    loaded = pickle.loads(old_pickle(cls(), module))
    assert type(loaded) is cls
    assert repr(loaded) == repr(cls())


def test_an_old_pickled_image_error_loads():
    loaded = pickle.loads(old_pickle(skreid.exceptions.ImageError(2, "image 2 is empty"), "skreid._pictures"))
    assert type(loaded) is skreid.exceptions.ImageError
    assert (loaded.index, str(loaded)) == (2, "image 2 is empty")


def test_an_old_pickle_loads_where_skreid_was_not_imported():
    code = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)).__name__)"
    content = old_pickle(XQDA(), "skreid.metric_learning.xqda")
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert done.stdout.strip() == b"XQDA"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("skreid.datasets._pedestrians", "make_pedestrians"),
        ("skreid.describing", "describe"),
        ("skreid.distances", "distance_blocks"),
        ("skreid.distances", "DistanceBlocks"),
        ("skreid.images", "ImageError"),
        ("skreid.ranking", "rank_gallery"),
    ],
)
def test_pickled_functions_and_classes_of_old_modules_load(module, name):
    """Pickle keeps them by name only."""
    loaded = pickle.loads(f"c{module}\n{name}\n.".encode())
    assert loaded is getattr(import_module(MOVED[module]), name)


def test_an_old_pickled_distance_blocks_loads():
    blocks = skreid.metrics.distance_blocks([[0.0], [3.0]], [[4.0]])
    loaded = pickle.loads(old_pickle(blocks, "skreid.distances"))
    np.testing.assert_array_equal(loaded(0, 2), [[4.0], [1.0]])


def test_a_stand_in_is_no_second_copy_of_the_new_module():
    """It has no path to import submodules from, and reloading skreid adds no second finder."""
    with pytest.raises(ModuleNotFoundError):
        import_module("skreid.fcdf._fcdf")
    n_finders = len(sys.meta_path)
    reload(skreid)
    assert len(sys.meta_path) == n_finders


def test_every_moved_module_is_tested():
    functions = {"skreid.datasets._pedestrians", "skreid.describing", "skreid.distances", "skreid.ranking"}
    errors = {"skreid._pictures", "skreid.images"}
    assert {module for module, _ in OLD_CLASSES} | errors | functions == set(MOVED)


def test_no_module_has_an_old_name():
    """An old name would be hidden by a real module, and its classes would not be found."""
    root = Path(skreid.__file__).parents[1]
    for name in MOVED:
        place = root.joinpath(*name.split("."))
        assert not place.exists()
        assert not place.with_suffix(".py").exists()


def test_other_modules_and_classes_are_not_found():
    """The errors are Python's own."""
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'skreid\.nothing'"):
        pickle.loads(b"cskreid.nothing\nXQDA\n.")
    with pytest.raises(AttributeError, match="Nothing"):
        pickle.loads(b"cskreid.tcp\nNothing\n.")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from skreid.tcp import Nothing")


def test_nothing_is_imported_for_old_names_before_they_are_used():
    code = "import skreid.metric_learning, sys; print('skreid.tcp' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_old_names_of_a_class():
    assert old_names("skreid.descriptors._gog.GOG") == ["skreid.descriptors.gog.GOG"]
    assert "skreid.fcdf.ClusterFirst" in old_names("skreid.rivals._cluster_first.ClusterFirst")
    assert old_names("skreid.multidepth.MultiDepthReID") == []


def test_skops_files_that_name_old_modules_load(people, tmp_path):
    """A learned metric, and an estimator that holds estimators: trusted, and the same results."""
    pytest.importorskip("skops")
    X = people.images.reshape(len(people.images), -1)[:, :20] / 255.0
    xqda = XQDA().fit(X, people.target)
    path = persistence.dump(xqda, tmp_path / "xqda.skops")
    old_archive(path, {"skreid.metric_learning._xqda": "skreid.metric_learning.xqda"})
    np.testing.assert_array_equal(persistence.load(path).transform(X), xqda.transform(X))

    deep = skreid.MultiDepthReID(backbone="squeezenet1_1", input_size=(48, 32), max_epochs=0, random_state=0)
    fcdf = FCDF(handcrafted=LOMO(n_scales=1, window_size=6, step=3, n_bins=3), deep=deep, random_state=0)
    fcdf.fit(people.images, people.target)
    path = persistence.dump(fcdf, tmp_path / "fcdf.skops")
    modules = {
        "skreid.rivals._fcdf": "skreid.fcdf",
        "skreid.descriptors._lomo": "skreid.descriptors.lomo",
        "skreid.descriptors._normalizer": "skreid.descriptors.normalizer",
    }
    loaded = persistence.load(old_archive(path, modules))
    np.testing.assert_array_equal(loaded.transform(people.images[:4]), fcdf.transform(people.images[:4]))


def test_old_names_do_not_widen_trust(tmp_path):
    """A class that is not trusted is refused under a module's old name too."""
    pytest.importorskip("skops")
    path = persistence.dump(XQDA(), tmp_path / "x.skops")
    old_archive(path, {"skreid.metric_learning._xqda": "skreid.scoring"})
    with pytest.raises(ValueError, match=r"types that are not trusted.*skreid\.scoring\.XQDA"):
        persistence.load(path)
