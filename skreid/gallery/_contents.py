"""What a gallery holds, read from its state: descriptors, identities, cameras, and how it ranks them."""


class Contents:
    """The attributes of a Gallery; it keeps them in `_state`, `_system` and `_settings`."""

    @property
    def descriptors(self):
        """The descriptors of all images, read on demand."""
        return self._state.rows

    @property
    def estimator(self):
        """The system of :meth:`from_estimator`, or None."""
        return None if self._system is None else self._system.estimator

    @property
    def metric(self):
        """The distance by which it ranks: "euclidean", "cosine", or the class of a learned metric."""
        return self._state.measuring.name

    @property
    def ids(self):
        """The identities of all images, or None."""
        return self._state.ids

    @property
    def cams(self):
        """The cameras of all images, or None."""
        return self._state.cams

    @property
    def shape(self):
        """Number of images and of features."""
        return self._state.rows.shape

    def __len__(self):
        return len(self._state.rows)

    def __repr__(self):
        name = self._state.measuring.name
        metric = "" if name == "euclidean" else f"metric={name!r}, "
        return f"Gallery(n_images={len(self)}, n_features={self.shape[1]}, {metric}engine={self._settings['engine']!r})"
