"""
A report to share
=================

`skreid.report.evaluation_report` writes an evaluation to a single HTML file: figures with their protocol, curves, best
and worst probes, pairs of cameras, training, chosen filters, settings and versions.
"""

# %%
# Evaluate, then write.

from html import escape
from pathlib import Path

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.evaluation import evaluate
from skreid.protocols import ShotProtocol
from skreid.report import evaluation_report

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])
others = make_pedestrians(n_identities=20, n_cameras=3, image_size=(64, 32), random_state=1)  # other people
protocol = ShotProtocol(n_train=0, n_repeats=3)
result = evaluate(reid, others, protocol, fit=False, on_seen="ignore", name="multi-depth")

Path("output").mkdir(exist_ok=True)
path = evaluation_report(result, Path("output") / "report.html", dataset=others, estimator=reid)
print(path)

# %%
# The file, as it opens in a browser:


class Frame:
    """An HTML file shown within this page."""

    def __init__(self, path):
        self.page = escape(path.read_text(encoding="utf-8"))

    def _repr_html_(self):
        style = "width: 100%; height: 40rem; border: 1px solid gray"
        return f'<iframe title="The report" srcdoc="{self.page}" style="{style}"></iframe>'


Frame(path)
