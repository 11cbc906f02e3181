"""FeatureMapDisplay: what chosen filters see in a probe, another image of that person and a different person (Fig. 6).

A box filter of whole rows leaves one value per row, so its map is drawn as a profile over the height.
"""

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skreid._base.checks import check_int, is_int
from skreid._base.labels import factorize
from skreid._ranking import describe
from skreid.displays._common import BLUE, ORANGE, VERMILION, fitted_part, grid_of_axes, picture, readable, style

ROWS = ("probe", "same person", "different person")
PARTS = ("top", "middle", "bottom")
HISTOGRAM = 1.25  # width in inches
NEARER = "nearer than the\nsame person"


class FeatureMapDisplay:
    """Images, smoothed maps and three-part histograms of a probe, the same person and a different person.

    Maps that are constant along each row, as a box filter of whole rows leaves them, are drawn as profiles over the
    height, with the probe's profile dashed and the difference shaded. Where a filter finds the different person nearer
    than the same one, the map says so: one filter sees one thing, and only all of them together make the ranking. The
    distances of the whole descriptors stand below the images. Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    pictures : list of three ndarray of shape (height, width, 3)
        The images of the probe, the same person and a different person.
    maps : dict of str to ndarray of shape (3, height, width)
        Title -> the maps of one filter for the three images, smoothed at frame size (Eq. 1).
    distances : array-like of shape (2,), default=None
        Distances of the whole descriptors, from the probe to the same and to the different person.

    Attributes
    ----------
    parts_ : dict of str to ndarray of shape (3, 3)
        Title -> mean of each map (rows) over its top, middle and bottom third (columns).
    distances_ : dict of str to ndarray of shape (2,)
        Title -> Euclidean distances from the probe's map to those of the same and of the different person.
    images_ : dict of str to list of matplotlib Artist
        Title -> the three maps that are drawn as images; "picture" -> the three images.
    profiles_ : dict of str to list of matplotlib Artist
        Title -> the three profiles of maps that are constant along each row.
    bars_ : dict of str to list of matplotlib Artist
        Title -> the three histograms.
    axes_ : ndarray of matplotlib Axes, shape (3, 1 + 2 * n_maps)
        All axes; a row shows one image.
    figure_ : matplotlib Figure
        The figure that holds them.

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

    def __init__(self, *, pictures, maps, distances=None):
        self.pictures = pictures
        self.maps = maps
        self.distances = distances

    def plot(self, ax=None, *, cmap="viridis", bar_kwargs=None, **kwargs):
        """Draw three rows: the probe, the same person, a different person.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw: one axes, which is divided, or an array of ``3 * (1 + 2 * n_maps)``. None makes a new
            figure.
        cmap : str or Colormap, default="viridis"
            Colour map of the maps. The three maps of a filter share one scale.
        bar_kwargs : dict, default=None
            Passed to matplotlib's `barh` for the histograms.
        **kwargs : dict
            Passed to matplotlib's `imshow` for the maps that are drawn as images.

        Returns
        -------
        display : FeatureMapDisplay
            This display.
        """
        maps = self._checked()
        height, width = next(iter(maps.values())).shape[1:]
        column = max(1.05, 2.3 * width / height)
        ratios = [column] + [column, HISTOGRAM] * len(maps)
        self.axes_ = grid_of_axes(
            ax,
            (3, len(ratios)),
            "FeatureMapDisplay",
            figsize=(sum(ratios) + 0.7 * len(maps) + 0.6, 3 * (column * height / width + 0.75) + 1),
            width_ratios=ratios,
        )
        self.figure_ = self.axes_[0, 0].figure
        self.images_, self.profiles_, self.bars_, self.parts_, self.distances_ = {}, {}, {}, {}, {}
        self.images_["picture"] = [
            axes.imshow(image) for axes, image in zip(self.axes_[:, 0], self.pictures, strict=True)
        ]
        for axes, label in zip(self.axes_[:, 0], ROWS, strict=True):
            axes.set_ylabel(label)
        if self.distances is not None:
            _write_distances(self.axes_[1:, 0], self.distances, "all filters:\n")
        for i, (title, three_maps) in enumerate(maps.items()):
            maps_column = self.axes_[:, 1 + 2 * i]
            self.distances_[title] = np.array([np.linalg.norm(three_maps[0] - other) for other in three_maps[1:]])
            _write_distances(maps_column[1:], self.distances_[title])
            if _is_constant_along_rows(three_maps):
                self._show_profiles(maps_column, title, three_maps)
            else:
                self._show_maps(maps_column, title, three_maps, column * height / width, {"cmap": cmap} | kwargs)
            for axes in maps_column:
                for edge in (1, 2):  # where the thirds of the histogram meet
                    axes.axhline(edge * height / 3 - 0.5, color="0.7", linewidth=0.8, linestyle=":")
            self._show_parts(self.axes_[:, 2 + 2 * i], title, three_maps, bar_kwargs)
            for axes in self.axes_[:, 2 + 2 * i]:
                axes.set_box_aspect(height / width * column / HISTOGRAM)  # bars stand beside their thirds
        for axes in self.axes_[:, 0]:
            axes.set(xticks=[], yticks=[])
        return self

    def _checked(self):
        if len(self.pictures) != 3:
            raise ValueError(f"pictures must hold three images: {', '.join(ROWS)}. Got {len(self.pictures)} instead.")
        if not self.maps:
            raise ValueError("maps is empty: give the maps of at least one filter.")
        maps = {title: np.asarray(three_maps, dtype=np.float64) for title, three_maps in self.maps.items()}
        for title, three_maps in maps.items():
            if three_maps.ndim != 3 or len(three_maps) != 3 or three_maps.shape[1] < 3:
                raise ValueError(
                    f"maps[{title!r}] must have shape (3, height, width), at least 3 pixels high. "
                    f"Got {three_maps.shape} instead."
                )
        return maps

    def _show_maps(self, column, title, three_maps, height, kwargs):
        """Draw maps as images with one scale, which stands below the last; `height` is that of a map in inches."""
        low, high = float(three_maps.min()), float(three_maps.max())
        shared = {"vmin": low, "vmax": high if high > low else low + 1}
        self.images_[title] = [
            axes.imshow(map_, **shared | kwargs) for axes, map_ in zip(column, three_maps, strict=True)
        ]
        column[0].set_title(title, fontsize="medium")
        for axes in column:
            axes.set(xticks=[], yticks=[])
        n_lines = column[-1].get_xlabel().count("\n") + 1
        scale = column[-1].inset_axes((0, -(0.2 + 0.18 * n_lines) / height, 1, 0.08 / height))  # below the text
        self.figure_.colorbar(self.images_[title][0], cax=scale, orientation="horizontal")
        ticks = [shared["vmin"], shared["vmax"]]
        scale.set_xticks(ticks, [readable(tick) for tick in ticks], fontsize="small")

    def _show_profiles(self, column, title, profiles):
        """Draw one value per row of the frame over the height, and what differs from the probe."""
        shape, rows = profiles.shape[1:], np.arange(profiles.shape[1])
        profiles = profiles[:, :, 0]
        low, high = min(0.0, float(profiles.min())), float(profiles.max())
        high = high if high > low else low + 1
        self.profiles_[title] = []
        for axes, profile in zip(column, profiles, strict=True):
            if axes is not column[0]:
                axes.fill_betweenx(rows, profiles[0], profile, color=ORANGE, alpha=0.5, linewidth=0)
                axes.plot(profiles[0], rows, color="0.3", linestyle="--", linewidth=1)
            self.profiles_[title] += axes.plot(profile, rows, color=BLUE)
            axes.set(xlim=(low - 0.05 * (high - low), high + 0.05 * (high - low)), ylim=(len(rows) - 0.5, -0.5))
            axes.set_box_aspect(shape[0] / shape[1])
            axes.set(xticks=[low, high], yticks=[])
            axes.set_xticklabels([readable(low), readable(high)], fontsize="small")
        column[0].set_title(f"{title}\nresponse per row", fontsize="medium")

    def _show_parts(self, column, title, three_maps, bar_kwargs):
        thirds = np.array_split(three_maps, 3, axis=1)
        self.parts_[title] = np.stack([third.mean(axis=(1, 2)) for third in thirds], axis=1)
        self.bars_[title] = []
        top = float(self.parts_[title].max())
        for axes, heights in zip(column, self.parts_[title], strict=True):
            self.bars_[title].append(axes.barh(PARTS, heights, **style({"color": BLUE}, bar_kwargs)))
            axes.set(ylim=(2.5, -0.5), xlim=(min(0.0, float(self.parts_[title].min())), top * 1.08 or 1))
            axes.locator_params(axis="x", nbins=3)
            axes.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
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
        estimator : MultiDepthReID, or a Pipeline or search that holds one
            The fitted estimator.
        X : images, n of them
            Images to choose the three shown from.
        y : array-like of shape (n,)
            Identity of each image.
        query : int, default=0
            Position of the probe (query image) in `X`.
        same, different : int, default=None
            Positions of an image of the same person and of a different person. None takes the first one after the
            probe, from another camera if there is one.
        cams : array-like of shape (n,), default=None
            Camera of each image.
        layers : str or sequence of str, default=None
            Layers to show, among its `layers_`. None shows all.
        rank : int, default=0
            Which of a layer's chosen filters to show; 0 is the best.
        ax : matplotlib axes or array of axes, default=None
            Where to draw, as in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FeatureMapDisplay

        Raises
        ------
        ValueError
            If the estimator is not fitted, a layer or filter was not chosen, or `X` has no image of the same or of a
            different person.
        ImageError
            If one of the three images cannot be used; the message names it.
        """
        fitted, owner = fitted_part(estimator, "filters_", cls.__name__), "FeatureMapDisplay.from_estimator"
        layers = fitted.layers_ if layers is None else (layers,) if isinstance(layers, str) else tuple(layers)
        check_int(rank, "rank", owner, 0)
        for layer in layers:
            if layer not in fitted.filters_:
                raise ValueError(f"Layer {layer!r} was not explored. Explored layers: {list(fitted.filters_)}.")
            if rank >= len(fitted.filters_[layer]):
                raise ValueError(
                    f"rank={rank}, but layer {layer!r} has {len(fitted.filters_[layer])} chosen filter(s), counted "
                    "from 0. Fit with a larger n_filters."
                )
        (y,), _ = factorize(y=y)
        cams = None if cams is None else factorize(cams=cams)[0][0]
        for name, labels in (("y", y), ("cams", cams)):
            if labels is not None and len(labels) != _num_samples(X):
                raise ValueError(f"{name} has {len(labels)} entries, but there are {_num_samples(X)} images.")
        check_int(query, "query", owner, 0)
        places = [query, *_others(y, cams, query, same, different)]
        pictures = [picture(X, i) for i in places]
        images = _safe_indexing(X, places)
        smoothed = fitted.feature_maps(images, layers=layers, smooth=True)
        descriptors = describe(fitted, images).astype(np.float64)
        chosen = {layer: int(fitted.filters_[layer][rank]) for layer in layers}
        return cls(
            pictures=pictures,
            maps={f"{layer}\nfilter {chosen[layer]}": smoothed[layer][:, chosen[layer]] for layer in layers},
            distances=np.linalg.norm(descriptors[1:] - descriptors[0], axis=1),
        ).plot(ax, **kwargs)


