"""
A figure and its protocol
=========================

`skreid.evaluation.evaluate` runs a protocol: an object that decides who is trained on, which images are probes and
gallery, and how many random repeats there are. The result states the protocol in words, and the spread of each figure.
"""

# %%
# Two descriptors on the same ten repeats. With ``fit=False``, `evaluate` fits nothing: the network was fitted on other
# people before, and LOMO learns nothing. An estimator that was fitted on a probe's identity is refused.

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
others = {name: people[name][~known] for name in ("images", "target", "cams")}

single = TwoViewProtocol(n_train=0, n_test=15)
ours = evaluate(reid, others, single, fit=False, ranks=(1, 5, 10), name="multi-depth")
lomo = evaluate(LOMO(input_size=(128, 48)), others, single, fit=False, ranks=(1, 5, 10), name="LOMO")
print(ours)

# %%
# Both in one Markdown table.

print(ours.table(lomo))

# %%
# The curves; the bands are one standard deviation over the repeats.

ax = CMCDisplay.from_evaluation(ours, max_rank=15).ax_
CMCDisplay.from_evaluation(lomo, ax=ax, max_rank=15)

# %%
# Another protocol, another figure
# --------------------------------
# The same descriptors under a multi-shot protocol: all images of a person in one camera form one entry, and the
# distance between two entries is the sum over their image pairs. Nothing was learned in between, and yet the figures
# differ.

double = TwoViewProtocol(n_train=0, n_test=15, gallery_shots=2, aggregation="sum")
print(ours.table(evaluate(reid, others, double, fit=False, ranks=(1, 5, 10), name="multi-depth")))
