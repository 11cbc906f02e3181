"""Parts that the docstrings of all loaders have in common, written once."""

from skreid._base.docs import filler

fill = filler(
    check_duplicates="""\
check_duplicates : bool, default=True
    Whether to look for byte-identical files. Only files of equal size are read.""",
    verbose="""\
verbose : int, default=1
    Whether a bar shows the progress where reading takes longer than two seconds. With 0, it never does.""",
    returns="""\
data : :class:`~sklearn.utils.Bunch`
    ``print(data)`` shows the counts and the possible problems.

    paths : ndarray of shape (n,), str
        Path of each image, sorted (a table: in its own order); the ``X`` of an estimator.
    target : ndarray of shape (n,), int64 or str
        Identity of each image: int if all identities are whole numbers and no two would become one ("1" and "01"),
        else str, in Unicode's composed form (NFC).
    cams : ndarray of shape (n,), int64 or str, or None
        Camera of each image, by the same rule; ``None`` if the layout does not name it.
    tracks : ndarray of shape (n,), int64 or str
        Track of each image, by the same rule, if the layout names it; :func:`skreid.pool_tracks` says what for.
    report : Bunch
        What became of every file, and possible problems; no image is removed because of a problem.

        - Counts: ``n_files``, ``n_listed``, ``n_images``, ``n_identities`` (without junk), ``n_cameras``, ``n_junk``,
          ``n_without_camera``, ``n_tracks``, ``n_without_track``, ``n_without`` (other group of a pattern -> number of
          images without it), ``subsets``, and the published ones as ``expected``.
        - Files that are not listed: ``passed_over`` (reason -> list of paths relative to the folder) and ``why`` (path
          -> more about it). ``n_files`` is ``n_listed`` and the lengths of these lists. Some of them again:
          ``unmatched`` (images with unexpected names), ``empty_files``, ``unreadable_files`` (path -> reason). Folders
          with nothing in them are in ``empty_folders``.
        - Byte-identical images, as tuples of indices (``None`` if not checked): ``duplicates_within`` an identity and
          ``duplicates_across`` identities.
        - Labels: ``joined_labels`` and ``joined_cameras`` (label -> spellings of the same text), ``label_variants``,
          ``camera_variants`` and ``subset_variants`` (groups of labels that are nearly alike, and were not joined),
          ``joined_folders`` (identity -> folders of one name), ``unlike_names`` (images whose label in a list is unlike
          the person in their name), ``doubtful_labels`` and ``doubtful_cameras`` (such as "unknown").
        - ``single_image_identities`` and ``single_camera_identities``.
        - ``suspicious``: a sentence for each possible problem.
    protocol : str
        The usual evaluation protocol.
    DESCR : str
        Description of the set.""",
    raises="""\
FileNotFoundError
    If the set, or a part of it, is missing; the message says what, where, and who distributes the set.""",
)
