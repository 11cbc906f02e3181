"""A brush that paints the shapes of a person on a Pillow image, and their shading on a grey image beside it.

The shading is multiplied in at the end, so that sleeves stand out from their coat.
"""

from math import hypot

from PIL import Image, ImageChops, ImageDraw, ImageFilter


class Brush:
    """Paints shapes on a canvas, in one colour or in patterned cloth, and shades each of them.

    Parameters
    ----------
    canvas : PIL image, RGB
        Painted on.
    light : float
        Where light comes from: -1 from the left, 1 from the right.
    """

    def __init__(self, canvas, light):
        self.canvas, self.light = canvas, light
        self.draw = ImageDraw.Draw(canvas)
        self.shade = Image.new("L", canvas.size, 255)
        self.shade_draw = ImageDraw.Draw(self.shade)

    def polygon(self, points, cloth, rim=172, core=250):
        """Fill a closed outline of (u, v) pairs; the core of the shape is lit, its rim is not."""
        if isinstance(cloth, tuple):
            self.draw.polygon(points, fill=cloth)
        else:
            mask = Image.new("L", self.canvas.size)
            ImageDraw.Draw(mask).polygon(points, fill=255)
            self._paste(cloth, mask)
        self.shade_draw.polygon(points, fill=rim)
        centre = sum(u for u, _ in points) / len(points)
        reach = max(abs(u - centre) for u, _ in points)
        shift = centre + 0.28 * self.light * reach
        self.shade_draw.polygon([(shift + 0.66 * (u - centre), v) for u, v in points], fill=core)

    def limb(self, joints, radii, cloth, rim=185, core=248):
        """Fill a chain of tapered capsules, one radius per joint, shaded as one piece."""
        flat = isinstance(cloth, tuple)
        mask = None if flat else Image.new("L", self.canvas.size)
        draw, fill = (self.draw, cloth) if flat else (ImageDraw.Draw(mask), 255)
        _chain(draw, joints, radii, fill)
        if not flat:
            self._paste(cloth, mask)
        _chain(self.shade_draw, joints, radii, rim)
        lit = [(u + 0.25 * self.light * r, v) for (u, v), r in zip(joints, radii, strict=True)]
        _chain(self.shade_draw, lit, [0.66 * r for r in radii], core)

    def disc(self, centre, ru, rv, colour, shade=235):
        """Fill an upright ellipse."""
        box = (centre[0] - ru, centre[1] - rv, centre[0] + ru, centre[1] + rv)
        self.draw.ellipse(box, fill=colour)
        self.shade_draw.ellipse(box, fill=shade)

    def _paste(self, cloth, mask):
        box = mask.getbbox()
        if box:
            self.canvas.paste(cloth.crop(box), box, mask.crop(box))

    def finish(self, softness):
        """Return the canvas with its shading multiplied in."""
        shade = self.shade.filter(ImageFilter.BoxBlur(softness))
        return ImageChops.multiply(self.canvas, Image.merge("RGB", (shade, shade, shade)))


def _chain(draw, joints, radii, fill):
    for k in range(len(joints) - 1):
        _capsule(draw, joints[k], radii[k], joints[k + 1], radii[k + 1], fill)


def _capsule(draw, start, r0, end, r1, fill):
    (u0, v0), (u1, v1) = start, end
    length = hypot(u1 - u0, v1 - v0)
    if length > 1e-6:
        nu, nv = (v1 - v0) / length, (u0 - u1) / length
        quad = [
            (u0 + nu * r0, v0 + nv * r0),
            (u1 + nu * r1, v1 + nv * r1),
            (u1 - nu * r1, v1 - nv * r1),
            (u0 - nu * r0, v0 - nv * r0),
        ]
        draw.polygon(quad, fill=fill)
    draw.ellipse((u0 - r0, v0 - r0, u0 + r0, v0 + r0), fill=fill)
    draw.ellipse((u1 - r1, v1 - r1, u1 + r1, v1 + r1), fill=fill)
