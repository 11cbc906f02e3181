"""
Why more filters help
=====================

The paper keeps the best filter of each layer. One filter sees one thing: two people who look alike to it cannot be told
apart. This example keeps more and more filters of one trained network, and scores them on people not seen in training.
"""

# %%
# ``memory`` caches the trained network and the pair distances of all filters, so that each setting only has to compute
# descriptors.

import matplotlib.pyplot as plt
from sklearn.preprocessing import FunctionTransformer

from skreid import PAPER_SETTING, CMCScorer, MultiDepthReID
from skreid.datasets import make_pedestrians

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])
X_test, y_test, cams_test = people.images[~known], people.target[~known], people.cams[~known]

scorer = CMCScorer(ranks=1)
filter_counts = [1, 4, 16, 64, 256]
settings = {
    "square box, maps as they are (paper)": PAPER_SETTING | {"blur_size": 8},
    "strips, roots about their mean": {"criterion": "margin", "normalize": "rooted"},
    "the same, chosen jointly, whitened (default)": {},
}
curves = {name: [] for name in settings}
for name, setting in settings.items():
    for n_filters in filter_counts:
        system = MultiDepthReID(**reid.get_params() | setting | {"n_filters": n_filters})
        system.fit(people.images[known], people.target[known])
        curves[name].append(scorer(system, X_test, y_test, cams=cams_test))

# %%
# The baseline is rank-1 of the images themselves, compared pixel by pixel.


def pixels(X):
    """Return the image itself as the descriptor."""
    return (X / 255).reshape(len(X), -1)


baseline = scorer(FunctionTransformer(pixels).fit(X_test), X_test, y_test, cams=cams_test)
fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for (name, scores), marker in zip(curves.items(), "o^s", strict=True):
    ax.plot(filter_counts, scores, marker=marker, label=name)
ax.axhline(baseline, color="0.5", linestyle="--", label="pixels")
ax.set_xscale("log", base=2)
ax.set_xticks(filter_counts, map(str, filter_counts))
ax.set(xlabel="filters kept in each layer", ylabel="rank-1, mean of 10 galleries", ylim=(0, 1))
_ = ax.legend()

# %%
# 20 test people are few, and the network trained for six epochs only: read the trend, not the decimals. Filters chosen
# jointly repeat each other less, which matters most while few are kept.
