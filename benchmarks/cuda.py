"""Images per second on a CUDA device, beside bare loops and the bfloat16 rate; and how long a whole fit takes.

Run ``python -m benchmarks.cuda [--quick]`` on a machine with CUDA; without a CUDA device it says so and stops. Steps of
training are measured one operation at a time and recorded as a graph; those of the bare loop also with an optimiser
that is not fused. All take the same augmentations, losses and steps, and end an epoch alike: with one wait and a copy
of the weights.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from benchmarks import _common
from benchmarks._bare import Classifier
from benchmarks._common import judged, print_table, run_script, write
from benchmarks.transform import FRAME, multiply_adds
from skreid import MultiDepthReID

EPOCHS = 4  # the first one warms up, and is not counted
AUGMENTATIONS = ("flip", "crop")
PASSES = {"training": 3, "exploring": 1, "transform": 1}  # multiply-adds per image, in forward passes
BATCHES = (16, 128)  # of training: the default, and one large enough to fill the device
WHOLE = {"images": 2000, "epochs": 30, "training": 10, "fit": 15}  # what a fit is to take at most, in seconds


class EpochEnds:
    """A callback of scikit-learn that notes when epochs end: their `seconds` leave out the choice of the best one."""

    def __init__(self):
        self.times = []

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        """Note the time, if an epoch ends."""
        if context.task_name == "epoch":
            self.times.append(_common.clock())


def synchronised(device, function):
    """Return the seconds that a function takes until the device has done its work."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda device: None
    wait(device)
    started = _common.clock()
    function()
    wait(device)
    return _common.clock() - started


def matrix_rate(device, size):
    """Return the multiply-adds per second of a product of two bfloat16 matrices."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.matmul(left, right)
    seconds = min(synchronised(device, lambda: [torch.matmul(left, right) for _ in range(8)]) for _ in range(3))
    return 8 * size**3 / seconds


def move(images, values):
    """Return images mirrored, zoomed and shifted, as skreid does it, by uniform values of shape (n, 4)."""
    zoom, mirror, *shift = values.unbind(1)
    zoom, mirror, zero = 0.9 + 0.2 * zoom, 1 - 2 * (mirror < 0.5).float(), torch.zeros_like(zoom)
    shift = [0.12 * (2 * value - 1) for value in shift]
    rows = [torch.stack([zoom * mirror, zero, shift[0]], 1), torch.stack([zero, zoom, shift[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def bare_step(model, optimizer, images, labels, values):
    """Take one step, and return the loss of each image and whether it was recognised, (n, 2)."""
    optimizer.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
        logits = model(move(images.float().div_(255), values))
    repeated = labels.repeat_interleave(logits.shape[1])
    loss = F.cross_entropy(logits.flatten(0, 1).float(), repeated, label_smoothing=0.1, reduction="none")
    loss.mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    recognised = logits.detach().log_softmax(dim=2).mean(dim=1).argmax(dim=1) == labels
    return torch.stack([loss.detach().view(len(labels), -1).mean(dim=1), recognised], dim=1)


def graphed(step, inputs):
    """Return a step recorded as a CUDA graph, after three that are taken on a stream of their own."""
    stream, held = torch.cuda.Stream(), [each.clone() for each in inputs]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(*held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = step(*held)

    def run(*given):
        for own, value in zip(held, given, strict=True):
            own.copy_(value)
        graph.replay()
        return result.clone()

    return run


def bare_training(device, images, labels, batch_size, mode):
    """Return the seconds of one epoch of a loop that only trains VGG16 with batch norm.

    `mode` is "eager", "fused" (the optimiser in one operation) or "graph".
    """
    torch.manual_seed(0)
    model = Classifier("vgg16_bn", int(labels.max()) + 1).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=5e-4, fused=mode != "eager")
    if mode == "graph":
        optimizer.param_groups[0] |= {"lr": torch.full((), 1e-4, device=device), "capturable": True}
    resident = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    targets = torch.from_numpy(labels).to(device)
    n_steps = EPOCHS * (len(images) // batch_size)
    done = 0

    def step(*batch):
        return bare_step(model, optimizer, *batch)

    def epoch():
        nonlocal done
        order, values = torch.randperm(len(images), device=device), torch.rand(len(images), 4, device=device)
        tallies = []
        for part, drawn in zip(order.split(batch_size), values.split(batch_size), strict=True):
            rate, group = 1e-4 * 0.5 * (1 + math.cos(math.pi * min(1, done / n_steps))), optimizer.param_groups[0]
            group["lr"] = group["lr"].fill_(rate) if mode == "graph" else rate
            tallies.append(step(resident[part], targets[part], drawn))
            done += 1
        finite = torch.stack([torch.isfinite(part).all() for part in model.state_dict().values()]).all()
        best = {name: part.clone() for name, part in model.state_dict().items()}
        return best, torch.cat([*tallies, finite.float().expand(1, 2)]).cpu()

    if mode == "graph":
        step = graphed(step, (resident[:batch_size], targets[:batch_size], torch.rand(batch_size, 4, device=device)))
    epoch()
    return min(synchronised(device, epoch) for _ in range(EPOCHS - 1))


def hooked():
    """Return VGG16 with batch norm and a hook that does nothing: steps of a network with hooks are not recorded."""
    features = models.get_model("vgg16_bn", weights=None).features
    features[0].register_forward_hook(lambda *_: None)
    return features


def skreid_training(device, images, labels, batch_size, mode):
    """Return the seconds of one epoch of skreid, with "eager" or recorded ("graph") steps."""
    reid = MultiDepthReID(
        input_size=images.shape[1:3], batch_size=batch_size, device=str(device), random_state=0, max_epochs=EPOCHS,
        n_iter_no_change=EPOCHS, validation_fraction=0, augment=AUGMENTATIONS, precision="bfloat16",
    )  # fmt: skip
    ends = EpochEnds()
    if mode == "eager":
        reid.set_params(backbone=hooked)
    reid.set_callbacks(ends).fit(images, labels)
    return float(np.diff(ends.times).min())


def bare_forward(device, images, batch_size, precision):
    """Return the seconds of forward passes of VGG16 with batch norm over images on the device."""
    network = models.get_model("vgg16_bn", weights=None).features[:-1].eval()
    network.to(device, memory_format=torch.channels_last)
    resident = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def run():
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            for batch in resident.split(batch_size):
                network(batch.float().div_(255))

    run()
    return min(synchronised(device, run) for _ in range(2))


def measure_training(device, images, labels, batches):
    """Return a row for each size of batch and each way to train; shares are of the fastest bare loop."""
    rows = []
    for batch_size in batches:
        seconds = {("bare", mode): bare_training(device, images, labels, batch_size, mode)
                   for mode in ("eager", "fused", "graph")}  # fmt: skip
        for mode in ("eager", "graph"):
            seconds["skreid", mode] = skreid_training(device, images, labels, batch_size, mode)
        limit = min(spent for (loop, _), spent in seconds.items() if loop == "bare")
        rows += [
            {"batch": batch_size, "loop": loop, "steps": mode, "images/s": len(images) / spent,
             "share of the fastest bare loop": limit / spent}
            for (loop, mode), spent in seconds.items()
        ]  # fmt: skip
    return rows


def measure_reading(device, images, labels, batch_size):
    """Return rows for exploring and transform in both precisions."""
    rows, settings = [], {"input_size": images.shape[1:3], "batch_size": batch_size, "device": str(device)}
    for precision in ("float32", "bfloat16"):
        few = slice(4 * batch_size)
        reid = MultiDepthReID(**settings, max_epochs=0, precision=precision, random_state=0).fit(
            images[few], labels[few]
        )
        seconds = {"exploring": synchronised(device, lambda reid=reid: reid.fit(images, labels))}
        reid.transform(images[:batch_size])
        seconds["transform"] = synchronised(device, lambda reid=reid: reid.transform(images))
        forward = bare_forward(device, images, batch_size, precision)
        rows += [{"what": what, "precision": precision, "images/s": len(images) / spent,
                  "share of the bare forward pass": forward / spent} for what, spent in seconds.items()]  # fmt: skip
    return rows


def whole_fit(device, n_images, epochs, frame=FRAME):
    """Return the seconds of a fit by the defaults, and those of its training."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n_images, *frame, 3), dtype=np.uint8), np.arange(n_images) // 4
    reid = MultiDepthReID(
        input_size=frame, device=str(device), max_epochs=epochs, n_iter_no_change=epochs, random_state=0
    )
    seconds = synchronised(device, lambda: reid.fit(images, labels))
    return {"images": n_images, "epochs": epochs, "training": sum(record["seconds"] for record in reid.history_),
            "fit": seconds}  # fmt: skip


