"""Describing images, compared with the bare network: from memory, from files, by shallow layers; and what size costs.

Run ``python -m benchmarks.transform [--quick]``. Each ratio compares throughputs on the same images. Rank-1 is measured
on drawn people with descriptors of full and of reduced dimension.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection
from torchvision import models

from benchmarks._bare import convolutions
from benchmarks._common import in_turns, judged, limited, print_table, run_script, write
from benchmarks._data import box
from benchmarks.accuracy import systems
from benchmarks.descriptors import limit_of
from skreid import STRONGEST, MultiDepthReID, cmc_score
from skreid.datasets import make_pedestrians
from skreid.model_selection import IdentityShuffleSplit

FRAME, BATCH = (160, 60), 32
LIMIT = "its convolutions, forward"
UNTRAINED = {"backbone": "vgg16", "max_epochs": 0, "batch_size": BATCH, "random_state": 0}
LAYERS = [f"conv{block}_{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]  # of VGG16


def untrained(layers=None, **changed):
    """Return an estimator whose network keeps its initial weights: they do not change the speed."""
    images = np.random.default_rng(0).integers(0, 256, (8, *FRAME, 3), dtype=np.uint8)
    settings = {"layers": layers, "input_size": FRAME, "blur_size": box(FRAME[0])}
    return MultiDepthReID(**(UNTRAINED | settings | changed)).fit(images, np.arange(8) // 2)


def bare(images, channels_last):
    """Return a function that passes batches, prepared beforehand, through torchvision's VGG16 features."""
    network = models.vgg16(weights=None).features.eval()
    memory = torch.channels_last if channels_last else torch.contiguous_format
    network.to(memory_format=memory)
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    batches = [batch.contiguous(memory_format=memory) for batch in scaled.split(BATCH)]

    @torch.inference_mode()
    def run():
        for batch in batches:
            network(batch)

    return run


