"""load_prid2011: PRID 2011, 385 and 749 people seen by two cameras, the first 200 of them by both.

Above 200, the same number in the two cameras means different people; the loader gives them different identities.
"""

from dataclasses import replace

from skreid._base.checks import check_choice
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, locate, read_names
from skreid.datasets._report import bundle

_SOURCE = Source(
    name="PRID 2011",
    owner="the Institute of Computer Graphics and Vision, Graz University of Technology (M. Hirzer et al., SCIA 2011)",
    layout="single_shot/cam_a/person_NNNN.png and multi_shot/cam_a/person_NNNN/NNNN.png, and the same with cam_b",
    protocol="100 of the 200 shared people for training; the other 100 of cam_a as probes against the "
    "other 649 of cam_b",
)
_EXPECTED = {"single": {"n_images": 385 + 749, "n_identities": 200 + 185 + 549, "n_cameras": 2}, "multi": {}}
_SHARED, _APART = 200, 10000


@fill
def load_prid2011(root, *, shots="single", check_duplicates=True, verbose=1):
    """List PRID 2011: two cameras that share 200 people.

    Parameters
    ----------
    root : str or Path
        Folder of the unpacked set.
    shots : {"single", "multi"}, default="single"
        One image per person and camera, or the whole sequence, which is a track.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s

        Cameras are 0 (cam_a) and 1 (cam_b). People 1 to 200 are seen by both. A number above 200 means another
        person in each camera: 10000 is added to those of cam_b, so that no two people have the same identity.

    Raises
    ------
    %(raises)s

    Examples
    --------
    A tiny set with the same layout:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_prid2011
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("single_shot/cam_a/person_0001.png", "single_shot/cam_b/person_0001.png"):
    ...         path = Path(root) / name
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (4, 8)).save(path)
    ...     data = load_prid2011(root, check_duplicates=False)
    >>> data.target, data.cams
    (array([1, 1]), array([0, 1]))
    """
    check_choice(shots, "shots", "load_prid2011", ("single", "multi"))
    part = f"{shots}_shot"
    folder = locate(root, _SOURCE, [f"{part}/cam_a", f"{part}/cam_b"], ("prid_2011", "prid2011", "PRID2011"))
    listing = Listing(root, verbose=verbose)
    for camera, name in enumerate(("cam_a", "cam_b")):
        person = r"person_(?P<identity>\d+)"
        pattern = rf"{person}\.png" if shots == "single" else rf"(?P<track>{person})/(?P<frames>\d+)\.png"
        inner = folder / part / name
        read_names(
            listing,
            inner,
            pattern,
            recursive=True,
            label=lambda groups, camera=camera, name=name: _label(groups, camera, name),
        )
        if camera not in listing.cameras:
            raise _SOURCE.missing("any image of a person_NNNN", inner)
    return bundle(listing, replace(_SOURCE, expected=_EXPECTED[shots]), folder, check_duplicates=check_duplicates)


def _label(groups, camera, name):
    apart = camera == 1 and int(groups["identity"]) > _SHARED
    if "track" in groups:
        groups["track"] = f"{name}/{groups['track']}"
    return {**groups, "camera": camera, "offset": _APART * apart}
