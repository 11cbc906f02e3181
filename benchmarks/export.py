"""A system as an ONNX file in onnxruntime, compared with the system itself on a CPU, for batches of several sizes.

Run ``python -m benchmarks.export [--quick]``. The target is the time of `transform`: a file must be as fast. Rows for
one image are latencies.
"""

import os
import tempfile
from pathlib import Path

import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from benchmarks._common import in_turns, judged, print_table, run_script, write
from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.export import to_onnx

TARGET = 1.1  # times the seconds of `transform`: the same, but for noise


def main(out_folder=None, quick=False):
    """Time both sides in turns, print and write ``export.json``."""
    import onnxruntime

    size, batches = ((64, 32), (1, 16)) if quick else ((160, 60), (1, 7, 64))
    people = make_pedestrians(n_identities=32, n_shots=1, image_size=size, random_state=0)
    reid = MultiDepthReID(input_size=size, blur_size=(size[0] // 8, None), max_epochs=0, random_state=0)
    reid.fit(people.images, people.target)
    pca = PCA(32).fit(reid.transform(people.images))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, system in {"MultiDepthReID": reid, "MultiDepthReID + PCA": make_pipeline(reid, pca)}.items():
            export = to_onnx(system, Path(folder) / "system.onnx", tolerance=1e-3)
            session = onnxruntime.InferenceSession(export.path, options)
            for n in batches:
                frames = people.images[:n]
                times = in_turns(
                    {
                        "transform": lambda system=system, frames=frames: system.transform(frames),
                        "onnxruntime": lambda session=session, frames=frames: session.run(None, {"frames": frames}),
                    },
                    repeats=3 if quick else 7,
                )
                rows.append(
                    {
                        "system": name,
                        "images": n,
                        "transform, ms": 1000 * times["transform"],
                        "onnxruntime, ms": 1000 * times["onnxruntime"],
                        "onnxruntime / transform": times["onnxruntime"] / times["transform"],
                        "relative error": export.relative_error,
                    }
                )
            megabytes = os.path.getsize(export.path) / 1e6
    print_table(f"ONNX, frames of {size[0]} x {size[1]}, one file of {megabytes:.0f} MB", rows)
    worst = max(row["onnxruntime / transform"] for row in rows)
    targets = [judged("ONNX file / transform, the slowest batch", worst, TARGET, at_most=True)]
    return write("export", {"quick": quick, "rows": rows, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
