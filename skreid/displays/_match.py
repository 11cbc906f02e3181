"""Why two images are near or far: both pictures, shaded where they differ, and the filters that differ most."""

import numpy as np

from skreid._base.checks import check_int
from skreid._search.explaining import explain_match, named_in_errors
from skreid.displays._common import BLUE, VERMILION, grid_of_axes, picture

DARKEST = 0.5  # opacity of the band that adds most
WIDTHS = (1.0, 1.0, 1.25, 1.25)  # of the two pictures and the two charts
HEIGHT, PER_NAME = 3.8, 0.15  # inches of a new figure, and of the name of a filter in it
MOST_NAMES = 60  # a figure for more would not fit on a screen
NARROW = 5.8  # inches of all axes together in which titles of the usual size have no room
SMALLEST = 4  # points of the letters of a name that can still be read


class MatchDisplay:
    """Picture of a probe and a candidate, with what each part of the body and each filter adds to their distance.

    Bands of the two pictures are shaded by what they add: the stronger the colour, the more. Orange bands push the two
    images apart. Blue bands bring them together, which only happens behind linear steps and learned metrics. The first
    chart shows the same bands, the second the filters that add most: in per cent of the whole, or, where some parts
    are negative, in units of the squared or learned distance. Filters are named if there is room for their names, and
    otherwise numbered from the one that adds most. A filter that adds nothing is not drawn.

    Parameters
    ----------
    pictures : sequence of two ndarray of shape (height, width, 3)
        The probe and the candidate, uint8 or float in [0, 1].
    explanation : MatchExplanation
        Parts of their distance, from `skreid.explain_match`.

    Attributes
    ----------
    images_ : list of two matplotlib AxesImage
        The pictures.
    shades_ : list of two lists of matplotlib Rectangle
        The bands of each picture, from top to bottom.
    bands_ : matplotlib BarContainer
        Part of each band, from top to bottom.
    filters_ : matplotlib BarContainer
        Part of each of the leading filters.
    axes_ : ndarray of matplotlib Axes, shape (4,)
        Probe, candidate, bands, filters.
    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from skreid import MultiDepthReID
    >>> from skreid.datasets import make_pedestrians
    >>> from skreid.displays import MatchDisplay
    >>> people = make_pedestrians(n_identities=4, image_size=(32, 16), random_state=0)
    >>> reid = MultiDepthReID(input_size=(32, 16), max_epochs=0, blur_size=(4, None), random_state=0)
    >>> reid = reid.fit(people.images, people.target)
    >>> display = MatchDisplay.from_estimator(reid, people.images[0], people.images[2])
    >>> display.axes_.shape
    (4,)
    """

    def __init__(self, *, pictures, explanation):
        self.pictures = pictures
        self.explanation = explanation

    def plot(self, ax=None, *, n_bands=None, n_filters=8):
        """Draw the two pictures and the two charts.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw: one axes, which is divided, or an array of four. None makes a new figure.
        n_bands : int, default=None
            Number of bands. None takes as many as the coarsest layer has rows.
        n_filters : int, default=8
            How many of the leading filters to draw. A new figure is high enough to name up to 60.

        Returns
        -------
        display : MatchDisplay
            This display.
        """
        check_int(n_filters, "n_filters", "MatchDisplay.plot")
        if len(self.pictures) != 2:
            raise ValueError(f"pictures must hold the probe and the candidate. Got {len(self.pictures)} instead.")
        bands = self.explanation.by_band(n_bands)
        leading = [(layer, chosen, part) for layer, chosen, part in self.explanation.by_filter()[:n_filters] if part]
        height = max(HEIGHT, 1.2 + PER_NAME * len(leading)) if len(leading) <= MOST_NAMES else HEIGHT
        self.axes_ = grid_of_axes(ax, (1, 4), "MatchDisplay", figsize=(9.5, height), width_ratios=WIDTHS).ravel()
        self.figure_ = self.axes_[0].figure
        self.images_, self.shades_ = [], []
        for axes, image, title in zip(self.axes_, self.pictures, ("probe", "candidate"), strict=False):
            self.images_.append(axes.imshow(image))
            self.shades_.append(_shade(axes, bands, len(image)))
            axes.set(title=title, xticks=[], yticks=[])
        self._draw_bands(self.axes_[2], bands)
        self._draw_filters(self.axes_[3], leading)
        self._shrink_texts()
        return self

    def _shrink_texts(self):
        """Write smaller where the axes are narrow, so that titles and labels do not run into each other."""
        from matplotlib.text import Text

        width = sum(axes.get_window_extent().width for axes in self.axes_) / self.figure_.dpi
        if width < NARROW:
            for text in (text for axes in self.axes_ for text in axes.findobj(Text)):
                text.set_fontsize(text.get_fontsize() * width / NARROW)

    def _draw_bands(self, axes, bands):
        edges = np.linspace(0, 100, len(bands) + 1)
        self.bands_ = self._bars(axes, (edges[1:] + edges[:-1]) / 2, bands, 90 / len(bands))
        axes.set(
            title=f"distance {self.explanation.distance:.3g}",
            ylim=(100, 0),
            yticks=[0, 50, 100],
            yticklabels=["top", "middle", "bottom"],
        )

    def _draw_filters(self, axes, leading):
        places, n_filters = np.arange(1, len(leading) + 1), len(self.explanation.by_filter())
        self.filters_ = self._bars(axes, places, np.array([part for _, _, part in leading]), 0.9)
        axes.set(title=f"leading {len(leading)} of {n_filters} filters", ylim=(max(len(leading), 1) + 0.5, 0.5))
        room = 72 * 0.8 * axes.get_window_extent().height / axes.figure.dpi / max(len(leading), 1)  # points per name
        if room >= SMALLEST and len(leading) <= MOST_NAMES:
            axes.set_yticks(places, [f"{layer} filter {chosen}" for layer, chosen, _ in leading])
            axes.tick_params(axis="y", labelsize=min(10, room))
        else:
            axes.locator_params(axis="y", integer=True)
            axes.set_ylabel("filter, by its part")

    def _bars(self, axes, places, parts, height):
        """Draw parts as bars: in per cent of their sum, unless some of all parts are negative."""
        is_share = not (self.explanation.parts < 0).any()
        if is_share:
            parts, label = 100 * parts / (self.explanation.parts.sum() or 1), "share of the squared\ndistance (%)"
        else:
            learned = self.explanation.total == self.explanation.distance
            label = f"part of the {'learned' if learned else 'squared'}\ndistance"
        bars = axes.barh(places, parts, height=height, color=[_color(part) for part in parts])
        axes.set_xlabel(label)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.locator_params(axis="x", nbins=4)
        if is_share:
            axes.set_xlim(0, None if parts.any() else 100)
        axes.spines[["top", "right"]].set_visible(False)
        return bars

    @classmethod
    def from_estimator(cls, estimator, probe, candidate, *, ax=None, **kwargs):
        """Explain the distance of two images by a fitted system, and draw it.

        Parameters
        ----------
        estimator : fitted MultiDepthReID, or Pipeline that begins with one
            As for `skreid.explain_match`.
        probe, candidate : image
            Arrays, PIL images or file paths.
        ax : matplotlib axes or array of axes, default=None
            Where to draw, as in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : MatchDisplay

        Raises
        ------
        ValueError, TypeError
            As for `skreid.explain_match`.
        ImageError
            If an image cannot be used.
        """
        explanation, pictures = explain_match(estimator, probe, candidate), []
        for name, image in {"probe": probe, "candidate": candidate}.items():
            with named_in_errors(name):
                pictures.append(picture([image], 0))
        return cls(pictures=pictures, explanation=explanation).plot(ax, **kwargs)


def _color(part):
    return VERMILION if part >= 0 else BLUE


def _shade(axes, bands, height):
    """Shade the bands of a picture; the one with the largest absolute part is the darkest."""
    edges, most = np.linspace(0, height, len(bands) + 1) - 0.5, np.abs(bands).max(initial=0)
    return [
        axes.axhspan(top, bottom, color=_color(band), linewidth=0, alpha=DARKEST * abs(band) / most if most else 0)
        for band, top, bottom in zip(bands, edges, edges[1:], strict=False)
    ]
