"""Objects of SciPy and scikit-learn that a file without code cannot hold: their names and arguments are saved instead.

SciPy's distributions run text that is part of their state, so a file of a stranger must not hold one. Scikit-learn's
requests for metadata refer back to their owner, which skops cannot follow.
"""

import io
import pickle

import numpy as np
from scipy import stats
from scipy.stats.distributions import rv_frozen
from sklearn.utils.metadata_routing import MetadataRequest


class _StandIn:
    """Saved as its class and arguments. To call the class with them, as loading does, builds the object itself."""

    def __new__(cls, *arguments):
        return cls._build(*arguments)

    def __reduce__(self):
        return type(self), self.arguments


class Distribution(_StandIn):
    """A distribution of `scipy.stats`, by name, with its arguments."""

    @staticmethod
    def arguments_of(frozen):
        """Return name and arguments, or None if the distribution is not one of SciPy's own."""
        name = frozen.dist.name
        if type(getattr(stats, str(name), None)) is not type(frozen.dist):
            return None
        return name, frozen.args, frozen.kwds

    @staticmethod
    def _build(name, args, kwds):
        known = vars(stats).get(name)
        if not isinstance(known, (stats.rv_continuous, stats.rv_discrete)):
            raise ValueError(f"{name!r} is not a distribution of scipy.stats")
        return known(*args, **kwds)


class Request(_StandIn):
    """What an estimator requests by scikit-learn's metadata routing, with its class's name as owner."""

    @staticmethod
    def arguments_of(request):
        """Return the name of the owner, and the requests by method and parameter."""
        requests = {method: dict(each.requests) for method, each in vars(request).items() if hasattr(each, "requests")}
        owner = request.owner if isinstance(request.owner, str) else type(request.owner).__name__
        return owner, requests

    @staticmethod
    def _build(owner, requests):
        request = MetadataRequest(owner=owner)
        for method, aliases in requests.items():
            for param, alias in aliases.items():
                getattr(request, method).add_request(param=param, alias=alias)
        return request


class _Copier(pickle.Pickler):
    def reducer_override(self, value):
        for kind, stand_in in ((rv_frozen, Distribution), (MetadataRequest, Request)):
            if isinstance(value, kind):
                arguments = stand_in.arguments_of(value)
                return NotImplemented if arguments is None else (_stand_in, (stand_in, arguments))
        if isinstance(value, np.memmap):  # skops cannot load one
            return value.view(np.ndarray).__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        return NotImplemented


def _stand_in(kind, arguments):
    instance = object.__new__(kind)
    instance.arguments = arguments
    return instance


def with_stand_ins(value):
    """Return a copy of an object that skops can save. It shares the memory of its arrays with the original.

    Raises
    ------
    Exception
        Of any type, if the object cannot be pickled.
    """
    file, buffers = io.BytesIO(), []
    _Copier(file, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append).dump(value)
    return pickle.loads(file.getbuffer(), buffers=buffers)
