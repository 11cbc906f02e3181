"""load_viper: VIPeR, 632 people, one image in each of two cameras.

File names are ``PPP_AAA.bmp``: person, then the angle in degrees from which the person is seen.
"""

from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="VIPeR",
    owner="the Computer Vision Lab of the University of California, Santa Cruz (D. Gray and H. Tao)",
    layout="folders cam_a and cam_b of PPP_AAA.bmp (person, angle)",
    protocol="316 people for training and 316 as probe and gallery, mean of 10 random splits",
    expected={"n_images": 1264, "n_identities": 632, "n_cameras": 2},
)


@fill
def load_viper(root, *, check_duplicates=True, verbose=1):
    """List VIPeR: 632 people, one image in each of two cameras, 128 x 48.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s
        angles : ndarray of shape (n,), int64
            Angle in degrees from which the person is seen. Cameras are 0 (cam_a) and 1 (cam_b).

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_viper
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("cam_a/000_45.bmp", "cam_a/001_0.bmp", "cam_b/000_90.bmp"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_viper(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([0, 1, 0]), array([0, 0, 1]))
    """
    folder = locate(root, _SOURCE, ["cam_a", "cam_b"], ("VIPeR", "VIPeR.v1.0", "viper"))
    listing = Listing(root, verbose=verbose)
    for camera, name in enumerate(("cam_a", "cam_b")):
        read_names(
            listing,
            folder / name,
            r"(?P<identity>\d+)_(?P<angles>\d+)\.(bmp|png|jpg)",
            label=lambda groups, camera=camera: {**groups, "camera": camera},
        )
        if camera not in listing.cameras:
            raise _SOURCE.missing("any image PPP_AAA.bmp", folder / name)
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates)
