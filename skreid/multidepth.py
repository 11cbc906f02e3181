"""MultiDepthReID: train a network on identities, explore its filters, describe images, rank galleries.

The steps of the method in order; the arithmetic of each step lives in a module of its own.
"""

import os
import warnings
from contextlib import nullcontext
from copy import copy
from functools import partial
from numbers import Integral, Real

import joblib
import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skreid._base.checks import check_choice, check_frame_size, did_you_mean, is_int
from skreid._base.constraints import IntRange
from skreid._base.provenance import origin_of
from skreid._estimator.base import BAR_FROM, NetworkEstimator
from skreid._estimator.callbacks import FitCallbacks, learned_attributes
from skreid._estimator.inputs import FitInputs, check_backbone, check_images, check_maps
from skreid._filters.choosing import choose_filters, score_filters
from skreid._filters.pairs import DISTANCES, pair_statistics
from skreid._filters.smoothing import ROOTED, BoxFilter, compact_maps, scale_maps, smooth_maps
from skreid._filters.whitening import check_whitening, whitening_matrices
from skreid._images.batches import to_device
from skreid._images.docs import fill_images
from skreid._images.source import ImageSource
from skreid._network.device import copy_rows
from skreid._network.layers import check_layers, deepest_layers, identity_of, map_shapes
from skreid._network.precision import PRECISIONS, reading_precision, training_precision
from skreid._network.reader import MapReader
from skreid._network.weights import initial_weights
from skreid._training.augmentation import AUGMENTATIONS
from skreid._training.cache import remember, remember_each
from skreid._training.checkpoint import Checkpoint
from skreid._training.loop import TrainingSettings, train
from skreid._training.parallel import from_first
from skreid._version import __version__

PAPER_SETTING = {  # over the defaults
    "blur_size": 20,
    "sampling": "pixel",
    "n_filters": 1,
    "criterion": "margin",
    "normalize": None,
}
STRONGEST = {"n_filters": 256, "normalize": "rooted"}  # over the defaults: for a metric behind it, which whitens too
NORMALIZATIONS = (None, "l2", "centered", "rooted", "whitened")


