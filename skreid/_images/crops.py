"""Boxes of a detector or tracker, cut out of a frame: clipped at its border, where plain slices go wrong.

A slice that starts at a negative number counts from the other side, and is often empty.
"""

import numpy as np

from skreid._base.arrays import as_array
from skreid._images.decode import load


def crop_boxes(frame, boxes):
    """Cut boxes out of a frame.

    Parameters
    ----------
    frame : image
        An array of shape (height, width, 3) or (height, width), or in any other form that an image may have. Colours
        stay as they are: frames from OpenCV are BGR, so pass ``frame[:, :, ::-1]``.
    boxes : array-like of shape (n_boxes, 4)
        x and y of the upper left corner, width and height, in pixels of the frame. Corners are rounded to whole pixels.

    Returns
    -------
    crops : list of ndarray
        The part of each box that is inside the frame, a copy.

    Raises
    ------
    ValueError
        If a box holds NaN or infinity, has no pixel, or is outside the frame; the message names its index.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid import crop_boxes
    >>> frame = np.zeros((240, 320, 3), np.uint8)
    >>> [crop.shape for crop in crop_boxes(frame, [[10, 20, 40, 100], [-8, 200, 40, 100]])]
    [(100, 40, 3), (40, 32, 3)]
    """
    frame, boxes = load(frame, 0), as_array(boxes, "boxes")
    if not boxes.size:
        return []
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"boxes must have shape (n_boxes, 4): x, y, width and height. Got {boxes.shape} instead. Put a single box "
            "in a list."
        )
    boxes = boxes.astype(np.float64)
    size = np.array(frame.shape[1::-1])  # width, height
    first, last = np.rint(boxes[:, :2]), np.rint(boxes[:, :2] + boxes[:, 2:])
    inside = np.clip(first, 0, size), np.clip(last, 0, size)
    bad = np.flatnonzero(~(np.isfinite(last) & (inside[0] < inside[1])).all(axis=1))
    if len(bad):
        x, y, width, height = boxes[bad[0]].tolist()
        raise ValueError(
            f"Box {bad[0]}, of x {x:g}, y {y:g}, width {width:g} and height {height:g}, has no pixel in the frame of "
            f"{size[0]} x {size[1]} pixels: leave it out. Boxes are x, y, width, height, in pixels."
        )
    corners = np.concatenate(inside, axis=1).astype(np.intp).tolist()
    return [frame[top:bottom, left:right].copy() for left, top, right, bottom in corners]
