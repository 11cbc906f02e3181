"""Parts that the docstrings of all loaders have in common, written once."""

from skreid._base.docs import filler

fill = filler(
    check_duplicates="""\
check_duplicates : bool, default=True
    Whether to look for byte-identical files. Only files of equal size are read.""",
    returns="""\
data : :class:`~sklearn.utils.Bunch`
    paths : ndarray of shape (n,), str
        Path of each image, sorted (a table: in its own order); the ``X`` of an estimator.
    target : ndarray of shape (n,), int64 or str
        Identity of each image: int if all identities are whole numbers, else str.
    cams : ndarray of shape (n,), int64 or str, or None
        Camera of each image; ``None`` if the layout does not name it.
    report : Bunch
        Counts: ``n_images``, ``n_identities`` (without junk), ``n_cameras``, ``n_junk``, ``subsets``, and the
        published ones as ``expected``. Groups of byte-identical images (tuples of indices; ``None`` if not
        checked): ``duplicates_within`` an identity and ``duplicates_across`` identities. Lists: ``unmatched``
        (files with unexpected names), ``single_image_identities``, ``single_camera_identities``,
        ``label_variants``, ``empty_files``, ``unreadable_files`` (path -> reason). ``suspicious`` has a sentence
        for each possible problem; no image is removed because of it.
    protocol : str
        The usual evaluation protocol.
    DESCR : str
        Description of the set.""",
    raises="""\
FileNotFoundError
    If the set, or a part of it, is missing; the message says what, where, and who distributes the set.""",
)
