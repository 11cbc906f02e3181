"""load_cuhk01: CUHK01, the data set of the paper: 971 people seen by two cameras.

File names are ``NNNNKKK.png``: person, then shot. Shots 001 and 002 are of view A, 003 and 004 of view B.
"""

from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="CUHK01",
    owner="the Multimedia Laboratory of The Chinese University of Hong Kong, on its page 'CUHK Person "
    "Re-identification Datasets' (W. Li, R. Zhao, X. Wang, ACCV 2012)",
    layout="NNNNKKK.png (person 0001-0971, shot 001-004), in 'root' or in 'root/campus'",
    protocol="487 people for training and 484 as probe and gallery, or 486/485 single-shot, mean of 10 random splits",
    expected={"n_images": 3884, "n_identities": 971, "n_cameras": 2},
)


@fill
def load_cuhk01(root, *, check_duplicates=True, verbose=1):
    """List CUHK01: 971 people, two cameras, two shots per camera, 160 x 60.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s
        shots : ndarray of shape (n,), int64
            Number of the shot, 1 to 4. Cameras are 0 (view A, shots 1 and 2) and 1 (view B, shots 3 and 4).

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_cuhk01
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("campus/0001001.png", "campus/0001003.png", "campus/0002002.png"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_cuhk01(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([1, 1, 2]), array([0, 1, 0]))
    """
    root = locate(root, _SOURCE, [])
    folder = next((f for f in (root / "campus", root / "CUHK01" / "campus") if f.is_dir()), root)
    listing = read_names(
        Listing(root, verbose=verbose), folder, r"(?P<identity>\d{4})(?P<shot>\d{3})\.(png|jpg|bmp)", label=_label
    )
    if listing.paths and len(set(listing.cameras)) < 2:
        raise _SOURCE.missing(f"view {'AB'[1 - listing.cameras[0]]} of any person (this is a partial copy)", folder)
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates)


def _label(groups):
    shot = int(groups["shot"])
    if not 1 <= shot <= 4:
        return None
    return {"identity": groups["identity"], "camera": (shot - 1) // 2, "shots": shot}