def alone(n_images, depth, frame=FRAME):
    """Return a function that computes the first convolutions of VGG16 alone, forward, for all images."""
    batch = convolutions("vgg16", frame, BATCH, "float32", depth, backward=False)
    return lambda: [batch() for _ in range(n_images // BATCH)]


def multiply_adds(depth):
    """Return the multiply-adds of the first `depth` convolutions of VGG16, for one frame."""
    total, (height, width), seen = 0, FRAME, 0
    for layer in models.vgg16(weights=None).features:
        if isinstance(layer, torch.nn.Conv2d):
            seen += 1
            if seen > depth:
                break
            total += layer.weight.numel() * height * width
        elif isinstance(layer, torch.nn.MaxPool2d):
            height, width = height // 2, width // 2
    return total


def benchmark_speed(quick):
    """Compare throughputs; each row has the ratio and its target."""
    n_images = 32 if quick else 96
    images = np.random.default_rng(1).integers(0, 256, (n_images, *FRAME, 3), dtype=np.uint8)
    deep = untrained(LAYERS)
    shallow = {name: untrained((name,)) for name in ("conv2_2", "conv3_3")}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{place}.jpg" for place in range(n_images)]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path, quality=90)
        ways = {
            "bare": bare(images, False),
            "bare, channels last": bare(images, True),
            "all layers": lambda: deep.transform(images),
            "files": lambda: deep.transform(paths),
            "decoding": lambda: [np.asarray(Image.open(path)) for path in paths],
            **{name: (lambda reid=reid: reid.transform(images)) for name, reid in shallow.items()},
            "convolutions": alone(n_images, 13),
            **{f"convolutions to {name}": alone(n_images, LAYERS.index(name) + 1) for name in shallow},
        }
        for way in ways.values():  # first runs choose algorithms
            way()
        seconds = in_turns(ways, 2 if quick else 5)
    forward = min(seconds["bare"], seconds["bare, channels last"])
    rows = [
        {"question": "all layers to conv5_3 / bare forward",
         "ratio": forward / seconds["all layers"], "target": ">= 0.95"},
        {"question": "the same from files / the slower of Pillow's decoding and forward",
         "ratio": max(seconds["decoding"], forward) / seconds["files"], "target": ">= 0.9"},
    ]  # fmt: skip
    whole = multiply_adds(13)
    for name in shallow:
        expected = whole / multiply_adds(LAYERS.index(name) + 1)
        faster = forward / seconds[name]
        rows.append({"question": f"{name} alone: speed-up / the speed-up by multiply-adds ({expected:.2f})",
                     "ratio": faster / expected, "target": ">= 0.8"})  # fmt: skip
    limits = [
        limited(f"transform of {n_images} images, all layers", seconds["all layers"], LIMIT, seconds["convolutions"]),
        limited(f"transform of {n_images} files, all layers", seconds["files"], f"{LIMIT}, or decoding by Pillow",
                max(seconds["convolutions"], seconds["decoding"])),
        *(limited(f"transform of {n_images} images, {name} alone", seconds[name], LIMIT,
                  seconds[f"convolutions to {name}"]) for name in shallow),
    ]  # fmt: skip
    return {"n_images": n_images, "seconds": seconds, "rows": rows, "limits": limits}


def benchmark_strongest(quick):
    """Compare what stronger descriptors cost with what the default costs: time and dimensions."""
    n_images = 32 if quick else 96
    images = np.random.default_rng(1).integers(0, 256, (n_images, *FRAME, 3), dtype=np.uint8)
    described = {"default": untrained(), "strongest": untrained(**STRONGEST), "all that helps": all_that_helps()}
    (_, first), (_, second), (_, colours) = described["all that helps"].transformer_list
    gaussians = limit_of(colours[0])[1]
    ways = {name: (lambda system=system: system.transform(images)) for name, system in described.items()}
    ways |= {f"convolutions, {each.input_size}": alone(n_images, 13, each.input_size) for each in (first, second)}
    ways["eigendecompositions"] = lambda: [gaussians() for _ in range(n_images)]
    for way in ways.values():
        way()
    seconds = in_turns(ways, 2 if quick else 5)
    convolutions = [seconds[f"convolutions, {each.input_size}"] for each in (first, second)]
    work = {"all that helps": 2 * sum(convolutions) + seconds["eigendecompositions"]}  # images and their mirror images
    limits = [
        limited(f"transform of {n_images} images, {name} descriptor", seconds[name],
                f"{LIMIT}, and eigendecompositions" if name in work else LIMIT, work.get(name, convolutions[0]))
        for name in described
    ]  # fmt: skip
    rows = [
        {"descriptor": name, "dimensions": system.transform(images[:1]).shape[1],
         "time, of the default's": seconds[name] / seconds["default"]}
        for name, system in described.items()
    ]  # fmt: skip
    return {"seconds": seconds, "limits": limits, "rows": rows}


def all_that_helps():
    """Return the two networks and GOG of `benchmarks.accuracy`, fitted, without the metric behind them."""
    images = np.random.default_rng(0).integers(0, 256, (8, *FRAME, 3), dtype=np.uint8)
    reid = MultiDepthReID(**UNTRAINED, input_size=FRAME, blur_size=box(FRAME[0]))
    system = systems(reid, 2)["strongest of two, flips, fused GOG, KCVDCA"]
    return system[0].fit(images, np.arange(8) // 2)


def benchmark_size(quick):
    """Measure rank-1 with the full descriptor and with reduced ones, beside their dimensions."""
    n_identities, epochs = (16, 2) if quick else (60, 12)
    people = make_pedestrians(n_identities=n_identities, n_shots=5, image_size=(64, 32), random_state=0)
    splits = IdentityShuffleSplit(1, test_size=0.5, random_state=0).split(people.images, people.target)
    train, test = next(iter(splits))
    settings = {"backbone": "vgg11_bn", "input_size": (64, 32), "blur_size": 8, "n_filters": 64}
    reid = MultiDepthReID(**settings, max_epochs=epochs, random_state=0).fit(people.images[train], people.target[train])
    described = reid.transform(people.images[train])
    rows, frame_size = [], len(reid.layers_) * 64 * 64 * 32  # 64 smoothed maps per layer, of 64 x 32 pixels

    def add(name, estimator, dimensions):
        score = float(cmc_score(estimator, people.images[test], people.target[test], cams=people.cams[test]))
        rows.append({"descriptor": name, "dimensions": dimensions, "share of frame size": dimensions / frame_size,
                     "rank-1": score, "lost": rows[0]["rank-1"] - score if rows else 0.0})  # fmt: skip

    add("compact maps, distances exact", reid, described.shape[1])
    for n_components in (256, 512) if not quick else (16,):
        projection = GaussianRandomProjection(n_components, random_state=0).fit(described)
        add("random projection", make_pipeline(reid, projection), n_components)
    n_components = min(256, len(described) - 1)
    add("PCA", make_pipeline(reid, PCA(n_components, random_state=0).fit(described)), n_components)
    default = MultiDepthReID(max_epochs=0, random_state=0, backbone="vgg16")
    images = np.random.default_rng(0).integers(0, 256, (4, *FRAME, 3), dtype=np.uint8)
    n_features = int(default.fit(images, [0, 0, 1, 1]).n_features_out_)
    paper = len(default.layers_) * FRAME[0] * FRAME[1]  # one filter per layer, as a map at frame size
    return {"rows": rows, "default_dimensions": n_features, "default_share": n_features / paper}


def main(out_folder=None, quick=False):
    """Run all parts, print them and write ``transform.json``."""
    speed, strongest, size = benchmark_speed(quick), benchmark_strongest(quick), benchmark_size(quick)
    print_table(f"transform of {speed['n_images']} images", speed["rows"])
    print_table("what stronger descriptors cost", strongest["rows"])
    print_table("size of a descriptor, and rank-1 across cameras on people not trained on", size["rows"])
    dimensions, share = size["default_dimensions"], size["default_share"]
    print(f"default descriptor: {dimensions} dimensions, {share:.3f} of the paper's maps at frame size (target 0.25)")
    targets = [judged(row["question"], row["ratio"], float(row["target"][3:])) for row in speed["rows"]]
    targets.append(judged("default descriptor / the paper's maps at frame size", size["default_share"], 0.25, True))
    targets += [{"question": f"{row['descriptor']} to {row['dimensions']} dimensions: rank-1 lost",
                 "measured": row["lost"], "target": "none, for information", "met": ""}
                for row in size["rows"][1:]]  # fmt: skip
    limits = speed["limits"] + strongest["limits"]
    results = {"quick": quick, "speed": speed, "strongest": strongest, "size": size, "limits": limits,
               "targets": targets}  # fmt: skip
    return write("transform", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
