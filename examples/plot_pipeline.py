"""
A Pipeline with PCA and a learned metric
========================================

`MultiDepthReID` is a transformer, so any step of scikit-learn can follow it in a Pipeline. If the last step has a
method ``pairwise_distances``, as `skreid.metric_learning.XQDA` has, it replaces the Euclidean distance in
`skreid.rank_gallery`, `skreid.cmc_score` and `skreid.evaluation.evaluate`.
"""

# %%
# Systems
# -------
# Here PCA and XQDA learn from the same people. Behind a network, such steps see descriptors of its own training people,
# which are better separated than those of new people. Given enough people, fit the metric on some that the network has
# not seen.

from sklearn import set_config
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skreid import CMCScorer, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.descriptors import LOMO
from skreid.displays import CMCDisplay
from skreid.metric_learning import XQDA

set_config(display="diagram")
people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
)
systems = {
    "multi-depth": make_pipeline(reid),
    "multi-depth, PCA": make_pipeline(reid, PCA(60, random_state=0)),
    "LOMO, PCA, XQDA": make_pipeline(LOMO(input_size=(128, 48)), PCA(60, random_state=0), XQDA()),
}
for system in systems.values():
    system.fit(people.images[known], people.target[known])
systems["LOMO, PCA, XQDA"]

# %%
# Scores on new people
# --------------------
# One scorer takes all systems. The figures say nothing about real people: LOMO counts colours, which drawn clothes keep
# from camera to camera, and needs no training, while the network had 40 people and six epochs to learn from.

X_test, y_test, cams_test = people.images[~known], people.target[~known], people.cams[~known]
scorer = CMCScorer(ranks=(1, 5), mean_average_precision=True)
print(f"{'':20}{'rank-1':>8}{'rank-5':>8}{'mAP':>8}")
for name, system in systems.items():
    scores = scorer(system, X_test, y_test, cams=cams_test)
    print(f"{name:20}" + "".join(f"{score:>8.3f}" for score in scores.values()))

# %%
# All curves in one picture: each Display draws on the axes of the one before.

ax = None
for name, system in systems.items():
    ax = CMCDisplay.from_estimator(system, X_test, y_test, cams=cams_test, name=name, ax=ax, max_rank=10).ax_