class MultiDepthReID(CallbackSupportMixin, NetworkEstimator):
    """Multi-depth deep similarity descriptors for person re-identification.

    A VGG network learns to tell the training people apart. In several of its layers, it keeps the filters whose
    smoothed maps differ most between people and least for the same person. The descriptor of an image concatenates the
    smoothed maps of these filters. A gallery is ranked by Euclidean distance.

    Parameters
    ----------
    backbone : str or callable, default="vgg16_bn"
        A torchvision model name (the paper uses "vgg16", which needs pretrained `weights`); "timm:" and the name of a
        timm model; or a callable without arguments that returns a `torch.nn.Sequential`: the names of its children are
        the layers to choose from. Define the callable at the top level of a module if the estimator is to be pickled or
        searched with `n_jobs`.
    weights : str, path-like or None, default=None
        Initial weights: None for random ones, a torchvision name ("IMAGENET1K_V1", "DEFAULT"), "DEFAULT" for a timm
        model, or the path of a state dict, checkpoint or safetensors file (of the whole model, or of its features).
    input_size : tuple of two int or None, default=(160, 60)
        Height and width of the frame in pixels, to which every image is resized; None takes those of the first image.
        For another height, set `blur_size` to an eighth of it: (height // 8, None).
    max_epochs : int, default=30
        Maximum number of training epochs; 0 keeps the initial weights.
    batch_size : int, default=16
        Images per training step, and per forward pass elsewhere. Exploring and `transform` read up to 256 at once on a
        CUDA device, as far as its memory allows.
    learning_rate : float, default=1e-3
        Highest learning rate. Layers that start from `weights` learn at three tenths of it.
    validation_fraction : float, default=0.0
        Share of the training images, taken from within identities, that is held out to decide when to stop; the epoch
        of the highest validation accuracy is kept. 0 learns from all images and keeps the epoch of the lowest loss.
    n_iter_no_change : int, default=10
        Training stops after this many epochs in a row in which neither the accuracy rose nor the loss fell, on the
        images held out or, without these, on the training images.
    augment : bool or sequence of str, default=("flip", "crop")
        Random changes of the training images: all, none, or some of "flip", "crop", "color", "erase". The last two make
        learning slower, and need more epochs.
    layers : int, str, sequence of str or None, default=None
        Layers to describe by. An int is the number of deepest blocks (the maps of a block have one size), each
        described by its last layer: 3 is ``("conv3_3", "conv4_3", "conv5_3")`` for VGG16. Names choose any layers. None
        is 3, or as many as the backbone has.
    blur_size : int, or tuple of two int or None, default=(20, None)
        Size of the box filter in frame pixels (Eq. 1): one side of a square, or height and width, where None stands for
        the whole frame. The paper uses 20; 1 does not blur. With ``(20, None)`` a box is a strip across the frame: its
        value says how strongly the filter responds at that height.
    sampling : {"box", "pixel"}, default="box"
        Where the box filter stands. "box": boxes side by side tile the frame, as many as fit best; each gives one
        value. "pixel": around every pixel, as in the paper; a descriptor holds such maps in a compact form.
    n_filters : int, default=64
        Number of filters chosen in each layer. The paper uses 1.
    criterion : {"margin", "dprime", "joint"}, default="joint"
        How filters are chosen. "margin": by the difference of the mean distances of different people and of the same
        person (Eq. 4). "dprime": by that difference in units of the distances' spread. "joint": one at a time, each by
        what it adds to the filters chosen before.
    normalize : {"whitened", "rooted", "centered", "l2"} or None, default="whitened"
        How each layer's part of a descriptor is scaled. "l2": to unit length. "centered": minus the mean of the
        training images, then to unit length. "rooted": the same with signed square roots, so that a few strong
        responses do not dominate. "whitened": roots minus their mean, then whitened, so that directions in which images
        of one training person vary count less, then to unit length; `fit` reads the training images once more for it.
        None: not at all, as in the paper.
    average_flips : bool, default=False
        Whether to average the maps of an image and its mirror image: better, in twice the time. Set it before `fit`.
    device : str, default="auto"
        Where the network runs: a torch device, or "auto" for CUDA if available. A fitted estimator that is loaded
        where its device is missing describes on the CPU, with a warning.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the network's computations. "auto" trains in bfloat16 where the device multiplies it natively,
        which is about twice as fast, and in float32 elsewhere; it explores and describes in float32. "bfloat16" uses
        bfloat16 throughout, on any device; distances between descriptors then change by about one percent. Weights,
        losses and descriptors are always float32.
    n_jobs : int or None, default=None
        Number of threads that decode images, as in joblib.
    on_error : {"raise", "nan"}, default="raise"
        What happens if an image cannot be used. "raise": an error names it. "nan": `fit` leaves it out, `transform`
        returns a row of NaN, and one warning lists all such images.
    memory : str, path-like, joblib.Memory or None, default=None
        Where to cache training and exploring: a search over parameters that are used after training trains once per
        fold. The cache is not used with ``random_state=None``; nor for training under a callback that watches epochs
        (any but `sklearn.callback.ProgressBar`). Processes may share it: if several need the same training at the same
        time, each runs it and all store the same result.
    checkpoint : str, path-like or None, default=None
        Folder where training saves its state after each epoch. After an interruption, the same call to `fit` resumes
        from the last epoch and ends with the same weights (on a GPU, up to rounding). State of other data or settings
        is refused, so each training needs its own folder; in searches use `memory` instead. Needs an integer
        `random_state`.
    random_state : int, RandomState or None, default=None
        Seeds all random draws. Equal seeds give equal weights on a CPU with equally many threads, and weights that are
        equal up to rounding on a GPU.
    verbose : int, default=0
        1 shows progress bars, and what was taken from a file of `weights`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_identities,)
        The training identities.
    class_count_ : ndarray of shape (n_identities,)
        Number of training images of each of them.
    image_shape_ : tuple of int
        Height and width of the frame.
    history_ : list of dict
        One record per epoch: epoch (its position in the list: 0 is the first, which bars and pictures call 1),
        learning_rate, train_loss, train_accuracy, validation_loss, validation_accuracy (NaN if nothing could be held
        out), seconds, best.
    weights_ : dict of str to ndarray
        The trained network, with the names that torchvision, timm or the callable have for its weights.
    normalization_ : tuple of two tuples of three floats
        Mean and standard deviation of the network's RGB input, in [0, 1].
    layers_ : tuple of str
        The layers described by.
    filters_ : dict of str to ndarray of shape (n_filters,)
        Layer -> chosen filters, best first.
    filter_distances_ : dict of str to dict
        Layer -> "d_same", "d_different" (Eqs. 2-3), "std_same", "std_different": one value per filter;
        "n_same", "n_different": the number of pairs.
    filter_scores_ : dict of str to ndarray of shape (n_filters,)
        Layer -> what `criterion` saw in each chosen filter, best first: its margin, its margin in units of the spread,
        or, for "joint", d' of the sum of the squared distances of all filters up to it.
    map_shapes_ : dict of str to tuple of int
        Layer -> height and width of its maps.
    blur_size_ : tuple of two int or None
        Height and width of the box filter.
    sampling_ : {"box", "pixel"}
        Where it stands.
    mean_maps_ : dict of str to ndarray of shape (n_filters, h, w)
        Layer -> mean smoothed map of each chosen filter over the training images, in the compact form that descriptors
        use: `h` and `w` are the layer's own, or the number of boxes that stand side by side if that is smaller.
    mean_roots_ : dict of str to ndarray of shape (n_filters, h, w)
        Layer -> mean of the signed square roots of the same values.
    whitening_ : dict of str to ndarray of shape (d, d)
        Layer -> the symmetric matrix by which its centred roots, d values, are multiplied: the inverse square root of
        their scatter about the mean of each training identity, three tenths of it spread evenly over all directions.
        Empty unless ``normalize="whitened"``.
    n_features_out_ : int
        Number of dimensions of a descriptor.

    See Also
    --------
    skreid.rank_gallery : Ranking by any transformer or Pipeline.
    skreid.cmc_score : The scorer for cross-validation and searches.

    Notes
    -----
    A descriptor does not hold the smoothed maps of frame size but ``P_h F P_w`` for each map ``F``, where ``P`` is the
    polar factor of the operator that upsamples and blurs along one axis, or the means of boxes side by side, times the
    root of their size. With ``normalize=None``, Euclidean distances are exactly those of the smoothed maps, with as few
    values as the small maps have.

    References
    ----------
    Sezavar, Farsi, Mohamadzadeh, "Multi-Depth Deep Similarity Learning for Person Re-Identification", Jordan
    Journal of Electrical Engineering, 2022.

    Examples
    --------
    >>> from skreid import MultiDepthReID
    >>> from skreid.datasets import make_pedestrians
    >>> people = make_pedestrians(n_identities=4, image_size=(32, 16), random_state=0)
    >>> reid = MultiDepthReID(backbone="vgg11_bn", input_size=(32, 16), max_epochs=1, blur_size=4,
    ...                       random_state=0).fit(people.images, people.target)
    >>> reid.transform(people.images).shape
    (16, 2688)
    >>> distances, indices = reid.kneighbors(people.images[:2], people.images, n_neighbors=3)
    >>> indices[:, 0]
    array([0, 1])
    """

    __metadata_request__fit = {"cams": True}  # noqa: RUF012 - scikit-learn's way to set a default request

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's name and form
        "backbone": [str, callable],
        "weights": "no_validation",  # checked by `initial_weights`, whose message prints no arrays
        "input_size": "no_validation",  # checked by `check_frame_size`
        "max_epochs": [IntRange(0)],
        "batch_size": [IntRange(2)],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_iter_no_change": [IntRange(1)],
        "augment": ["boolean", "array-like"],
        "layers": [IntRange(1), str, "array-like", None],
        "blur_size": "no_validation",  # checked by `_check_blur_size`
        "n_filters": [IntRange(1)],
        "sampling": [StrOptions({"box", "pixel"})],
        "criterion": [StrOptions({"margin", "dprime", "joint"})],
        "normalize": [StrOptions({"l2", "centered", "rooted", "whitened"}), None],
        "average_flips": ["boolean"],
        "device": [str],
        "precision": [StrOptions(set(PRECISIONS))],
        "n_jobs": [Integral, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _doc_link_module = "skreid"
    _doc_link_template = "https://skreid.readthedocs.io/en/stable/api/skreid.{estimator_name}.html"

    def __init__(
        self,
        *,
        backbone="vgg16_bn",
        weights=None,
        input_size=(160, 60),
        max_epochs=30,
        batch_size=16,
        learning_rate=1e-3,
        validation_fraction=0.0,
        n_iter_no_change=10,
        augment=("flip", "crop"),
        layers=None,
        blur_size=(20, None),
        sampling="box",
        n_filters=64,
        criterion="joint",
        normalize="whitened",
        average_flips=False,
        device="auto",
        precision="auto",
        n_jobs=None,
        on_error="raise",
        memory=None,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.weights = weights
        self.input_size = input_size
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.augment = augment
        self.layers = layers
        self.blur_size = blur_size
        self.sampling = sampling
        self.n_filters = n_filters
        self.criterion = criterion
        self.normalize = normalize
        self.average_flips = average_flips
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.memory = memory
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    @fill_images
    def fit(self, X, y, cams=None):
        """Train the network on identities, explore its filters and choose the best of each layer.

        Parameters
        ----------
        %(images)s
        y : array-like of shape (n,)
            Identity of each image, numbers or strings.
        cams : array-like of shape (n,), optional
            Camera of each image. If given, filters are explored on pairs across cameras only.

        Returns
        -------
        self : MultiDepthReID

        Raises
        ------
        ValueError
            If an image cannot be used (`skreid.exceptions.ImageError` names it), there is only one identity, no
            identity has two images, or a requested layer or filter does not exist.
        FloatingPointError
            If the loss, the weights or the maps are not finite.
        OSError, RuntimeError
            If the checkpoint cannot be written, or another training uses its folder.

        Warns
        -----
        UserWarning
            If `input_size` is wide and the first image upright.
        """
        data = self._check_inputs(X, y, cams)  # everything that can fail does so before the long training
        with FitCallbacks(self, X, y, cams) as callbacks:
            weights, history = self._train(data, callbacks)  # Fig. 3, phase 1: learn to tell people apart
            statistics = self._explore(data, weights)  # phase 2, Eqs. 1-3: smooth maps, compare pairs of images
            filters = self._choose(statistics)  # phase 2, Eq. 4: the filters that keep people apart
            whitening = self._whiten(data, weights, statistics, filters)  # how images of one person vary
            self._keep(data, weights, history, statistics, filters, whitening)
        return self

    def _check_inputs(self, X, y, cams):
        """Check all that can be checked before training."""
        check_backbone(self.backbone)
        layers = check_layers(self.layers, self.backbone)
        input_size = check_frame_size(self.input_size, "input_size", type(self).__name__, none=True)
        labelled = check_images(X, y, cams, input_size=input_size, n_jobs=self.n_jobs, on_error=self.on_error)
        layers, shapes = check_maps(layers, self.n_filters, self.backbone, labelled.images.size)
        augment, box = self._check_augment(), BoxFilter(*self._check_blur_size(), self.sampling)
        if self.normalize == "whitened":
            maps = {layer: shapes[layer][1:] for layer in layers}
            check_whitening(maps, self.n_filters, labelled.images.size, box)
        memory = self._memory()
        seed = from_first(lambda: int(check_random_state(self.random_state).randint(2**31 - 1)))
        if self.checkpoint is not None and self.random_state is None:
            raise ValueError("checkpoint needs random_state to be an int: training resumes with the same seed only.")
        initial, *normalization = initial_weights(self.weights, self.backbone, self._say)
        pixels = network = None
        if memory.location is not None or self.checkpoint is not None:
            pixels = labelled.images.digest()
            network = list(identity_of(self.backbone, seed, labelled.images.size))
        return FitInputs(
            **vars(labelled),
            layers=layers,
            map_shapes=shapes,
            augment=augment,
            box=box,
            initial=initial,
            normalization=tuple(normalization),
            seed=seed,
            device=self._resolve_device(),
            memory=memory,
            pixels=pixels,
            network=network,
        )

    def _train(self, data, callbacks):
        """Fig. 3, phase 1: the network learns to tell the training people apart."""
        mean, std = data.normalization
        settings = TrainingSettings(
            backbone=self.backbone,
            initial=data.initial,
            mean=mean,
            std=std,
            max_epochs=int(self.max_epochs),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            validation_fraction=float(self.validation_fraction),
            n_iter_no_change=int(self.n_iter_no_change),
            augment=data.augment,
            random_state=data.seed,
            precision=training_precision(self.precision, data.device),
        )
        origin = self._training_origin(data, settings)

        def compute():
            learned_after = partial(self._learned_after, data)
            with callbacks.training(learned_after), self._checkpoint(origin) as checkpoint:
                return train(
                    data.images,
                    data.identities,
                    settings,
                    device=data.device,
                    on_epoch=callbacks.on_epoch_end,
                    checkpoint=checkpoint,
                )

        memory = joblib.Memory(None) if callbacks.watch_epochs else data.memory
        return remember(memory, "training", origin, compute)

    def _training_origin(self, data, settings):
        """Return the origin of the weights; None if neither a cache nor a checkpoint needs it."""
        if data.pixels is None:
            return None
        parts = vars(settings) | {"backbone": data.network, "weights": data.initial}
        del parts["initial"]  # recorded as weights, the name of the parameter
        return origin_of(**parts, X=data.pixels, y=data.identities, device=data.device.type, skreid=__version__)

    def _checkpoint(self, origin):
        """Return the checkpoint of training, a context manager that yields None if there is none."""
        return nullcontext() if self.checkpoint is None else Checkpoint(self.checkpoint, origin)

    def _explore(self, data, weights):
        """Fig. 3, phase 2, Eqs. 1-3: pair distances of every filter, {layer: PairStatistics}."""
        read_by = self._read_by(data, weights)
        compared_by = {
            "box": data.box,
            "cams": data.cams,
            "covariance": self.criterion == "joint",
            "random_state": data.seed,
        }

        def compute(layers):
            reader = MapReader(self.backbone, device=data.device, layers=layers, **read_by)
            with self._bar(len(data.images), "Exploring") as bar:
                return pair_statistics(
                    reader,
                    data.images,
                    data.identities,
                    layers=layers,
                    batch_size=reader.batch_size(self.batch_size, data.images.size),
                    progress=bar.update,
                    **compared_by,
                )

        origin = self._reading_origin(data, **read_by, **compared_by)
        return remember_each(data.memory, "pair statistics", origin, data.layers, compute)

    def _read_by(self, data, weights):
        """Return the arguments of a reader of maps that decide what it reads."""
        return {
            "weights": weights,
            "normalization": data.normalization,
            "precision": reading_precision(self.precision),
            "average_flips": bool(self.average_flips),
        }

    def _reading_origin(self, data, **parts):
        """Return the origin of what is computed from the maps of the training images; None without a cache."""
        if data.memory.location is None:
            return None
        given = {"X": data.pixels, "y": data.identities, "backbone": data.network, "device": data.device.type}
        return origin_of(**given, **parts)

    def _choose(self, statistics):
        """Fig. 3, phase 2, Eq. 4: the filters of each layer that keep people furthest apart, best first."""
        return {layer: choose_filters(moments, self.criterion, self.n_filters) for layer, moments in statistics.items()}

    def _whiten(self, data, weights, statistics, filters):
        """Whitening of each layer's part of a descriptor, {layer: (d, d)}; empty where none is asked for."""
        if self.normalize != "whitened":
            return {}
        read_by = self._read_by(data, weights)
        means = {layer: moments.mean_root[filters[layer]] for layer, moments in statistics.items()}

        def compute():
            reader = MapReader(self.backbone, device=data.device, layers=data.layers, **read_by)
            batch_size = reader.batch_size(self.batch_size, data.images.size)
            reader, remaining = reader.choose(filters)
            with self._bar(len(data.images), "Whitening") as bar:
                return whitening_matrices(
                    reader,
                    data.images,
                    data.identities,
                    remaining=remaining,
                    box=data.box,
                    means=means,
                    batch_size=batch_size,
                    progress=bar.update,
                )

        origin = self._reading_origin(data, **read_by, box=data.box, filters=filters, means=means)
        return remember(data.memory, "whitening", origin, compute)

    def _keep(self, data, weights, history, statistics, filters, whitening):
        """Set the learned attributes."""
        self.classes_, self.class_count_ = data.classes, np.bincount(data.identities)
        self.image_shape_ = data.images.size
        self.normalization_ = data.normalization
        self.weights_ = weights
        self.history_ = history
        self.layers_ = data.layers
        self.map_shapes_ = {layer: data.map_shapes[layer][1:] for layer in data.layers}
        self.blur_size_, self.sampling_ = data.box[:2], data.box.sampling
        self.filters_ = filters
        self.filter_distances_ = {
            layer: {name: getattr(moments, name) for name in DISTANCES} for layer, moments in statistics.items()
        }
        self.filter_scores_ = {
            layer: score_filters(moments, self.criterion, filters[layer]) for layer, moments in statistics.items()
        }
        self.mean_maps_ = {layer: moments.mean_map[filters[layer]] for layer, moments in statistics.items()}
        self.mean_roots_ = {layer: moments.mean_root[filters[layer]] for layer, moments in statistics.items()}
        self.whitening_ = whitening
        self.n_features_out_ = sum(mean_map.size for mean_map in self.mean_maps_.values())

    def _learned_after(self, data, weights, history):
        """Return the attributes that a fit ending with these weights would learn."""
        ended = copy(self)
        statistics = ended._explore(data, weights)
        filters = ended._choose(statistics)
        whitening = ended._whiten(data, weights, statistics, filters)
        ended._keep(data, weights, history, statistics, filters, whitening)
        return learned_attributes(ended)

    @fill_images
    def transform(self, X):
        """Describe images by the smoothed maps of the chosen filters.

        Parameters
        ----------
        %(images)s

        Returns
        -------
        descriptors : ndarray of shape (n, n_features_out_), float32
            Layer by layer, filter by filter (best first), row by row. With ``normalize=None``, Euclidean distances
            between descriptors equal those between the concatenated smoothed maps of frame size; otherwise each layer's
            part is scaled first, as `normalize` says.

        Raises
        ------
        ImageError
            If an image cannot be used, unless ``on_error="nan"``; the message names the first one.
        """
        check_is_fitted(self)
        self._scaled_by()  # may refuse `normalize`, before images are read
        images = ImageSource(X, self.image_shape_, self.n_jobs, self.on_error)
        descriptors = np.empty((len(images), self.n_features_out_), dtype=np.float32)
        with self._bar(len(images), "Describing", hidden=len(images) < BAR_FROM) as bar:
            copy_rows(self._describe_batches(images), descriptors, progress=bar.update)
        descriptors[list(images.unusable)] = np.nan
        images.warn_unusable("described by NaN")
        return descriptors

    def _describe_batches(self, images):
        """Yield the descriptors of each batch, on the network's device."""
        (reader, remaining), box = self._chosen_reader(), self._box()
        means, whitening = (
            {layer: to_device(torch.from_numpy(np.array(values)), reader.device) for layer, values in learned.items()}
            for learned in self._scaled_by()
        )
        for batch in images.batches(reader.batch_size(self.batch_size, images.size)):
            parts = []
            for layer, maps in reader(batch, self.layers_).items():
                maps = compact_maps(maps, self.image_shape_, box, remaining[layer])  # Eq. 1
                parts.append(scale_maps(maps, self.normalize, means.get(layer), whitening.get(layer)))
            yield torch.cat(parts, dim=1)

    def _box(self):
        """Return the box filter that the estimator was fitted with."""
        return BoxFilter(*self.blur_size_, self.sampling_)

    def _scaled_by(self):
        """Return layer -> mean, and layer -> whitening matrix, as `normalize` needs them."""
        check_choice(self.normalize, "normalize", type(self).__name__, NORMALIZATIONS)
        if self.normalize == "whitened" and not self.whitening_:
            raise ValueError("normalize='whitened' was not set when this estimator was fitted: fit it again.")
        means = self.mean_roots_ if self.normalize in ROOTED else self.mean_maps_
        means = {} if self.normalize in (None, "l2") else means
        return means, self.whitening_ if self.normalize == "whitened" else {}

    def feature_maps(self, X, layers=None, smooth=False):
        """Compute the feature maps of all filters of one or more layers.

        Parameters
        ----------
        X : images, n of them
            As for `fit`.
        layers : int, str, sequence of str or None, default=None
            As the parameter of the same name; None for `layers_`.
        smooth : bool, default=False
            If True, maps are upsampled to the frame and box-blurred (Eq. 1); otherwise they are returned as the
            network computes them, after the ReLU. With ``average_flips=True``, maps are the mean of those of an image
            and of its mirror image, mirrored back.

        Returns
        -------
        maps : dict of str to ndarray of shape (n, n_filters, h, w), float32
            ``h, w`` are those of the frame if `smooth`, else the layer's own.
        """
        check_is_fitted(self)
        layers = check_layers(layers, self.backbone) or self.layers_
        if not isinstance(layers, tuple):
            layers = deepest_layers(layers, map_shapes(self.backbone, self.image_shape_), self.backbone)
        reader, batches = self._reader(), {layer: [] for layer in layers}
        batch_size = reader.batch_size(self.batch_size, self.image_shape_)
        for batch in ImageSource(X, self.image_shape_, self.n_jobs).batches(batch_size):
            for layer, maps in reader(batch, layers).items():
                if smooth:
                    maps = smooth_maps(maps, self.image_shape_, self._box())
                batches[layer].append(maps.contiguous().numpy(force=True))
        return {layer: np.concatenate(parts) for layer, parts in batches.items()}

    def get_feature_names_out(self, input_features=None):
        """Return the name of each dimension of a descriptor: its layer, filter, row and column.

        Parameters
        ----------
        input_features : None
            Ignored; images have no feature names.

        Returns
        -------
        names : ndarray of shape (n_features_out_,), object
            Such as "conv4_3_f17_r2_c0".
        """
        check_is_fitted(self)
        return np.array(
            [
                f"{layer}_f{chosen}_r{row}_c{column}"
                for layer in self.layers_
                for chosen in self.filters_[layer]
                for row in range(self.mean_maps_[layer].shape[1])
                for column in range(self.mean_maps_[layer].shape[2])
            ],
            dtype=object,
        )

    def _check_blur_size(self):
        """Return the height and width of the box filter; None spans the frame."""
        sides = (self.blur_size, self.blur_size) if is_int(self.blur_size) else self.blur_size
        sides = tuple(sides) if isinstance(sides, (tuple, list, np.ndarray)) else ()
        if len(sides) != 2 or not all(side is None or is_int(side) for side in sides):
            raise ValueError(
                "The 'blur_size' parameter of MultiDepthReID must be an int in the range [1, inf), or a height and a "
                f"width, each such an int or None for the whole frame. Got {self.blur_size!r} instead."
            )
        return sides

    def _check_augment(self):
        """Return the kinds of augmentation."""
        if isinstance(self.augment, (bool, np.bool_)):
            return AUGMENTATIONS if self.augment else ()
        for kind in self.augment:
            if kind not in AUGMENTATIONS:
                raise ValueError(
                    f"The 'augment' parameter of MultiDepthReID must be a bool or some of {AUGMENTATIONS}. "
                    f"Got {kind!r} instead.{did_you_mean(kind, AUGMENTATIONS)}"
                )
        return tuple(self.augment)

    def _reader(self):
        """Return the live network."""
        return self._live_reader("whole", None, lambda reader: reader)

    def _chosen_reader(self):
        """Return the part of the live network that the chosen filters need, and which filters to take of its maps."""
        return self._live_reader("chosen", self.layers_, lambda reader: reader.choose(self.filters_))

    def _live_reader(self, part, layers, finish):
        """Return a part of the network on the current device, built on first use."""
        device = self._resolve_device(fall_back=True)
        how = reading_precision(self.precision), bool(self.average_flips)
        readers = self._live((self.backbone, device, *how), (self.weights_, self.filters_), dict)
        if part not in readers:
            reader = MapReader(self.backbone, self.weights_, self.normalization_, device, layers, *how)
            readers[part] = finish(reader)
        return readers[part]

    def __getstate__(self):
        return super().__getstate__() | {"_skreid_version": __version__}

    def __setstate__(self, state):
        saved = state.get("_skreid_version", "of an unknown version")
        if saved != __version__:
            warnings.warn(
                f"This {type(self).__name__} was saved by skreid {saved} and is loaded by skreid {__version__}: its "
                f"descriptors may differ. Fit it again, or use skreid {saved}.",
                stacklevel=2,
            )
        super().__setstate__({name: value for name, value in state.items() if name != "_skreid_version"})
