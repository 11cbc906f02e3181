"""load_pku_reid: PKU-Reid, 114 people seen by two cameras, from eight directions in each.

Names are ``PPP_CC_VV.png`` in one folder, or ``PPP/CC_V.png`` with a folder per person: person, camera, direction.
"""

from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="PKU-Reid",
    owner="its authors (L. Ma et al., 2016) at Peking University, as the repository PKU-Reid-Dataset of Liqian Ma",
    layout="PPP_CC_VV.png (person, camera, direction) in 'root' or 'root/PKUv1a_128x48', or PPP/CC_V.png",
    protocol="half of the people for training, the other half as probe and gallery, mean of 10 random splits",
    expected={"n_images": 1824, "n_identities": 114, "n_cameras": 2},
)


@fill
def load_pku_reid(root, *, check_duplicates=True, verbose=1):
    """List PKU-Reid: 114 people, two cameras, eight directions of view in each, 128 x 48.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s
        views : ndarray of shape (n,), int64
            Number of the direction from which the person is seen.

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_pku_reid
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("PKUv1a_128x48/001_01_01.png", "PKUv1a_128x48/001_02_01.png", "PKUv1a_128x48/002_01_08.png"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_pku_reid(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([1, 1, 2]), array([1, 2, 1]))
    """
    root = locate(root, _SOURCE, [])
    folder = root / "PKUv1a_128x48" if (root / "PKUv1a_128x48").is_dir() else root
    pattern = r"(?P<identity>\d+)[_/](?P<camera>\d+)_(?P<views>\d+)\.(png|jpg|bmp)"
    listing = read_names(Listing(root, verbose=verbose), folder, pattern, recursive=True)
    if listing.paths and len(set(listing.cameras)) < 2:
        raise _SOURCE.missing(
            f"any image of a camera other than {listing.cameras[0]!r} (this is a partial copy)", folder
        )
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates)
