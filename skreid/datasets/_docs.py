"""The parts of the loaders' docstrings that are the same for all of them.

Written once, so that no loader's description of its result can drift from another's.
"""

_PARTS = {
    "%(check_duplicates)s": """\
check_duplicates : bool, default=True
        Compare the contents of files of equal size, which are read once, and report byte-identical ones.""",
    "%(returns)s": """\
data : :class:`~sklearn.utils.Bunch`
        paths : ndarray of shape (n,), str
            Path of each image, sorted; ``X`` of an estimator.
        target : ndarray of shape (n,), int64 or str
            Identity of each image as its name tells: whole numbers as int, anything else as str.
        cams : ndarray of shape (n,), int64 or str, or None
            Camera of each image; ``None`` when the layout does not tell it.
        report : Bunch
            ``n_images``, ``n_identities`` (without junk), ``n_cameras``, ``n_junk``, ``subsets``;
            ``expected`` (the published numbers); ``duplicates_within`` and ``duplicates_across`` identities
            (tuples of indices; ``None`` when not checked); ``unmatched``, ``single_image_identities``,
            ``single_camera_identities``, ``label_variants``, ``empty_files``, ``unreadable_files`` (path -> reason);
            and ``suspicious``: a sentence for each thing that looks wrong. Nothing is dropped for it.
        protocol : str
            The customary protocol.
        DESCR : str
            Description of the set.""",
    "%(raises)s": """\
FileNotFoundError
        If the set or a part of it is not there: what was looked for, where, and who distributes it.""",
}


def fill(function):
    """Put the shared parts into a loader's docstring."""
    for mark, text in _PARTS.items():
        if function.__doc__:  # python -OO leaves none
            function.__doc__ = function.__doc__.replace(mark, text)
    return function
