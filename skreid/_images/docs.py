"""What every docstring says of `X`, images in any form."""

from skreid._base.docs import filler

fill_images = filler(
    images="""X : images, n of them
    Array of shape (n, height, width, 3), in the order red, green, blue, or (n, height, width), uint8 or float in
    [0, 1]. OpenCV has blue first: pass ``image[:, :, ::-1]``. Or a list of such images of any sizes, of PIL images,
    file paths, encoded pictures or file objects; or a column, a torch Dataset or DataLoader, or an iterator of
    images, alone or with labels, which are left out.""",
)
