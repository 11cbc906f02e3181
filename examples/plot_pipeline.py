"""
A Pipeline with PCA and a learned metric
========================================

`MultiDepthReID` is a transformer: what stands behind it in a Pipeline is scikit-learn's affair. A last step with
``pairwise_distances``, such as `skreid.metric_learning.XQDA`, takes the place of the Euclidean distance in
`skreid.rank_gallery`, `skreid.cmc_score` and `skreid.evaluation.evaluate`.
"""

# %%
# Systems
# -------
# PCA and XQDA learn from the same persons as the network, whose descriptors are tidier than those of strangers. Give
# such a metric persons of its own when there are enough of them.

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
# Scores on the other persons
# ---------------------------
# The same scorer takes them all. LOMO counts colours, which drawn clothes keep better than real ones, and needs no
# training; the network had 40 persons and six epochs. No figure here is one for people in the street.

X_test, y_test, cams_test = people.images[~known], people.target[~known], people.cams[~known]
scorer = CMCScorer(ranks=(1, 5), mean_average_precision=True)
print(f"{'':20}{'rank-1':>8}{'rank-5':>8}{'mAP':>8}")
for name, system in systems.items():
    scores = scorer(system, X_test, y_test, cams=cams_test)
    print(f"{name:20}" + "".join(f"{score:>8.3f}" for score in scores.values()))

# %%
# In one picture: a Display draws beside another on the same axes.

ax = None
for name, system in systems.items():
    ax = CMCDisplay.from_estimator(system, X_test, y_test, cams=cams_test, name=name, ax=ax, max_rank=10).ax_
