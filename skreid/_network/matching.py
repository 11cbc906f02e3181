"""Which tensors of a file are a network's weights, whatever stands before their names, and what else the file holds."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from skreid._network.weight_files import as_array

_CHOOSE = "Choose the backbone the weights were made for (vgg16 and vgg16_bn differ, and so do resnet18 and resnet34)."


@dataclass(frozen=True)
class Match:
    """The weights of a network, found in a file.

    Attributes
    ----------
    weights : dict of str to ndarray
        All that the network needs, by its own names.
    prefix : str
        What stands before these names in the file, with the dot at its end.
    left : dict of str to int
        Everything else in the file: what the names begin with -> number of tensors.
    others : tuple of str
        Prefixes of other networks in the file that would fit as well, and have other values.
    """

    weights: dict
    prefix: str
    left: dict
    others: tuple


def match_weights(network, tensors, source):
    """Find the weights of a network among the tensors of a file.

    Parameters
    ----------
    network : Backbone
        Only the names and shapes of its weights count. Not modified.
    tensors : dict of str to tensor
        A whole model or only its features, with any prefix before the names (``features.``, ``module.``).
    source : str
        For messages.

    Returns
    -------
    match : Match
        Of several networks that fit, the first.

    Raises
    ------
    ValueError
        If weights are missing or have another shape; the message names the first.
    """
    own = network.layers.state_dict()
    needed = [name for name in own if not name.endswith("num_batches_tracked")]
    if not needed:
        raise ValueError(f"weights='{source}' are of no use: the backbone has no weights.")
    faults = {prefix: _faults(prefix, own, needed, tensors) for prefix in _prefixes(needed, tensors)}
    prefix = min(faults, key=lambda each: [len(found) for found in faults[each]])
    missing, beyond, misshapen = faults[prefix]
    if missing:
        raise ValueError(
            f"weights='{source}' do not belong to this backbone: {len(missing)} of {len(needed)} tensors are missing, "
            f"the first being {missing[0]!r}; the weights hold {', '.join(list(tensors)[:3])}, ... {_CHOOSE}"
        )
    if beyond:
        raise ValueError(
            f"weights='{source}' do not belong to this backbone: they are those of a larger network, with "
            f"{len(beyond)} more tensors, the first being {beyond[0]!r}. {_CHOOSE}"
        )
    for name in misshapen:
        given, wanted = tuple(tensors[prefix + name].shape), tuple(own[name].shape)
        raise ValueError(f"weights='{source}': {prefix + name!r} has shape {given}, the backbone needs {wanted}.")
    weights = _read(prefix, own, tensors, source)
    fitting = [each for each, found in faults.items() if each != prefix and not any(found)]
    others = tuple(each for each in fitting if _differ(weights, each, tensors, source))
    left = [name for name in tensors if not (name.startswith(prefix) and name.removeprefix(prefix) in own)]
    return Match(weights, prefix, _groups(left, prefix), others)


def _prefixes(needed, tensors):
    """Return the prefixes behind which most of the needed names are found, in the order of the file."""
    found, names, depth = Counter(), set(needed), max(name.count(".") for name in needed) + 1
    for key in tensors:
        parts = key.split(".")
        for start in range(max(0, len(parts) - depth), len(parts)):
            if ".".join(parts[start:]) in names:
                found["".join(f"{part}." for part in parts[:start])] += 1
    most = max(found.values(), default=0)
    return [prefix for prefix, count in found.items() if count == most] or [""]


def _faults(prefix, own, needed, tensors):
    """Return which names are missing behind a prefix, which have another shape, and which are too many."""
    missing = [name for name in needed if prefix + name not in tensors]
    there = [name for name in own if prefix + name in tensors]
    misshapen = [name for name in there if tuple(tensors[prefix + name].shape) != tuple(own[name].shape)]
    children = {name.partition(".")[0] for name in own}
    names = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
    beyond = [prefix + name for name in names if name.partition(".")[0] in children and name not in own]
    return missing, beyond, misshapen


def _read(prefix, own, tensors, source):
    """Return the weights behind a prefix, of the network's own types; refuse what is not a finite number."""
    weights = {}
    for name, tensor in own.items():
        wanted = np.dtype(str(tensor.dtype).removeprefix("torch."))
        if prefix + name not in tensors:  # a counter of batches, which older torch did not store
            weights[name] = np.zeros(tuple(tensor.shape), wanted) if tensor.is_meta else tensor.numpy(force=True)
            continue
        given = as_array(prefix + name, tensors[prefix + name], source)
        if given.dtype.kind not in "fiu":
            raise ValueError(f"weights='{source}': {prefix + name!r} holds {given.dtype}, the backbone needs {wanted}.")
        with np.errstate(over="ignore", invalid="ignore"):  # of another precision; what does not fit is reported below
            weights[name] = given.astype(wanted)
        if not np.isfinite(given).all() or not np.isfinite(weights[name]).all():
            raise ValueError(f"weights='{source}': {prefix + name!r} holds NaN or infinite values.")
        if wanted.kind != "f" and not np.array_equal(weights[name], given):
            raise ValueError(f"weights='{source}': {prefix + name!r} holds values that are no {wanted}.")
    return weights


def _differ(weights, prefix, tensors, source):
    """Return whether the network behind another prefix has other values."""
    for name, taken in weights.items():
        if prefix + name not in tensors:  # a counter of batches
            continue
        try:
            if not np.array_equal(taken, as_array(name, tensors[prefix + name], source).astype(taken.dtype)):
                return True
        except ValueError:  # it cannot even be read
            return True
    return False


def _groups(names, prefix):
    """Count names by what they begin with: one part more than they share with the prefix."""
    groups, taken = {}, prefix.split(".")[:-1]
    for name in names:
        parts = name.split(".")
        shared = next((i for i, (a, b) in enumerate(zip(parts, taken, strict=False)) if a != b), len(taken))
        group = ".".join(parts[: shared + 1])
        groups[group] = groups.get(group, 0) + 1
    return groups
