"""TCPNet: a network of body and part channels, trained with the improved triplet loss, as an estimator.

It is used like `MultiDepthReID`. The network is in `_part_network`, its loss and training are in `_triplet`.
"""

import os
from dataclasses import replace
from numbers import Integral, Real

import joblib
import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skreid._base.bars import progress_bar
from skreid._base.checks import check_frame_size
from skreid._base.constraints import IntRange
from skreid._base.provenance import origin_of
from skreid._estimator.base import BAR_FROM, NetworkEstimator
from skreid._estimator.inputs import check_images
from skreid._images.batches import to_device, to_unit
from skreid._images.source import ImageSource
from skreid._network.device import copy_rows
from skreid._network.precision import full_float32
from skreid._training.cache import remember
from skreid.rivals._part_network import build_network, crop
from skreid.rivals._triplet import TripletSettings, train_triplets

_COUNTS = ("n_channels", "stem_size", "stem_stride", "n_parts", "n_body", "n_part", "n_triplets", "batch_size")


class TCPNet(NetworkEstimator):
    """Multi-channel part network with the improved triplet loss.

    .. warning::
       Experimental: may change without deprecation, because the parameters of the publication are not known.

    One convolution sees the whole image. Its maps go to a channel for the body and to one channel for each horizontal
    part; each channel ends in a fully connected layer. A descriptor is the outputs of all channels, concatenated.
    Training draws triplets: two images of the same person and one of another.

    The loss is the published one, exactly. *The publication's widths of the layers, first convolution and training
    schedule are unknown*: they are parameters here. The defaults are this package's own, and are not claimed to
    reproduce published figures. A search over learning rates, widths, epochs and unit length
    (``python -m benchmarks.rivals``) found nothing better.

    Parameters
    ----------
    input_size : tuple of two int, default=(250, 100)
        Height and width in pixels to which every image is resized.
    crop_size : tuple of two int, default=(230, 80)
        Height and width in pixels of the windows that the network sees: random ones in training, the middle one
        in `transform`. At most `input_size`.
    n_channels : int, default=32
        Filters of each convolution. Unknown in the publication.
    stem_size, stem_stride : int, default=7 and 3
        Kernel size and stride of the first convolution. Unknown in the publication.
    n_parts : int, default=4
        Number of horizontal parts of the image.
    n_body, n_part : int, default=400 and 100
        Dimensions from the channel of the body and from the channel of each part.
    normalize : {"l2"} or None, default=None
        "l2" scales descriptors to unit length. Unknown in the publication.
    margin, same_limit, same_weight : float, default=-1.0, 0.01 and 0.002
        Parameters of the loss, see :func:`skreid.rivals.improved_triplet_loss`.
    n_persons : int, default=5
        Identities per batch of training, at least 2.
    n_triplets : int, default=20
        Triplets per identity in a batch.
    max_epochs : int, default=100
        Epochs of training. In each, every identity with two or more images is in one batch. 0 keeps the random
        weights.
    learning_rate : float, default=1e-3
        Learning rate of Adam at the start; it falls along a cosine. Unknown in the publication.
    batch_size : int, default=64
        Images per forward pass in `transform`.
    device : str, default="auto"
        Where the network runs, as in :class:`skreid.MultiDepthReID`.
    n_jobs : int or None, default=None
        Threads that decode images, as in joblib.
    memory : str, path-like, joblib.Memory or None, default=None
        Where to cache trained weights; not used with ``random_state=None``.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the triplets and the windows.
    verbose : int, default=0
        1 shows progress bars.

    Attributes
    ----------
    classes_ : ndarray of shape (n_identities,)
        The training identities.
    class_count_ : ndarray of shape (n_identities,)
        Number of training images of each of them.
    weights_ : dict of str to ndarray
        The weights of the trained network.
    history_ : list of dict
        One record per epoch with the keys epoch, learning_rate, train_loss, violated (share of triplets that do not
        keep the margin) and seconds.
    image_shape_ : tuple of int
        Height and width to which every image is resized.
    n_features_out_ : int
        ``n_body + n_parts * n_part``, 800 by default.

    See Also
    --------
    skreid.MultiDepthReID : The method of this package.

    References
    ----------
    D. Cheng, Y. Gong, S. Zhou, J. Wang, N. Zheng, "Person Re-Identification by Multi-Channel Parts-Based CNN
    with Improved Triplet Loss Function", CVPR 2016.

    Examples
    --------
    >>> from skreid.datasets import make_pedestrians
    >>> from skreid.rivals import TCPNet
    >>> people = make_pedestrians(n_identities=4, image_size=(32, 16), random_state=0)
    >>> net = TCPNet(input_size=(32, 16), crop_size=(30, 14), n_channels=4, max_epochs=1, random_state=0)
    >>> net.fit(people.images, people.target).transform(people.images).shape
    (16, 800)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's name and form
        "input_size": "no_validation",  # checked by `check_frame_size`
        "crop_size": "no_validation",  # checked by `check_frame_size`
        **{name: [IntRange(1)] for name in _COUNTS},
        "normalize": [StrOptions({"l2"}), None],
        "margin": [Interval(Real, None, 0, closed="right")],
        "same_limit": [Interval(Real, 0, None, closed="left")],
        "same_weight": [Interval(Real, 0, None, closed="left")],
        "n_persons": [IntRange(2)],
        "max_epochs": [IntRange(0)],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "device": [str],
        "n_jobs": [Integral, None],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        input_size=(250, 100),
        crop_size=(230, 80),
        n_channels=32,
        stem_size=7,
        stem_stride=3,
        n_parts=4,
        n_body=400,
        n_part=100,
        normalize=None,
        margin=-1.0,
        same_limit=0.01,
        same_weight=0.002,
        n_persons=5,
        n_triplets=20,
        max_epochs=100,
        learning_rate=1e-3,
        batch_size=64,
        device="auto",
        n_jobs=None,
        memory=None,
        random_state=None,
        verbose=0,
    ):
        self.input_size = input_size
        self.crop_size = crop_size
        self.n_channels = n_channels
        self.stem_size = stem_size
        self.stem_stride = stem_stride
        self.n_parts = n_parts
        self.n_body = n_body
        self.n_part = n_part
        self.normalize = normalize
        self.margin = margin
        self.same_limit = same_limit
        self.same_weight = same_weight
        self.n_persons = n_persons
        self.n_triplets = n_triplets
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train the network on triplets.

        Parameters
        ----------
        X : images, n of them
            As for :class:`skreid.MultiDepthReID`.
        y : array-like of shape (n,)
            Identity of each image, numbers or strings.

        Returns
        -------
        self : TCPNet

        Raises
        ------
        ValueError
            If a parameter is out of range, there are fewer than two identities, no identity has two images, or
            `crop_size` does not fit `input_size` or `n_parts`.
        ImageError
            If an image cannot be used; the message names the first one.

        Warns
        -----
        UserWarning
            If `input_size` is wide and the first image upright.
        """
        settings = self._settings(int(check_random_state(self.random_state).randint(2**31 - 1)))
        labelled = check_images(X, y, input_size=self._size("input_size"), n_jobs=self.n_jobs)
        images, identities = labelled.images, labelled.identities
        memory, device = self._memory(), self._resolve_device()
        origin = None
        if memory.location is not None:
            origin = origin_of(settings=settings, X=images.digest(), y=identities, device=device.type)
        with progress_bar("Training", "epoch", self.max_epochs, shown=self.verbose) as bar:

            def on_epoch(record):
                bar.set_postfix(loss=f"{record['train_loss']:.3f}", violated=f"{record['violated']:.2f}")
                bar.update()

            self.weights_, self.history_ = remember(
                memory,
                "triplet training",
                origin,
                lambda: train_triplets(images, identities, settings, device=device, on_epoch=on_epoch),
            )
        self.classes_, self.class_count_ = labelled.classes, np.bincount(identities)
        self.image_shape_ = images.size
        self.n_features_out_ = self.n_body + self.n_parts * self.n_part
        return self

    def transform(self, X):
        """Describe images by the outputs of the channels of the body and of the parts.

        Parameters
        ----------
        X : images, n of them
            As for `fit`.

        Returns
        -------
        descriptors : ndarray of shape (n, n_features_out_), float32

        Raises
        ------
        ImageError
            If an image cannot be used; the message names the first one.
        """
        check_is_fitted(self)
        images = ImageSource(X, self.image_shape_, self.n_jobs)
        descriptors = np.empty((len(images), self.n_features_out_), dtype=np.float32)
        with self._bar(len(images), "Describing", hidden=len(images) < BAR_FROM) as bar:
            copy_rows(self._describe_batches(images), descriptors, progress=bar.update)
        return descriptors

    def _describe_batches(self, images):
        """Yield the descriptors of each batch, on the network's device."""
        (network, device), window = self._network(), self._size("crop_size")
        for batch in images.batches(self.batch_size):
            with torch.inference_mode(), full_float32(device):
                descriptors = network(crop(to_unit(to_device(batch, device)), window))
            yield descriptors

    def get_feature_names_out(self, input_features=None):
        """Return a name for each dimension: its channel and its position within the channel.

        Parameters
        ----------
        input_features : None
            Ignored; images have no feature names.

        Returns
        -------
        names : ndarray of shape (n_features_out_,), object
            "body_0", ..., "part1_0", ...; parts are counted from the top.
        """
        check_is_fitted(self)
        body = [f"body_{place}" for place in range(self.n_body)]
        parts = [f"part{part + 1}_{place}" for part in range(self.n_parts) for place in range(self.n_part)]
        return np.array(body + parts, dtype=object)

    def _size(self, name):
        """Return a checked parameter that is a height and a width."""
        return check_frame_size(getattr(self, name), name, type(self).__name__)

    def _settings(self, seed):
        """Return the settings of the network and its training, checked against each other."""
        names = TripletSettings.__dataclass_fields__
        settings = TripletSettings(**{name: getattr(self, name) for name in names})
        settings = replace(settings, crop_size=self._size("crop_size"), random_state=seed)
        image = self._size("input_size")
        if any(window > side for window, side in zip(settings.crop_size, image, strict=True)):
            raise ValueError(f"crop_size={settings.crop_size} does not fit into input_size={image}.")
        rows = (settings.crop_size[0] + 2 * (settings.stem_size // 2) - settings.stem_size) // settings.stem_stride + 1
        if rows < settings.n_parts:
            raise ValueError(
                f"The first convolution leaves {rows} rows, too few for n_parts={settings.n_parts}: use a larger "
                "crop_size, or a smaller stem_stride."
            )
        return settings

    def _network(self):
        """Return the network, built when it is first needed on the current device, and that device."""
        device = self._resolve_device(fall_back=True)

        def build():
            network = build_network(self._settings(0))
            network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in self.weights_.items()})
            return network.eval().to(device)

        return self._live(device, (self.weights_,), build), device
