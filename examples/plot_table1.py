"""
Systems side by side under one protocol
=======================================

Table 1 of the paper compares figures from different protocols. Here each system is fitted and ranked on the same random
splits of the same drawn people. ``examples/cuhk01_table1.py`` does this for all systems, and on CUHK01 for those who
have obtained it.
"""

# %%
# The systems are the default descriptor, the paper's, and two hand-crafted descriptors with a learned metric. In each
# repeat, networks and metrics learn from half of the people, and the others are ranked.

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skreid import PAPER_SETTING, MultiDepthReID, evaluate
from skreid.datasets import make_pedestrians
from skreid.descriptors import GOG, LOMO, CenteredNormalizer
from skreid.displays import CMCDisplay
from skreid.metric_learning import XQDA
from skreid.protocols import TwoViewProtocol

people = make_pedestrians(n_identities=30, image_size=(64, 32), random_state=2)
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=2, blur_size=(8, None), memory="cache", random_state=0
)
paper = MultiDepthReID(**reid.get_params() | PAPER_SETTING | {"blur_size": 8})
systems = {
    "multi-depth": reid,
    "multi-depth, the paper's setting": paper,
    "LOMO + XQDA": make_pipeline(LOMO(input_size=(128, 48)), PCA(40, random_state=0), XQDA()),
    "GOG + XQDA": make_pipeline(GOG(), CenteredNormalizer(), PCA(40, random_state=0), XQDA()),
}
protocol = TwoViewProtocol(n_train=0.5, n_repeats=2)
results = [evaluate(system, people, protocol, ranks=(1, 5, 10), name=name) for name, system in systems.items()]
print(results[0].table(*results[1:]))

# %%
# Two repeats, 15 test people and two epochs are far too few to order systems by. The networks have learned next to
# nothing, while LOMO and GOG need no training and rely on colours, which drawn people keep from camera to camera.

ax = None
for result in results:
    ax = CMCDisplay.from_evaluation(result, ax=ax, max_rank=15).ax_
