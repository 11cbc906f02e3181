"""Images of people in a street, drawn by a program, in place of photographs of real people.

`wardrobe` says what people look like, `cameras` and `places` who looks where, `shots` what one image shows;
`figure`, `garments`, `cloth` and `brush` draw it.
"""

from skreid.datasets._drawn.pedestrians import make_pedestrians

__all__ = ["make_pedestrians"]
