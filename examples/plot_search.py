"""
Search layers and blur, train once per fold
===========================================

`layers`, `blur_size`, `n_filters`, `criterion` and `normalize` act after training. With ``memory``, a grid search over
them trains one network per fold, whatever the size of the grid.
"""

# %%
# A single `blur_size` is the side of a square box; a pair is its height and width, where ``None`` spans the frame.
# `IdentityKFold` keeps each person in one fold; a stratified split would test on people seen in training.
# ``error_score="raise"`` shows an error instead of a score of NaN.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from skreid import MultiDepthReID, cmc_score
from skreid.datasets import make_pedestrians
from skreid.model_selection import IdentityKFold

people = make_pedestrians(n_identities=16, image_size=(64, 32), random_state=1)
reid = MultiDepthReID(
    backbone="vgg11_bn",
    input_size=(64, 32),
    max_epochs=2,
    memory="cache",
    random_state=0,
)
grid = {"blur_size": [1, 8, (8, None)], "layers": [("conv3_2",), ("conv5_2",), ("conv3_2", "conv4_2", "conv5_2")]}
search = GridSearchCV(reid, grid, scoring=cmc_score, cv=IdentityKFold(2), error_score="raise")
search.fit(people.images, people.target)
print(f"best of {len(search.cv_results_['params'])} candidates: {search.best_params_}, rank-1 {search.best_score_:.3f}")

# %%
# Rank-1 of all candidates.

scores = np.reshape(search.cv_results_["mean_test_score"], (len(grid["blur_size"]), len(grid["layers"])))
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
picture = ax.imshow(scores, vmin=0, vmax=1)
ax.set_xticks(range(len(grid["layers"])), ["\n".join(layers) for layers in grid["layers"]])
ax.set_yticks(range(len(grid["blur_size"])), map(str, grid["blur_size"]))
ax.set(xlabel="layers", ylabel="blur_size")
for (row, column), score in np.ndenumerate(scores):
    ax.text(column, row, f"{score:.2f}", ha="center", va="center", color="w" if score < 0.6 else "k")
_ = fig.colorbar(picture, label="rank-1, mean of 2 folds")

# %%
# The first candidate waits for the training in its folds; all others find the networks in the cache. One more network
# is trained on everybody, for the best candidate.

fits = np.asarray(search.cv_results_["mean_fit_time"])
print(f"The slowest candidate takes {fits.max() / np.median(fits):.0f} times as long as the median one.")
