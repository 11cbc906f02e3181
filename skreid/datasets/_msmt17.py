"""load_msmt17: MSMT17, 4101 people seen by 15 cameras, from the lists that come with it.

Training and test half both number their people from 0; the loader gives them different identities.
"""

import re
from collections import defaultdict

from skreid._base.text import count
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_text
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="MSMT17",
    owner="its authors (L. Wei et al., CVPR 2018) at Peking University, on the page of the group PKU-VMC",
    layout="list_train.txt, list_val.txt, list_query.txt, list_gallery.txt beside the folders train and test "
    "(V1) or mask_train_v2 and mask_test_v2 (V2)",
    protocol="all queries against the gallery, without images of the query's person in its own camera; rank-1 and mAP",
    expected={"n_images": 32621 + 11659 + 82161, "n_identities": 4101, "n_cameras": 15},
)
_LISTS = {"train": 0, "val": 0, "query": 1, "gallery": 1}  # 1: the test half
_HALVES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
_TEST_OFFSET = 10000
_NAME = re.compile(r"(?P<person>\d+)_\d+_(?P<camera>\d+)_.*", re.ASCII)


@fill
def load_msmt17(root, *, check_duplicates=True, verbose=1):
    r"""List MSMT17 (V1 or V2): 4101 people, 15 cameras, with fixed training, validation, query and gallery images.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s
        subset : ndarray of shape (n,), str
            "train", "val" (more images of the training people), "query" or "gallery".

        Both halves of the set number their people from 0. 10000 is added to the identities of the test half,
        so that no two people share an identity. A label in a list that joins or splits the people in the file names is
        reported.

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_msmt17
    >>> lists = {"train": "train", "val": "train", "query": "test", "gallery": "test"}
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for camera, (subset, half) in enumerate(lists.items(), 1):
    ...         name = f"0000/0000_000_{camera:02d}_0303noon_0015_0.jpg"
    ...         (Path(root) / half / "0000").mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(Path(root) / half / name)
    ...         _ = (Path(root) / f"list_{subset}.txt").write_text(f"{name} 0\n")
    ...     data = load_msmt17(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([    0,     0, 10000, 10000]), array([1, 2, 3, 4]))
    """
    needed = [f"list_{name}.txt" for name in _LISTS]
    folder = locate(root, _SOURCE, needed, ("MSMT17_V1", "MSMT17_V2", "MSMT17", "msmt17"))
    halves = next((h for h in _HALVES if all((folder / name).is_dir() for name in h)), None)
    if halves is None:
        raise _SOURCE.missing("the folders 'train' and 'test' (or 'mask_train_v2' and 'mask_test_v2')", folder)
    listing, absent = Listing(root, verbose=verbose), []
    there = {half: {inner: name for name, inner in listing.tree.below(folder / half)} for half in halves}
    listed, said = {half: set() for half in halves}, ([], [])
    for subset, half in _LISTS.items():
        for name, identity in _read_list(folder / f"list_{subset}.txt"):
            match = _NAME.fullmatch(name.rsplit("/", 1)[-1])
            if name not in there[halves[half]]:
                absent.append(f"{halves[half]}/{name}")
            elif match is None:
                listing.unmatched.append(there[halves[half]][name])
            else:
                image = there[halves[half]][name]
                listing.add(image, identity, match["camera"], subset, offset=_TEST_OFFSET * half)
                said[half].append((image, int(match["person"]), int(identity)))
            listed[halves[half]].add(name)
    if absent:
        raise _SOURCE.missing(
            f"{count(len(absent), 'listed image')} or found it empty, the first {absent[0]!r} (this is a partial copy)",
            folder,
        )
    listing.unlike_names = sorted(image for images in said for image in _unlike(images))
    for half in halves:  # on disk, but in no list
        listing.unmatched += [name for inner, name in there[half].items() if inner not in listed[half]]
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates)


def _unlike(images):
    """Return the images whose list joins or splits people: (image, person in its name, label in the list) of each."""
    persons, labels = defaultdict(set), defaultdict(set)
    for _, person, label in images:
        persons[label].add(person)
        labels[person].add(label)
    return {
        image for image, person, label in images if person != label and len(persons[label]) + len(labels[person]) > 2
    }


def _read_list(path):
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            name, _, identity = line.strip().rpartition(" ")
            if not name or not re.fullmatch(r"[0-9]{1,9}", identity):
                raise ValueError(f"Line {number} of {str(path)!r} is not 'path identity': {line!r}.")
            yield name.strip(), identity
