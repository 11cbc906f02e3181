"""Progress bars: one rule for when a bar is shown. A bar for no work at all would count from 0 to 0."""

from tqdm.auto import tqdm


def progress_bar(desc, unit, total=None, *, shown=True, delay=0):
    """Return a bar; it is hidden unless `shown`, and where there is nothing to do.

    Parameters
    ----------
    desc, unit : str
        What is being done, and what is counted.
    total : int, optional
        How many there are, if that is known.
    shown : bool, default=True
    delay : float, default=0
        Seconds before the bar appears.
    """
    return tqdm(total=total, desc=desc, unit=unit, delay=delay, disable=not shown or total == 0)
