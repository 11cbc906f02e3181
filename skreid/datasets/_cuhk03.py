"""load_cuhk03: CUHK03 as the MATLAB file, as folders extracted from it, or in the folders of the new protocol.

The MATLAB file (v7.3, HDF5) is extracted once, to PNG files in a folder of the caller's choice.
"""

import re
from dataclasses import replace
from pathlib import Path

from skreid._base.checks import check_choice
from skreid.datasets._cuhk03_mat import extract
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, existing_folder, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="CUHK03",
    owner="the Multimedia Laboratory of The Chinese University of Hong Kong, on its page 'CUHK Person "
    "Re-identification Datasets' (W. Li et al., CVPR 2014); the new protocol's lists by Z. Zhong et al. "
    "(CVPR 2017)",
    layout="cuhk-03.mat (also in cuhk03_release/), or images_labeled/ and images_detected/ of C_PPP_V_II.png "
    "(camera pair, person, view, image), or PPPP_VV.jpg (person, view; views 00-04 camera 1, 05-09 camera 2), or "
    "labeled/ and detected/ with bounding_box_train, query and bounding_box_test of PPPP_cC_I.png",
    protocol="767 people for training, the other 700 as query and gallery (CUHK03-NP); or 1367/100, mean of 20 splits",
)
_N_IMAGES = {"labeled": 14096, "detected": 14097}
_NP_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_NP_NAME = r"(?P<identity>\d+)_c(?P<camera>\d)_(?P<shots>\d+)\.(png|jpg)"
_PAIR_NAME = r"(?P<pairs>\d)_(?P<person>\d+)_(?P<camera>[12])_(?P<shots>\d+)\.(png|jpg)"
_FLAT_NAME = r"(?P<identity>\d{4})_(?P<views>0\d)\.(jpg|jpeg|png)"
_NESTS = ("", "cuhk03_release", "CUHK03", "cuhk03", "cuhk03-np", "CUHK03-NP", "images")


@fill
def load_cuhk03(root, *, boxes="labeled", extract_to=None, check_duplicates=True, verbose=1):
    """List CUHK03: 1467 people, each seen by one of five pairs of cameras, about ten images per person.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set, in any of its forms.
    boxes : {"labeled", "detected"}, default="labeled"
        Boxes drawn by hand, or those of a detector. Ignored if ``root`` itself contains images.
    extract_to : str, Path or None, default=None
        For the MATLAB file: folder to write its images to, as PNG. This needs the package h5py, takes minutes
        and half a gigabyte, and is done once: later calls reuse the files. With ``None``, ``root`` must contain
        folders of images.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s
        subset : ndarray of shape (n,), str
            "train", "query" or "gallery"; only for the folders of the new protocol.
        test_identities : list of ndarray
            The 20 published test sets of people; only with the MATLAB file.

        Cameras are 1 and 2 within a person's pair of cameras. If names have a camera pair, the identity is the
        str ``"C_PPP"``, since each pair numbers its people from 1.

    Raises
    ------
    %(raises)s
    ImportError
        If the MATLAB file must be read and h5py is not installed.
    ValueError
        If the MATLAB file is not of version 7.3, or is not that of the set.

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_cuhk03
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("images_labeled/1_001_1_01.png", "images_labeled/1_001_2_06.png"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_cuhk03(root, check_duplicates=False)
    >>> data.target, data.cams
    (array(['1_001', '1_001'], dtype='<U5'), array([1, 2]))
    """
    check_choice(boxes, "boxes", "load_cuhk03", tuple(_N_IMAGES))
    root = existing_folder(root, _SOURCE)
    expected = {"n_images": _N_IMAGES[boxes], "n_identities": 1467, "n_cameras": 2}
    source = replace(_SOURCE, name=f"CUHK03 ({boxes})", expected=expected)
    mat = next((root / nest / "cuhk-03.mat" for nest in _NESTS if (root / nest / "cuhk-03.mat").is_file()), None)
    if extract_to is not None:
        if mat is None:
            raise source.missing("the file 'cuhk-03.mat' to extract", root)
        folder = Path(extract_to).expanduser() / f"images_{boxes}"
        tests = extract(mat, boxes, folder)
        listing = read_names(Listing(folder, verbose=verbose), folder, _PAIR_NAME, label=_pair_label)
        return bundle(listing, source, folder, check_duplicates=check_duplicates, test_identities=tests)
    listing = Listing(root, verbose=verbose)
    images = _image_folder(listing.tree, boxes)
    if images is None:
        if mat is None:
            raise source.missing("cuhk-03.mat or any folder of its images", root)
        raise ValueError(
            f"The images of CUHK03 are in {str(mat)!r}, and there is no folder of images beside it. Pass "
            "extract_to='FOLDER' to write them there as PNG files, once (needs h5py)."
        )
    kind, folder = images
    if kind == "np":
        for subset, name in _NP_FOLDERS.items():
            if not (folder / name).is_dir():
                raise source.missing(f"the folder {name!r} (the others are there: this is a partial copy)", folder)
            read_names(listing, folder / name, _NP_NAME, subset=subset)
    elif kind == "pair":
        read_names(listing, folder, _PAIR_NAME, label=_pair_label)
    else:
        read_names(listing, folder, _FLAT_NAME, label=_flat_label)
        expected.pop("n_images")  # such folders may be of either kind of boxes
    return bundle(listing, source, folder, check_duplicates=check_duplicates)


def _image_folder(tree, boxes):
    """Return the kind and path of the first folder of images in a tree, or None."""
    for nest in _NESTS:
        for name in ("", f"images_{boxes}", boxes, f"{boxes}_images", "full"):
            folder = tree.root / nest / name
            if any((folder / inner).is_dir() for inner in ("bounding_box_train", "bounding_box_test")):
                return "np", folder
            names = [inner for _, inner in tree.below(folder, recursive=False)]
            for kind, pattern in (("pair", _PAIR_NAME), ("flat", _FLAT_NAME)):
                if any(re.fullmatch(pattern, n, re.ASCII) for n in names):
                    return kind, folder
    return None


def _pair_label(groups):
    groups["identity"] = f"{groups['pairs']}_{groups.pop('person')}"
    return groups


def _flat_label(groups):
    groups["camera"] = 1 + int(groups["views"]) // 5
    return groups