def _is_constant_along_rows(maps):
    """Return whether a box filter of whole rows made these maps: each row holds one value, to rounding."""
    return np.ptp(maps, axis=2).max() <= 1e-4 * np.abs(maps).max()


def _write_distances(column, distances, before=""):
    """Write the distances from the probe below the same and the different person; say if the latter is nearer."""
    for axes, distance in zip(column, distances, strict=True):
        number = readable(distance)
        between = "\n" if "×" in number else " "
        axes.set_xlabel(f"{before}distance{between}{number}", fontsize="small")
    if distances[1] < distances[0]:
        column[1].set_xlabel(f"{column[1].get_xlabel()},\n{NEARER}", fontsize="small", color=VERMILION)


def _others(y, cams, query, same, different):
    """Return the positions of images of the same and of a different person: as given, or the first after the probe."""
    if query >= len(y):
        raise ValueError(f"query={query} is not the position of one of the {len(y)} images.")
    after = np.roll(np.arange(len(y)), -query - 1)[:-1]
    if cams is not None:  # other cameras first
        after = after[np.argsort(cams[after] == cams[query], kind="stable")]
    is_same = y[after] == y[query]
    places = []
    for name, place, allowed in (("same", same, after[is_same]), ("different", different, after[~is_same])):
        person = "the same person as" if name == "same" else "a different person than"
        if place is None:
            if not len(allowed):
                raise ValueError(f"X has no other image that shows {person} image {query}.")
            place = allowed[0]
        elif not is_int(place, 0) or place not in allowed:
            raise ValueError(f"{name}={place} is not another image that shows {person} image {query}.")
        places.append(int(place))
    return places