def measure(device, n_images, batches, frame=FRAME, size=8192):
    """Return the rows of training, those of reading, and the bfloat16 rate."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n_images, *frame, 3), dtype=np.uint8), np.arange(n_images) // 4
    training = measure_training(device, images, labels, batches)
    reading = measure_reading(device, images, labels, max(batches))
    rate = matrix_rate(device, size)
    work = multiply_adds(13) * frame[0] * frame[1] / (FRAME[0] * FRAME[1])
    for row in (*training, *reading):
        row["share of the bfloat16 rate"] = PASSES[row.get("what", "training")] * work * row["images/s"] / rate
    return training, reading, rate


def main(out_folder=None, quick=False):
    """Measure on the current CUDA device, print and write ``cuda.json``."""
    if not torch.cuda.is_available():
        print("torch finds no CUDA device: nothing is measured. Run this on a machine with one.")
        return {"targets": []}
    device = torch.device("cuda", torch.cuda.current_device())
    training, reading, rate = measure(device, 1024 if quick else 8192, BATCHES)
    fit = whole_fit(device, *((256, 4) if quick else (WHOLE["images"], WHOLE["epochs"])))
    name, memory = torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 2**30
    title = f"{name}: frames of {FRAME[0]} x {FRAME[1]}, VGG16 with batch norm"
    print_table(f"{title}, training in bfloat16", training)
    print_table(f"{title}, reading in batches of {max(BATCHES)}", reading)
    print_table("seconds of a fit by the defaults", [fit])
    print(f"bfloat16 matrix products: {2e-12 * rate:.0f} Tflop/s; peak device memory: {memory:.1f} GiB")
    targets = [
        judged(f"CUDA, training in batches of {row['batch']} / the fastest bare loop",
               row["share of the fastest bare loop"], 0.95)
        for row in training if (row["loop"], row["steps"]) == ("skreid", "graph")
    ] + [
        judged(f"CUDA, transform in {row['precision']} / the bare forward pass",
               row["share of the bare forward pass"], 0.95)
        for row in reading if row["what"] == "transform"
    ]  # fmt: skip
    if not quick:
        question = "CUDA, 2,000 images in 30 epochs, seconds of"
        targets += [judged(f"{question} {part}", fit[part], WHOLE[part], True) for part in ("training", "fit")]
    results = {"quick": quick, "device": name, "training": training, "reading": reading, "fit": fit,
               "flops": 2 * rate, "targets": targets}  # fmt: skip
    return write("cuda", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
