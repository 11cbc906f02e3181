"""Parts that the docstrings of all figures have in common, written once."""

from skreid._base.docs import filler

fill = filler(
    identities="""\
y_probe : array-like of shape (n_probe,)
    Identities of the probes, all of one kind: numbers, booleans, strings, bytes, dates without a time zone, or
    tuples of these. A missing label is refused: None, NaN, blank text, or text such as "nan", "None" or "NA".
y_gallery : array-like of shape (n_gallery,)
    Identities of the gallery images.""",
    distances="""\
distances : array-like of shape (n_probe, n_gallery), or callable
    Finite distances, lower is nearer; nested sequences, frames, Arrow's tables and tensors are taken. A callable
    ``distances(start, stop)`` returns the rows of these probes, so that the whole matrix never exists: see
    :func:`distance_blocks`.""",
    cams="""\
cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
    Cameras. If both are given, gallery images of a probe's identity *and* camera are left out for that
    probe. Without cameras, no image is left out.""",
    junk_ids="""\
junk_ids : sequence or single id, default=None
    Gallery images of these identities are left out for every probe. A number also names text that spells it (-1
    is "-1", b"-1" and "-1.0", 0 is "0000"), and text a number. An iterator is refused: it can be read only once.""",
    on_missing="""\
How to treat a probe without a true match in its gallery: "drop" leaves it out of the mean, "warn"
does so and warns how many there are, "zero" counts it as a failure at every rank, "raise" refuses it.""",
    block_size="""\
block_size : int, default=None
    Probes per block; by default as many as fit in the cache, or in 256 MiB for a callable. Blocks of an array are
    ranked in as many threads as numpy's matrix products use; a callable is called by one thread, in order.""",
    raises="""\
ValueError
    If shapes disagree, only one of the two camera arrays is given, a distance is NaN or infinite, or no
    probe is left to average over.""",
)
