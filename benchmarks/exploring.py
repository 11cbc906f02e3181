"""Filter exploring against the direct way and against frame-size maps with torch.cdist; the forward pass is left out.

Run ``python -m benchmarks.exploring [--quick]``. The direct way upsamples, filters and subtracts for each pair and
filter; it and the frame-size way are timed on a sample and extrapolated: whole, they would take hours and minutes.
"""

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from benchmarks._common import in_turns, judged, peak_memory, print_table, run_script, write
from skreid._filters.pairs import pair_statistics
from skreid._images.source import ImageSource

FRAME, BLUR = (160, 60), 20
LAYERS = {"conv3_3": (256, 40, 15), "conv4_3": (512, 20, 7), "conv5_3": (512, 10, 3)}
TARGETS = {"direct": 10_000, "frame size": 40, "memory": 10}


def made_maps(n_images, n_filters=None, layers=LAYERS):
    """Return maps as a network would give them: halves of them zero, filters side by side in memory."""
    generator, maps = torch.Generator().manual_seed(0), {}
    for name in layers:
        channels, h, w = LAYERS[name]
        cells = torch.randn(n_images, h, w, n_filters or channels, generator=generator)
        maps[name] = cells.relu_().permute(0, 3, 1, 2)
    return maps


def explore(maps, n_identities):
    """Return skreid's statistics, its network replaced by maps at hand."""
    n_images = len(next(iter(maps.values())))
    numbers = np.arange(n_images).astype(np.uint16)
    pixels = np.zeros((n_images, *FRAME, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = numbers % 256, numbers // 256  # each picture holds its own number

    def network(batch, layers):
        chosen = batch[:, 0, 0, 0].long() + 256 * batch[:, 1, 0, 0].long()
        return {name: maps[name][chosen[0] : chosen[-1] + 1] for name in layers}

    labels = np.arange(n_images) * n_identities // n_images
    return pair_statistics(
        network, ImageSource(pixels), labels, layers=tuple(maps), blur_size=BLUR, batch_size=32,
        device=torch.device("cpu"), random_state=0, progress=lambda count: None,
    )  # fmt: skip


def in_order():
    """Replace the random order of images by the given one, so that batches are slices of the maps at hand."""
    import skreid._filters.pairs

    skreid._filters.pairs.identity_blocks = lambda labels, *_: [np.arange(len(labels))]


def direct(maps, pairs, n_filters):
    """Return mean distances the direct way over some pairs and filters of a layer."""
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
    """Return (d_same, d_different) of some filters from maps at frame size and torch.cdist."""
    upper = torch.triu(torch.ones_like(same), 1)
    chosen = maps[:, :n_filters]
    parts = [chosen] if whole else [chosen[:, [place]] for place in range(n_filters)]
    found = []
    for part in parts:
        large = torch.nn.functional.interpolate(part.contiguous(), size=FRAME, mode="bilinear").numpy()
        large = torch.from_numpy(uniform_filter(large, (0, 0, BLUR, BLUR), mode="mirror"))
        for place in range(large.shape[1]):
            rows = large[:, place].flatten(1)
            apart = torch.cdist(rows, rows)
            found.append([apart[same & upper].double().mean().item(), apart[~same & upper].double().mean().item()])
    return np.array(found).T


def small_memory(n_images, n_filters):
    """Return skreid's way on some filters of conv3_3, to be measured."""
    in_order()
    maps = made_maps(n_images, n_filters, ["conv3_3"])
    explore(made_maps(8, 4, ["conv3_3"]), 4)
    return lambda: explore(maps, n_images // 4)


def large_memory(n_images, n_filters):
    """Return the frame-size way on the same, with the layer's maps held as a layer of maps is."""
    maps = made_maps(n_images, n_filters, ["conv3_3"])["conv3_3"]
    labels = torch.arange(n_images) // 4
    return lambda: frame_size(maps, labels[:, None] == labels, n_filters, whole=True)


def main(out_folder=None, quick=False):
    """Time the three ways on the same maps, compare their figures and peaks, print and write ``exploring.json``."""
    n_images = 100 if quick else 500
    in_order()
    maps, labels = made_maps(n_images), torch.arange(n_images) * (n_images // 4) // n_images
    same, found = labels[:, None] == labels, {}
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.choice(n_images, 2, replace=False)) for _ in range(20)]
    n_pairs = n_images * (n_images - 1) // 2
    ways = {"skreid": lambda: found.update(skreid=explore(maps, n_images // 4))}
    for name, layer in maps.items():
        ways[f"direct {name}"] = lambda layer=layer: direct(layer, pairs, 4)
        ways[f"frame {name}"] = lambda layer=layer, name=name: found.update({name: frame_size(layer, same, 2)})
    seconds = in_turns(ways, 2)
    whole = {
        "skreid": seconds["skreid"],
        "direct": sum(seconds[f"direct {n}"] * n_pairs / len(pairs) * m.shape[1] / 4 for n, m in maps.items()),
        "frame size": sum(seconds[f"frame {n}"] * m.shape[1] / 2 for n, m in maps.items()),
    }
    error = max(
        np.abs(np.array([found["skreid"][name].d_same[:2], found["skreid"][name].d_different[:2]]) / exact - 1).max()
        for name in maps
        for exact in [exact_distances(maps[name][:, :2], same)]
    )
    n_filters = 8 if quick else 32
    peaks = {"skreid": peak_memory("exploring", "small_memory", n_images, n_filters),
             "frame size": peak_memory("exploring", "large_memory", n_images, n_filters)}  # fmt: skip
    rows = [
        {"against": way, "seconds": whole[way], "skreid": whole["skreid"], "times": whole[way] / whole["skreid"],
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
    results = {"quick": quick, "n_images": n_images, "rows": rows, "relative_error": error, "peak_mib": peaks,
               "targets": targets}  # fmt: skip
    return write("exploring", results, out_folder)


def exact_distances(maps, same):
    """Return (d_same, d_different) in float64 at frame size, by differences."""
    upper, found = torch.triu(torch.ones_like(same), 1), []
    for place in range(maps.shape[1]):
        large = torch.nn.functional.interpolate(maps[:, [place]].double().contiguous(), size=FRAME, mode="bilinear")
        rows = torch.from_numpy(uniform_filter(large.numpy(), (0, 0, BLUR, BLUR), mode="mirror"))[:, 0].flatten(1)
        rows = rows - rows.mean(dim=0)
        squares = (rows * rows).sum(dim=1)
        apart = (squares[:, None] + squares - 2 * rows @ rows.T).clamp(min=0).sqrt()
        found.append([apart[same & upper].mean().item(), apart[~same & upper].mean().item()])
    return np.array(found).T


if __name__ == "__main__":
    run_script(main, __doc__)
