"""Exploring filters, compared with the direct way and with frame-size maps under torch.cdist.

Run ``python -m benchmarks.exploring [--quick]``. skreid's time is that of ``fit(max_epochs=0)`` with a network that
costs little; it includes reading the images, while the other two ways start from the same maps. The direct way
upsamples, blurs and subtracts for each pair and filter. It and the frame-size way are timed on a sample and
extrapolated: in full, they would take hours and minutes.
"""

from collections import OrderedDict
from functools import partial

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import nn

from benchmarks._common import in_turns, judged, limited, peak_memory, print_table, run_script, write
from skreid import MultiDepthReID

FRAME, BLUR = (160, 60), 20
TARGETS = {"direct": 10_000, "frame size": 40, "memory": 10}


class Thinned(nn.Module):
    """Every second cell of maps: what costs least and is still a smaller map, with zeros as after a ReLU."""

    def __init__(self, doubled):
        super().__init__()
        self.doubled = doubled

    def forward(self, maps):
        """Return maps of half the height and width; if `doubled`, also upside down, as further filters."""
        small = maps[:, :, 1::2, 1::2]
        return torch.cat([small, small.flip(2)], dim=1) if self.doubled else small


def network(n_filters=256, n_layers=3):
    """Build up to three layers; by default with the filters and cells of VGG16 at the ends of its deepest blocks."""
    first = nn.Sequential(nn.Conv2d(3, n_filters, 2, stride=4, bias=False), nn.ReLU())
    layers = {"conv3_3": first, "conv4_3": Thinned(doubled=True), "conv5_3": Thinned(doubled=False)}
    return nn.Sequential(OrderedDict(list(layers.items())[:n_layers]))


