"""Images per second on a CUDA device: training, exploring and transform, beside a bare loop and the bfloat16 rate.

Run ``python -m benchmarks.cuda [--quick]`` on a machine with CUDA; without a CUDA device it says so and stops.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torchvision import models

from benchmarks import _common
from benchmarks._bare import augment, to_device
from benchmarks._common import judged, print_table, run_script, write
from benchmarks.transform import FRAME, multiply_adds
from skreid import MultiDepthReID

EPOCHS = 4  # the first one warms up and is not counted
AUGMENTATIONS = ("flip", "crop")
PASSES = {"training": 3, "exploring": 1, "transform": 1}  # multiply-adds per image, in forward passes


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


def bare_training(device, images, labels, batch_size):
    """Return the seconds of one epoch of a loop that only trains VGG16 with batch norm."""
    torch.manual_seed(0)
    network = models.vgg16_bn(weights=None).features[:-1]
    head = torch.nn.Linear(512, int(labels.max()) + 1)
    model = torch.nn.ModuleList([network, head]).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    resident = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    targets, generator = torch.from_numpy(labels).to(device), torch.Generator().manual_seed(0)

    def epoch():
        for part in to_device(torch.randperm(len(images), generator=generator), device).split(batch_size):
            batch = augment(resident[part].float().div_(255), AUGMENTATIONS, generator)
            with torch.autocast(device.type, torch.bfloat16):
                maps = network(batch)
            loss = F.cross_entropy(head(maps.float().mean(dim=(2, 3))), targets[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    epoch()
    return min(synchronised(device, epoch) for _ in range(2))


def bare_forward(device, images, batch_size, precision):
    """Return the seconds of forward passes of VGG16 with batch norm over images on the device."""
    network = models.vgg16_bn(weights=None).features[:-1].eval().to(device, memory_format=torch.channels_last)
    resident = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def run():
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            for batch in resident.split(batch_size):
                network(batch.float().div_(255))

    run()
    return min(synchronised(device, run) for _ in range(2))


def measure(device, n_images, batch_size, frame=FRAME, size=8192):
    """Return a row for training, and rows for exploring and transform in both precisions; and the bfloat16 rate."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n_images, *frame, 3), dtype=np.uint8), np.arange(n_images) // 4
    settings = {"input_size": frame, "batch_size": batch_size, "device": str(device), "random_state": 0}
    trained = MultiDepthReID(
        **settings, max_epochs=EPOCHS, n_iter_no_change=EPOCHS, validation_fraction=0, augment=AUGMENTATIONS
    )
    ends = EpochEnds()
    trained.set_callbacks(ends).fit(images, labels)
    seconds = {("training", "auto"): float(np.median(np.diff(ends.times)))}
    bare = {("training", "auto"): bare_training(device, images, labels, batch_size)}
    for precision in ("float32", "bfloat16"):
        reid = MultiDepthReID(**settings, max_epochs=0, precision=precision).fit(images[: 4 * batch_size],
                                                                                labels[: 4 * batch_size])  # fmt: skip
        seconds["exploring", precision] = synchronised(device, lambda reid=reid: reid.fit(images, labels))
        reid.transform(images[:batch_size])
        seconds["transform", precision] = synchronised(device, lambda reid=reid: reid.transform(images))
        forward = bare_forward(device, images, batch_size, precision)
        bare["exploring", precision] = bare["transform", precision] = forward
    work = multiply_adds(13) * frame[0] * frame[1] / (FRAME[0] * FRAME[1])
    rate = matrix_rate(device, size)
    return [
        {"what": what, "precision": precision, "images/s": n_images / spent, "bare images/s": n_images / bare[key],
         "share of bare": bare[key] / spent,
         "share of bfloat16 rate": PASSES[what] * work * n_images / spent / rate}
        for key, spent in seconds.items() for what, precision in [key]
    ], rate  # fmt: skip


def main(out_folder=None, quick=False):
    """Measure on the current CUDA device, print and write ``cuda.json``."""
    if not torch.cuda.is_available():
        print("torch finds no CUDA device: nothing is measured. Run this on a machine with one.")
        return {"targets": []}
    device = torch.device("cuda", torch.cuda.current_device())
    rows, rate = measure(device, 1024 if quick else 8192, 128)
    name, memory = torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 2**30
    print_table(f"{name}: frames of {FRAME[0]} x {FRAME[1]}, VGG16 with batch norm, batches of 128", rows)
    print(f"bfloat16 matrix products: {2e-12 * rate:.0f} Tflop/s; peak device memory: {memory:.1f} GiB")
    targets = [
        judged(f"CUDA, {row['what']} in {row['precision']} / the bare loop", row["share of bare"], 0.95)
        for row in rows if row["what"] != "exploring"
    ]  # fmt: skip
    return write("cuda", {"quick": quick, "device": name, "rows": rows, "flops": 2 * rate, "targets": targets},
                 out_folder)  # fmt: skip


if __name__ == "__main__":
    run_script(main, __doc__)
