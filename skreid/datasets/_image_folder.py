"""load_image_folder: any folder of images, with identity and camera from the path of each file.

Use it for sets without a loader of their own, and for your own images.
"""

import re

from skreid.datasets._docs import fill
from skreid.datasets._layout import IMAGE_EXTENSIONS, Listing, Source, existing_folder, scan
from skreid.datasets._report import bundle

_TAKEN = {"path", "paths", "target", "cams", "report", "protocol", "DESCR"}


@fill
def load_image_folder(root, *, pattern=None, camera=None, extensions=IMAGE_EXTENSIONS, check_duplicates=True):
    r"""List a folder of images, with identity and camera from a regular expression or the folder names.

    Parameters
    ----------
    root : str or Path
        The folder; images may be in it or in its subfolders.
    pattern : str, re.Pattern or None, default=None
        Regular expression to search (`re.search`) in the path of each image relative to ``root``, with forward
        slashes. It needs the named group ``identity`` and may have ``camera`` and ``subset``; other named
        groups become further keys of the result. With ``None``, the identity is the name of the folder that
        contains the image, and the camera is unknown.
    camera : callable or None, default=None
        Function from the text of the group ``camera`` to the camera, for names with the number of a view
        where several views belong to one camera.
    extensions : tuple of str, default=common image formats
        Extensions of image files, in upper or lower case.
    %(check_duplicates)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or contains no image that matches.
    ValueError
        If the pattern has no group ``identity``, or that group is empty for an image.

    Warns
    -----
    UserWarning
        If images do not match the pattern; the message has their number and names the first one.

    Examples
    --------
    Names such as ``0007_03.png``, views 00-04 of one camera and 05-09 of another:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("0001_00.png", "0001_07.png", "0002_01.png"):
    ...         Image.new("RGB", (4, 8)).save(Path(root) / name)
    ...     data = load_image_folder(
    ...         root, pattern=r"(?P<identity>\d{4})_(?P<camera>\d\d)", camera=lambda view: int(view) // 5
    ...     )
    >>> data.target, data.cams
    (array([1, 1, 2]), array([0, 1, 0]))
    """
    if pattern is not None:
        try:
            pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"The 'pattern' parameter of load_image_folder is not a regular expression: {error}. Got {pattern!r}."
            ) from error
        if "identity" not in pattern.groupindex:
            raise ValueError(
                "The 'pattern' parameter of load_image_folder must have a named group 'identity', written "
                f"(?P<identity>...), and may have a group 'camera'. Got {pattern.pattern!r} instead."
            )
        taken = sorted(_TAKEN & set(pattern.groupindex))
        if taken:
            raise ValueError(f"The groups {taken} of the pattern have names of keys of the result: choose others.")
    if camera is not None and (pattern is None or "camera" not in pattern.groupindex):
        raise ValueError("The 'camera' parameter of load_image_folder needs a group 'camera' in 'pattern'.")
    folder = existing_folder(root)
    listing = Listing()
    for name in scan(folder, extensions):
        if pattern is None:
            groups = {"identity": name.split("/")[-2]} if "/" in name else None
        else:
            match = pattern.search(name)
            groups = match and match.groupdict()
        if not groups:
            listing.unmatched.append(name)
            continue
        if not groups["identity"]:
            raise ValueError(
                f"The group 'identity' of the pattern is empty for the image {name!r} below {str(folder)!r}."
            )
        if camera is not None and groups.get("camera") is not None:
            groups["camera"] = camera(groups["camera"])
        listing.add(folder / name, **groups)
    form = "one folder per identity" if pattern is None else f"paths that match {pattern.pattern!r}"
    source = Source(
        name="Image folder",
        owner="",
        layout=f"images ({', '.join(extensions)}) in {form}",
        protocol="",
    )
    return bundle(listing, source, folder, check_duplicates=check_duplicates)
