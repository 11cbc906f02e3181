"""
Search layers and blur, train once a fold
=========================================

`layers`, `blur_size`, `n_filters`, `criterion` and `normalize` act after training. With ``memory``, a grid over them
trains one network a fold, whatever its size.
"""

# %%
# A blur of one side is a square box; of two, its height and width, where ``None`` is the frame's. `IdentityKFold` keeps
# each person in one fold; a stratified split would test on persons already learned. `error_score="raise"` shows an
# error instead of a score of NaN.

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
print(f"best of {len(search.cv_results_['params'])}: {search.best_params_}, rank-1 {search.best_score_:.3f}")

# %%
# All candidates, layers by blur.

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
# The first candidate waits for the training of its folds, all others find the networks in the cache; a last network is
# trained on everybody, for the best candidate.

fits = np.asarray(search.cv_results_["mean_fit_time"])
print(f"slowest candidate {fits.max() / np.median(fits):.0f} times the median")