def pictures(n_images):
    """Return random images and their identities, four images per identity."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, *FRAME, 3), dtype=np.uint8)
    return images, np.arange(n_images) // 4


def explorer(backbone, layers):
    """Return an estimator whose `fit` trains nothing and only explores (Eqs. 2-4)."""
    return MultiDepthReID(
        backbone=backbone, layers=layers, blur_size=BLUR, criterion="margin", n_filters=1, max_epochs=0, batch_size=32,
        device="cpu", random_state=0,
    )  # fmt: skip


def as_a_network_leaves(maps):
    """Return maps as a tensor with filters side by side in memory."""
    return torch.from_numpy(maps).contiguous(memory_format=torch.channels_last)


def direct(maps, pairs, n_filters):
    """Return the summed distances of a sample of pairs, pair by pair, in the first filters of a layer."""
    total = 0.0
    for i, j in pairs:
        for place in range(n_filters):
            smooth = [
                uniform_filter(
                    torch.nn.functional.interpolate(maps[image, place][None, None], size=FRAME, mode="bilinear")[
                        0, 0
                    ].numpy(),
                    BLUR,
                    mode="mirror",
                )
                for image in (i, j)
            ]
            total += np.linalg.norm(smooth[0] - smooth[1])
    return total


def frame_size(maps, same, n_filters, whole=False):
    """Return (d_same, d_different) of the first filters from maps at frame size, by torch.cdist.

    With `whole`, the maps of all these filters are enlarged at once, else filter by filter.
    """
    upper = torch.triu(torch.ones_like(same), 1)
    chosen = maps[:, :n_filters]
    parts = [chosen] if whole else [chosen[:, [place]] for place in range(n_filters)]
    means = []
    for part in parts:
        large = torch.nn.functional.interpolate(part.contiguous(), size=FRAME, mode="bilinear").numpy()
        large = torch.from_numpy(uniform_filter(large, (0, 0, BLUR, BLUR), mode="mirror"))
        for place in range(large.shape[1]):
            rows = large[:, place].flatten(1)
            apart = torch.cdist(rows, rows)
            means.append([apart[same & upper].double().mean().item(), apart[~same & upper].double().mean().item()])
    return np.array(means).T


def products(maps, step=64):
    """Multiply the maps of all images by each other in each filter, and keep nothing: the bulk of all distances."""
    for layer in maps.values():
        for chosen in layer.split(step, dim=1):
            rows = chosen.permute(1, 0, 2, 3).flatten(2)
            torch.bmm(rows, rows.transpose(1, 2))


def small_memory(n_images, n_filters):
    """Return a function that explores conv3_3 with a few filters by skreid."""
    images, labels = pictures(n_images)
    reid = explorer(partial(network, n_filters, 1), ("conv3_3",)).fit(images[:8], labels[:8])
    return lambda: reid.fit(images, labels)


def large_memory(n_images, n_filters):
    """Return a function that explores the same maps at frame size; the maps are in memory already."""
    images, labels = pictures(n_images)
    reid = explorer(partial(network, n_filters, 1), ("conv3_3",)).fit(images[:8], labels[:8])
    maps, same = as_a_network_leaves(reid.feature_maps(images)["conv3_3"]), torch.from_numpy(labels[:, None] == labels)
    return lambda: frame_size(maps, same, n_filters, whole=True)


def main(out_folder=None, quick=False):
    """Time the three ways on the same maps, compare their results and peaks, print and write ``exploring.json``."""
    n_images = 100 if quick else 500
    images, labels = pictures(n_images)
    reid = explorer(network, ("conv3_3", "conv4_3", "conv5_3")).fit(images, labels)
    maps = reid.feature_maps(images)
    maps = {name: as_a_network_leaves(values) for name, values in maps.items()}
    same = torch.from_numpy(labels[:, None] == labels)
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.choice(n_images, 2, replace=False)) for _ in range(20)]
    n_pairs = n_images * (n_images - 1) // 2
    ways = {"skreid": lambda: reid.fit(images, labels)}
    for name, layer in maps.items():
        ways[f"direct {name}"] = lambda layer=layer: direct(layer, pairs, 4)
        ways[f"frame {name}"] = lambda layer=layer: frame_size(layer, same, 2)
    ways["products"] = lambda: products(maps)
    seconds = in_turns(ways, 2)
    whole = {
        "skreid": seconds["skreid"],
        "direct": sum(seconds[f"direct {n}"] * n_pairs / len(pairs) * m.shape[1] / 4 for n, m in maps.items()),
        "frame size": sum(seconds[f"frame {n}"] * m.shape[1] / 2 for n, m in maps.items()),
    }
    error = 0.0
    for name, layer in maps.items():
        ours = np.array([reid.filter_distances_[name][kind][:2] for kind in ("d_same", "d_different")])
        error = max(error, np.abs(ours / exact_distances(layer[:, :2], same) - 1).max())
    n_filters = 8 if quick else 32
    peaks = {"skreid": peak_memory("exploring", "small_memory", n_images, n_filters),
             "frame size": peak_memory("exploring", "large_memory", n_images, n_filters)}  # fmt: skip
    rows = [
        {"against": way, "seconds": whole[way], "skreid": whole["skreid"],
         "of the limit": seconds["products"] / whole["skreid"], "times": whole[way] / whole["skreid"],
         "target": float(TARGETS[way])}
        for way in ("direct", "frame size")
    ]  # fmt: skip
    print_table(f"exploring {n_images} images, {sum(m.shape[1] for m in maps.values())} filters, {n_pairs} pairs", rows)
    print(f"largest relative error of a mean distance, against float64 at frame size: {error:.1e}")
    ratio = peaks["frame size"] / peaks["skreid"]
    print(f"peak memory, {n_filters} filters of conv3_3: {peaks['skreid']:.0f} MiB against "
          f"{peaks['frame size']:.0f} MiB ({ratio:.1f} times, target {TARGETS['memory']})")  # fmt: skip
    targets = [
        judged(f"exploring: times faster than {row['against']}", row["times"], int(row["target"])) for row in rows
    ]
    targets.append(judged("exploring: times less memory than frame size", ratio, TARGETS["memory"]))
    limits = [limited(f"exploring {n_images} images, {sum(m.shape[1] for m in maps.values())} filters",
                      seconds["skreid"], "the products of all maps of each filter", seconds["products"])]  # fmt: skip
    results = {"quick": quick, "n_images": n_images, "rows": rows, "relative_error": error, "peak_mib": peaks,
               "limits": limits, "targets": targets}  # fmt: skip
    return write("exploring", results, out_folder)


def exact_distances(maps, same):
    """Return (d_same, d_different) in float64 at frame size, by differences."""
    upper, means = torch.triu(torch.ones_like(same), 1), []
    for place in range(maps.shape[1]):
        large = torch.nn.functional.interpolate(maps[:, [place]].double().contiguous(), size=FRAME, mode="bilinear")
        rows = torch.from_numpy(uniform_filter(large.numpy(), (0, 0, BLUR, BLUR), mode="mirror"))[:, 0].flatten(1)
        rows = rows - rows.mean(dim=0)
        squares = (rows * rows).sum(dim=1)
        apart = (squares[:, None] + squares - 2 * rows @ rows.T).clamp(min=0).sqrt()
        means.append([apart[same & upper].mean().item(), apart[~same & upper].mean().item()])
    return np.array(means).T


if __name__ == "__main__":
    run_script(main, __doc__)
