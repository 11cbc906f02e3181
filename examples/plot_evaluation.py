"""
A figure and its protocol
=========================

`skreid.evaluation.evaluate` runs a protocol: an object that decides who is trained on, which images are probes and
gallery, and how many random repeats there are. The result states the protocol in words, and the spread of each figure.
"""

# %%
# Two descriptors on the same ten repeats. With ``fit=False``, `evaluate` fits nothing: the network was fitted on other
# people before, and LOMO learns nothing. An estimator that was fitted on a probe's identity is refused.

import numpy as np

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.descriptors import LOMO
from skreid.displays import CameraPairDisplay, CMCDisplay
from skreid.evaluation import evaluate
from skreid.protocols import GivenSplitProtocol, TwoViewProtocol

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

# %%
# Where does it fail?
# -------------------
# Twenty other people, each seen twice by four cameras: one image is a probe, one is in the gallery. Each pair of
# cameras has figures of its own, worst first: a probe is ranked against the images of that gallery camera alone.
# ``on_seen="ignore"`` says that identity 3 here is not identity 3 of the training.

crowd = make_pedestrians(n_identities=20, n_cameras=4, image_size=(64, 32), random_state=1)
crowd["subset"] = np.resize(["query", "gallery"], len(crowd.target))
result = evaluate(reid, crowd, GivenSplitProtocol(), fit=False, on_seen="ignore", name="multi-depth")
print(result.by_camera_pair())

# %%
# The same as a picture.

CameraPairDisplay.from_evaluation(result)

# %%
# The probes whose true match ranks worst, and who stood first instead. A dataset with files also lists their paths.

print(result.hardest(5))
