"""
A figure and its protocol
=========================

`skreid.evaluation.evaluate` runs a protocol, an object that says who trains, which images are probes and gallery,
and how often it is drawn anew. The result carries the protocol in words, and every figure with its spread.
"""

# %%
# Two descriptors that need no training on the test persons' set, on the same ten draws (``fit=False``). The estimator
# was fitted on other persons; `evaluate` refuses one that knows a probe.

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.descriptors import LOMO
from skreid.displays import CMCDisplay
from skreid.evaluation import evaluate
from skreid.protocols import TwoViewProtocol

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])
strangers = {name: people[name][~known] for name in ("images", "target", "cams")}

single = TwoViewProtocol(n_train=0, n_test=15)
ours = evaluate(reid, strangers, single, fit=False, ranks=(1, 5, 10), name="multi-depth")
lomo = evaluate(LOMO(input_size=(128, 48)), strangers, single, fit=False, ranks=(1, 5, 10), name="LOMO")
print(ours)

# %%
# One table for both, in Markdown.

print(ours.table(lomo))

# %%
# The curves, with one standard deviation over the draws as a band.

ax = CMCDisplay.from_evaluation(ours, max_rank=15).ax_
CMCDisplay.from_evaluation(lomo, ax=ax, max_rank=15)

# %%
# Another protocol is another figure
# ----------------------------------
# The same descriptors, but a person's two images of a camera are one entry, and the distance of two persons is the
# sum over their image pairs. Nothing was learned in between; the figures differ all the same.

double = TwoViewProtocol(n_train=0, n_test=15, gallery_shots=2, aggregation="sum")
print(ours.table(evaluate(reid, strangers, double, fit=False, ranks=(1, 5, 10), name="multi-depth")))
