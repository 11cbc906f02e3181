"""Draw every picture that the pages show into `docs/images`: those of the examples, of people whom a program draws.

Run ``python docs/pictures/draw.py``: it draws the pictures whose sources have changed, in a minute or two. Each PNG
holds a digest of its sources, so that a test can say which pictures are out of date without drawing them.
"""

import argparse
import ast
import hashlib
import os
import runpy
import sys
from pathlib import Path

import descriptors  # in this folder
import matplotlib as mpl
import matplotlib.pyplot as plt
import steps  # in this folder
from PIL import Image

import skreid

HERE = Path(__file__).resolve().parent
IMAGES, EXAMPLES = HERE.parent / "images", HERE.parents[1] / "examples"
PACKAGE = Path(skreid.__file__).parent
DRAWING = ("displays", "datasets/_drawn")  # rooms of the package that decide how pictures look
KEY = "sources"  # of a PNG's text, where the digest stands

# picture -> the example that draws it, and which of its figures it is
OF_EXAMPLES = {
    "training.png": ("plot_getting_started.py", 1),
    "ranking.png": ("plot_getting_started.py", 2),
    "cmc.png": ("plot_getting_started.py", 3),
    "smoothing.png": ("plot_smoothing.py", 1),
    "compact_form.png": ("plot_smoothing.py", 2),
    "margins.png": ("plot_filters.py", 1),
    "feature_maps.png": ("plot_feature_maps.py", 1),
    "camera_pairs.png": ("plot_evaluation.py", 2),
    "open_set.png": ("plot_identifying.py", 1),
    "more_filters.png": ("plot_more_filters.py", 1),
    "cost_dimensions.png": ("plot_cost.py", 1),
    "cost_time.png": ("plot_cost.py", 2),
}
FRONT = "front.png"  # fewer rows of the ranking, for the first page
SCRIPTS = {name: EXAMPLES / script for name, (script, _) in OF_EXAMPLES.items()}
SCRIPTS |= {FRONT: EXAMPLES / "plot_getting_started.py"}
OWN = {HERE / "descriptors.py": descriptors, HERE / "steps.py": steps}  # the scripts of this folder
SCRIPTS |= {name: script for script, module in OWN.items() for name in module.PICTURES}


def digest(script):
    """Return a digest of the code that a picture is drawn by; docstrings and lines of comments do not count."""
    shared = sorted(path for room in DRAWING for path in (PACKAGE / room).rglob("*.py"))
    return hashlib.sha256("\n".join(map(code_of, (script, *shared))).encode()).hexdigest()[:16]


def code_of(path):
    """Return the lines of a source file that are code."""
    text = path.read_text(encoding="utf-8")
    skipped = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            skipped.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    return "\n".join(line for place, line in lines if place not in skipped and line.strip() and line.strip()[0] != "#")


def outdated(images=IMAGES):
    """Return the names of pictures that are missing or were drawn by other code than today's."""
    digests = {script: digest(script) for script in set(SCRIPTS.values())}
    return [name for name, script in SCRIPTS.items() if drawn_by(images / name) != digests[script]]


def drawn_by(picture):
    """Return the digest that a picture holds; None without one."""
    if not picture.exists():
        return None
    with Image.open(picture) as opened:
        return opened.info.get(KEY)


def run_example(script):
    """Run an example in its own folder; return its names and leave its figures open."""
    plt.close("all")
    before = Path.cwd()
    os.chdir(script.parent)  # its `memory` is a folder beside it
    try:
        return runpy.run_path(str(script))
    finally:
        os.chdir(before)


def front(names):
    """Return the ranking of two probes, from what the first example has fitted."""
    X, y, probe, gallery = (names[name] for name in ("X_test", "y_test", "probe", "gallery"))
    shown = probe[[10, 30]]
    display = names["RankingDisplay"].from_estimator(
        names["reid"], X[shown], X[gallery], y[shown], y[gallery], n_neighbors=8
    )
    return display.figure_


def draw(wanted):
    """Yield (name, figure, dots per inch) for the wanted pictures."""
    for script in sorted({SCRIPTS[name] for name in wanted}):
        if script in OWN:
            yield from ((name, figure, 150) for name, figure in OWN[script].draw() if name in wanted)
            continue
        names = run_example(script)
        figures = {name: (plt.figure(number), 100) for name, (of, number) in OF_EXAMPLES.items() if of == script.name}
        if script == SCRIPTS[FRONT]:
            figures[FRONT] = (front(names), 110)
        yield from ((name, figure, dots) for name, (figure, dots) in figures.items() if name in wanted)


def main():
    """Draw the pictures that are out of date, or those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="pictures to draw, for example front.png; those out of date if none")
    parser.add_argument("--all", action="store_true", help="draw all pictures")
    options = parser.parse_args()
    mpl.use("agg")
    IMAGES.mkdir(exist_ok=True)
    for name, figure, dots in draw(list(SCRIPTS) if options.all else options.names or outdated()):
        metadata = {KEY: digest(SCRIPTS[name])}
        figure.savefig(IMAGES / name, dpi=dots, bbox_inches="tight", metadata=metadata, pil_kwargs={"optimize": True})
        sys.stdout.write(f"drawn: {name}\n")


if __name__ == "__main__":
    main()
