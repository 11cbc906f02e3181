"""FeatureMapDisplay: what the chosen filters see in a query, the same person and a different one (Fig. 6).

The three-part histogram says where on the body a filter answers: top, middle or bottom.
"""

import numpy as np
from sklearn.utils.validation import column_or_1d

from skreid.displays._common import BLUE, count, fitted_part, grid_of_axes, picture, style

ROWS = ("query", "same person", "different person")
PARTS = ("top", "middle", "bottom")
HISTOGRAM = 1.25  # its width, in inches


class FeatureMapDisplay:
    """Pictures, smoothed maps and three-part histograms of a query, the same and a different person.

    Make one with :meth:`from_estimator`.

    Parameters
    ----------
    pictures : list of three ndarray of shape (height, width, 3)
        Query, same person, different person.
    maps : dict of str to ndarray of shape (3, height, width)
        Title -> their maps of one filter, smoothed at frame size (Eq. 1).

    Attributes
    ----------
    parts_ : dict of str to ndarray of shape (3, 3)
        Title -> mean of each map (rows) in its top, middle and bottom third.
    distances_ : dict of str to ndarray of shape (2,)
        Title -> Euclidean distance of the query's map to the same and to the different person's.
    images_ : dict of str to list of matplotlib Artist
        Title -> the three maps; "picture" -> the three pictures.
    bars_ : dict of str to list of matplotlib Artist
        Title -> the three histograms.
    axes_ : ndarray of matplotlib Axes, shape (3, 1 + 2 * n_maps)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.displays import FeatureMapDisplay
    >>> maps = np.zeros((3, 6, 4))
    >>> maps[:, :2] = 1.0
    >>> display = FeatureMapDisplay(pictures=np.zeros((3, 6, 4, 3)), maps={"conv1_1": maps}).plot()
    >>> display.parts_["conv1_1"][0]
    array([1., 0., 0.])
    """

    def __init__(self, *, pictures, maps):
        self.pictures = pictures
        self.maps = maps

    def plot(self, ax=None, *, cmap="viridis", bar_kwargs=None, **kwargs):
        """Draw three rows: the query, the same person, a different person.

        Parameters
        ----------
        ax : matplotlib axes or array of them, default=None
            One axes is divided; an array needs ``3 * (1 + 2 * n_maps)``; a new figure by default.
        cmap : str or Colormap, default="viridis"
            Of the maps. One scale serves the three maps of a filter.
        bar_kwargs : dict, default=None
            Passed to matplotlib's `barh` of the histograms.
        **kwargs : dict
            Passed to matplotlib's `imshow` of the maps.

        Returns
        -------
        display : FeatureMapDisplay
        """
        maps = self._checked()
        height, width = next(iter(maps.values())).shape[1:]
        column = max(1.05, 2.3 * width / height)
        ratios = [column] + [column, HISTOGRAM] * len(maps)
        self.axes_ = grid_of_axes(
            ax,
            (3, len(ratios)),
            "FeatureMapDisplay",
            figsize=(sum(ratios) + 0.7 * len(maps) + 0.6, 3 * (column * height / width + 0.45) + 1),
            width_ratios=ratios,
        )
        self.figure_ = self.axes_[0, 0].figure
        self.images_, self.bars_, self.parts_, self.distances_ = {}, {}, {}, {}
        self.images_["picture"] = [
            axes.imshow(image) for axes, image in zip(self.axes_[:, 0], self.pictures, strict=True)
        ]
        for axes, label in zip(self.axes_[:, 0], ROWS, strict=True):
            axes.set_ylabel(label)
        for i, (title, three) in enumerate(maps.items()):
            self._show_maps(self.axes_[:, 1 + 2 * i], title, three, {"cmap": cmap} | kwargs)
            self._show_parts(self.axes_[:, 2 + 2 * i], title, three, bar_kwargs)
            for axes in self.axes_[:, 2 + 2 * i]:
                axes.set_box_aspect(height / width * column / HISTOGRAM)  # bars stand beside their thirds
        for axes in self.axes_[:, [0, *range(1, len(ratios), 2)]].ravel():
            axes.set(xticks=[], yticks=[])
        return self

    def _checked(self):
        if len(self.pictures) != 3:
            raise ValueError(f"pictures must be three: {', '.join(ROWS)}. Got {len(self.pictures)}.")
        if not self.maps:
            raise ValueError("maps is empty: give the maps of one filter at least.")
        maps = {title: np.asarray(three, dtype=np.float64) for title, three in self.maps.items()}
        for title, three in maps.items():
            if three.ndim != 3 or len(three) != 3 or three.shape[1] < 3:
                raise ValueError(
                    f"maps[{title!r}] must have shape (3, height, width), at least 3 pixels high. "
                    f"Got {three.shape} instead."
                )
        return maps

    def _show_maps(self, column, title, three, kwargs):
        low, high = float(three.min()), float(three.max())
        shared = {"vmin": low, "vmax": high if high > low else low + 1}
        self.images_[title] = [axes.imshow(one, **shared | kwargs) for axes, one in zip(column, three, strict=True)]
        self.distances_[title] = np.array([np.linalg.norm(three[0] - other) for other in three[1:]])
        column[0].set_title(title, fontsize="medium")
        for axes in column:
            for edge in (1, 2):  # where the histogram's thirds meet
                axes.axhline(edge * three.shape[1] / 3 - 0.5, color="white", linewidth=0.8, linestyle=":")
        scale = column[-1].inset_axes((0, -0.3, 1, 0.04))  # outside the grid, which it would misalign
        self.figure_.colorbar(self.images_[title][0], cax=scale, orientation="horizontal")
        scale.set_xticks([shared["vmin"], shared["vmax"]])
        scale.set_xticklabels([f"{value:.2g}" for value in scale.get_xticks()], fontsize="small")
        for axes, distance in zip(column[1:], self.distances_[title], strict=True):
            axes.set_xlabel(f"distance {distance:.3g}", fontsize="small")

    def _show_parts(self, column, title, three, bar_kwargs):
        thirds = np.array_split(three, 3, axis=1)
        self.parts_[title] = np.stack([third.mean(axis=(1, 2)) for third in thirds], axis=1)
        self.bars_[title] = []
        top = float(self.parts_[title].max())
        for axes, heights in zip(column, self.parts_[title], strict=True):
            self.bars_[title].append(axes.barh(PARTS, heights, **style({"color": BLUE}, bar_kwargs)))
            axes.set(ylim=(2.5, -0.5), xlim=(min(0.0, float(self.parts_[title].min())), top * 1.08 or 1))
            axes.locator_params(axis="x", nbins=3)
            axes.tick_params(labelsize="small")
            axes.spines[["top", "right"]].set_visible(False)
        column[0].set_title("mean of\neach third", fontsize="medium")

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        query=0,
        same=None,
        different=None,
        cams=None,
        layers=None,
        rank=0,
        ax=None,
        **kwargs,
    ):
        """Draw the maps of a fitted estimator's chosen filters.

        Parameters
        ----------
        estimator : MultiDepthReID, or Pipeline or search that holds one
            Fitted.
        X : images, n of them
            To take the query and the others from.
        y : array-like of shape (n,)
            Identities.
        query : int, default=0
            Place of the query in `X`.
        same, different : int, default=None
            Places of the same and of a different person; by default the first that fit after the query, of
            another camera than the query if there is one.
        cams : array-like of shape (n,), default=None
            Cameras.
        layers : str or sequence of str, default=None
            Of its `layers_`; by default all.
        rank : int, default=0
            Which of a layer's chosen filters: 0 is the best.
        ax : matplotlib axes or array of them, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FeatureMapDisplay

        Raises
        ------
        ValueError
            If the estimator was not fitted, a layer or filter was not chosen, or `X` holds no image of the
            same or of a different person.
        ImageError
            Naming one of the three pictures that cannot be used.
        """
        found = fitted_part(estimator, "filters_", cls.__name__)
        layers = found.layers_ if layers is None else (layers,) if isinstance(layers, str) else tuple(layers)
        for layer in layers:
            if layer not in found.filters_:
                raise ValueError(f"Layer {layer!r} was not explored. Those that were: {list(found.filters_)}.")
            if not 0 <= rank < len(found.filters_[layer]):
                raise ValueError(
                    f"rank={rank}, but layer {layer!r} has {len(found.filters_[layer])} chosen filter(s), the "
                    "best is rank 0. Fit with a larger n_filters."
                )
        y = column_or_1d(y)
        if len(y) != count(X):
            raise ValueError(f"y has {len(y)} entries, but there are {count(X)} images.")
        cams = None if cams is None else column_or_1d(cams)
        places = [query, *_others(y, cams, query, same, different)]
        pictures = [picture(X, i) for i in places]
        smoothed = found.feature_maps([_as_given(X, i) for i in places], layers=layers, smooth=True)
        chosen = {layer: int(found.filters_[layer][rank]) for layer in layers}
        return cls(
            pictures=pictures,
            maps={f"{layer}\nfilter {chosen[layer]}": smoothed[layer][:, chosen[layer]] for layer in layers},
        ).plot(ax, **kwargs)


def _others(y, cams, query, same, different):
    """Return the places of the same and of a different person, those asked for or the first that fit."""
    if not 0 <= query < len(y):
        raise ValueError(f"query={query} is not the place of one of the {len(y)} images.")
    after = np.roll(np.arange(len(y)), -query - 1)[:-1]
    if cams is not None:  # other cameras first
        after = after[np.argsort(cams[after] == cams[query], kind="stable")]
    found = []
    for place, wanted, what in ((same, True, "same"), (different, False, "different")):
        fits = after[(y[after] == y[query]) == wanted]
        if place is None:
            if not len(fits):
                raise ValueError(f"X holds no image of {'the' if wanted else 'a'} {what} person as image {query}.")
            place = fits[0]
        elif place not in fits:
            raise ValueError(f"{what}={place} is not an image of {'the' if wanted else 'a'} {what} person.")
        found.append(int(place))
    return found


def _as_given(images, index):
    return images.iloc[index] if hasattr(images, "iloc") else images[index]
