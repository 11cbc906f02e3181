"""load_ilids: the two sets made from i-LIDS: 119 people in still images, or 300 in image sequences.

Both sets are called i-LIDS; the folders show which one it is.
"""

from skreid._base.checks import check_choice
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, existing_folder, locate, read_names
from skreid.datasets._report import bundle

_OWNER = "Queen Mary University of London, School of Electronic Engineering and Computer Science"
_LAYOUT = (
    "Persons/PPPPSSS.jpg (QMUL i-LIDS: person, shot), or images/camC/personPPP/*.png and "
    "sequences/camC/personPPP/*.png (iLIDS-VID)"
)
_IMAGES = Source(
    name="QMUL i-LIDS",
    owner=f"{_OWNER} (W. Zheng, S. Gong, T. Xiang, BMVC 2009)",
    layout=_LAYOUT,
    protocol="59 people for training and 60 as probe and gallery, one random image each, mean of 10 random splits",
    expected={"n_images": 476, "n_identities": 119},
)
_SEQUENCES = Source(
    name="iLIDS-VID",
    owner=f"{_OWNER} (T. Wang et al., ECCV 2014)",
    layout=_LAYOUT,
    protocol="150 people for training and 150 as probe (camera 1) and gallery (camera 2), mean of 10 random splits",
    expected={"n_identities": 300, "n_cameras": 2},
)


@fill
def load_ilids(root, *, part="images", check_duplicates=True, verbose=1):
    """List QMUL i-LIDS (119 people, unknown cameras) or iLIDS-VID (300 people, two cameras).

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    part : {"images", "sequences"}, default="images"
        For iLIDS-VID: one image per person and camera, or the whole sequence, which is a track.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_ilids
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("Persons/0001001.jpg", "Persons/0001002.jpg", "Persons/0119001.jpg"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_ilids(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([  1,   1, 119]), None)
    """
    check_choice(part, "part", "load_ilids", ("images", "sequences"))
    root = existing_folder(root, _IMAGES)
    nests = [root, *(root / name for name in ("i-LIDS-VID", "iLIDS-VID", "i-LIDS_Pedestrian"))]
    nest = next((f for f in nests if (f / part).is_dir()), None)
    if nest is not None:
        locate(nest, _SEQUENCES, [f"{part}/cam1", f"{part}/cam2"])
        listing = Listing(root, verbose=verbose)
        track = "?P<track>" if part == "sequences" else "?:"
        pattern = rf"({track}cam(?P<camera>\d+)/person(?P<identity>\d+))/.*"
        read_names(listing, nest / part, pattern, recursive=True)
        if len(set(listing.cameras)) == 1:
            empty = "cam2" if listing.cameras[0] == "1" else "cam1"
            raise _SEQUENCES.missing(f"any image of {empty!r} (this is a partial copy)", nest / part)
        return bundle(listing, _SEQUENCES, nest, check_duplicates=check_duplicates)
    folder = next((f / "Persons" for f in nests if (f / "Persons").is_dir()), root)
    listing = read_names(Listing(root, verbose=verbose), folder, r"(?P<identity>\d{4})(?P<shots>\d{3})\.(jpg|jpeg|png)")
    return bundle(listing, _IMAGES, folder, check_duplicates=check_duplicates)
