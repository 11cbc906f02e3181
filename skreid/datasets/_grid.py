"""load_grid: QMUL underGround Re-IDentification (GRID), 250 pairs of images and 775 distractors.

File names start with ``PPPP_C_``: person, camera. Person 0000 is a distractor in the gallery.
"""

from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="GRID",
    owner="Chen Change Loy, on the page 'QMUL underGround Re-IDentification (GRID) Dataset'",
    layout="folders probe and gallery of PPPP_C_*.jpeg (person, camera)",
    protocol="125 people for training, the other 125 as probes against their images and the 775 distractors, "
    "mean of the 10 splits that come with the set",
    expected={"n_images": 1275, "n_identities": 250, "n_cameras": 8, "n_junk": 775},
)


@fill
def load_grid(root, *, check_duplicates=True, verbose=1):
    """List GRID: 250 people in probe and gallery, and 775 distractors (people without a match) in the gallery.

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
            "query" (the folder probe) or "gallery". Distractors have target 0 and are kept.

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_grid
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("probe/0001_1_25004.jpeg", "gallery/0001_2_25023.jpeg", "gallery/0000_7_25101.jpeg"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_grid(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([1, 0, 1]), array([1, 7, 2]))
    """
    folder = locate(root, _SOURCE, ["probe", "gallery"], ("underground_reid", "GRID", "grid"))
    listing = Listing(root, verbose=verbose)
    for subset, name in (("query", "probe"), ("gallery", "gallery")):
        before = len(listing.paths)
        pattern = r"(?P<identity>\d+)_(?P<camera>\d+)_.*\.(jpeg|jpg|png)"
        read_names(listing, folder / name, pattern, subset=subset)
        if len(listing.paths) == before:
            raise _SOURCE.missing("any image PPPP_C_*.jpeg", folder / name)
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates, junk=(0,))
