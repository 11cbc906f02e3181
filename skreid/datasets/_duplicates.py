"""Groups of byte-identical files, within one identity and across identities."""

import hashlib
from collections import defaultdict

from skreid.datasets._tree import progress

_WHOLE = 2**20  # bytes; a larger file is read in parts


def find_duplicates(paths, target, sizes, verbose=0):
    """Return groups of indices of byte-identical files, and what cannot be read.

    Parameters
    ----------
    paths : list of str
    target : list
        Identity of each file.
    sizes : list of int
        Size of each file in bytes. Only files of equal size are read, and empty files are not.
    verbose : int
        Whether a bar may show the progress.

    Returns
    -------
    within, across : list of tuple of int
        Groups within one identity, and groups across identities.
    unreadable : dict of str to str
        The reason for each file that could not be read.
    """
    by_size = defaultdict(list)
    for i, size in enumerate(sizes):
        by_size[size].append(i)
    alike = {size: indices for size, indices in by_size.items() if len(indices) > 1 and size}
    by_content, unreadable = defaultdict(list), {}
    with progress(verbose, "Comparing files", total=sum(map(len, alike.values()))) as bar:
        for size, indices in alike.items():
            for i in indices:
                try:
                    by_content[size, _digest(paths[i], size)].append(i)
                except OSError as error:
                    unreadable[paths[i]] = error.strerror
                bar.update()
    within, across = [], []
    for indices in sorted(group for group in by_content.values() if len(group) > 1):
        (within if len({target[i] for i in indices}) == 1 else across).append(tuple(indices))
    return within, across, unreadable


def _digest(path, size):
    with open(path, "rb", buffering=0) as file:
        if size > _WHOLE:
            return hashlib.file_digest(file, "blake2b").digest()
        return hashlib.blake2b(file.read()).digest()
