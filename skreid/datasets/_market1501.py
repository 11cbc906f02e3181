"""load_market1501: Market-1501, and sets with the same layout.

File names are ``PPPP_cCsS_FFFFFF_BB.jpg``. Person -1 is junk that an evaluation ignores, 0000 is a distractor.
"""

from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="Market-1501",
    owner="its authors (L. Zheng et al., ICCV 2015), on the project page of Liang Zheng",
    layout="folders bounding_box_train, query and bounding_box_test of PPPP_cCsS_FFFFFF_BB.jpg",
    protocol="all queries against the gallery, without junk and without images of the query's person in its own "
    "camera; rank-1 and mAP",
    expected={"n_images": 12936 + 3368 + 19732, "n_identities": 1501, "n_cameras": 6},
)
_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_NAME = r"(?P<identity>-1|\d+)_c(?P<camera>\d+)(s\d+)?_.*\.(jpg|jpeg|png)"


@fill
def load_market1501(root, *, check_duplicates=True, verbose=1):
    """List Market-1501: 1501 people, six cameras, with fixed training, query and gallery images.

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
            "train", "query" or "gallery".

        Junk (target -1) and distractors (target 0) of the gallery are kept. An evaluation ignores junk, and
        ranks distractors, which match no query.

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_market1501
    >>> with tempfile.TemporaryDirectory() as root:
    ...     starts = ("bounding_box_train/0002_c1", "query/0001_c1", "bounding_box_test/0001_c6")
    ...     for name in [f"{start}s1_000151_01.jpg" for start in starts]:
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_market1501(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([2, 1, 1]), array([1, 1, 6]))
    """
    folder = locate(root, _SOURCE, list(_FOLDERS.values()), ("Market-1501-v15.09.15", "Market-1501", "market1501"))
    listing = Listing(root, verbose=verbose)
    for subset, name in _FOLDERS.items():
        before = len(listing.paths)
        read_names(listing, folder / name, _NAME, subset=subset)
        if len(listing.paths) == before:
            raise _SOURCE.missing("any image PPPP_cC...", folder / name)
    return bundle(listing, _SOURCE, folder, check_duplicates=check_duplicates, junk=(-1, 0))
