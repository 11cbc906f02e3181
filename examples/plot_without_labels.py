"""
Learning without labels
=======================

Pictures from your cameras are plenty; who is in them has to be written down by hand. This example starts from a network
that has learned on *other* people elsewhere. It describes the new pictures, takes clusters of descriptors for
identities, trains on them, and repeats. What it gains is measured on people whom it never saw.
"""

# %%
# A network from elsewhere
# ------------------------
# The source is one street with labels. Every other street has its own cameras and its own people.

import argparse
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_mutual_info_score

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.metrics import distance_blocks, ranking_metrics

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--streets", type=int, nargs="+", default=[1], help="a street each, a minute of one core for each")
options, _ = parser.parse_known_args()

size = (32, 16)
untrained = MultiDepthReID(
    backbone="vgg11_bn", input_size=size, max_epochs=6, blur_size=(4, None), memory="cache", random_state=0
)
elsewhere = make_pedestrians(n_identities=40, image_size=size, random_state=0)
start = clone(untrained).fit(elsewhere.images, elsewhere.target)

# %%
# Clusters as identities
# ----------------------
# Colours and background of a camera shift all its descriptors. So each camera's mean is taken away first: it needs no
# identities. HDBSCAN then finds the clusters. It need not know their number, and calls -1 what belongs to none. Those
# pictures are left out of the training, which starts from random weights in each round. Clusters get names of their
# own: plain numbers would look like the identities of other people when the network is evaluated.


def centred(descriptors, cams):
    """Return the descriptors minus the mean of their camera."""
    return descriptors - np.stack([descriptors[cams == cam].mean(axis=0) for cam in cams])


def find_clusters(descriptors):
    """Return a cluster number for each descriptor, -1 for none."""
    return HDBSCAN(min_cluster_size=4, copy=True).fit_predict(descriptors)


def train_without_labels(reid, X, cams, n_rounds=3):
    """Yield the clusters and the fitted system of each round."""
    for _ in range(n_rounds):
        clusters = find_clusters(centred(reid.transform(X), cams))
        if clusters.max() < 1:
            raise ValueError("Fewer than two clusters: lower min_cluster_size, or start from a better network.")
        names = np.char.mod("cluster %03d", clusters)
        reid = clone(untrained).fit(X[clusters >= 0], names[clusters >= 0])
        yield clusters, reid


# %%
# What it gains
# -------------
# In each street, 20 people are clustered, and 30 others are ranked. Every picture of theirs is a probe, and all others
# are its gallery; those of the same person in the same camera do not count. The first two figures are of descriptors as
# they are, the next two with cameras centred. The last row is trained on the true labels of the 20 people. Their
# identities are read for that row and for the agreement (adjusted mutual information, 1 for perfect clusters). The
# pictures left out, and the clusters whose pictures are of one camera only, are counted without identities.


def ranked(descriptors, y, cams):
    """Return rank-1 and mAP as two columns."""
    result = ranking_metrics(y, y, distance_blocks(descriptors, descriptors), cams_probe=cams, cams_gallery=cams)
    return f"{result.ranks[1]:8.2f}{result.mean_average_precision:6.2f}"


def describe_clusters(clusters, y, cams):
    """Return number of clusters, pictures left out, clusters of one camera and agreement with `y` as columns."""
    kept, n_clusters = clusters >= 0, clusters.max() + 1
    n_one_camera = sum(len(set(cams[clusters == cluster])) == 1 for cluster in range(n_clusters))
    agreement = adjusted_mutual_info_score(y[kept], clusters[kept])
    return f"{n_clusters:10}{np.mean(~kept):10.0%}{n_one_camera:12}{agreement:11.2f}"


for street in options.streets:
    people = make_pedestrians(n_identities=50, n_shots=4, image_size=size, random_state=street)
    new = people.target < 20
    X, y, cams = people.images[new], people.target[new], people.cams[new]
    X_test, y_test, cams_test = people.images[~new], people.target[~new], people.cams[~new]
    rounds = list(train_without_labels(start, X, cams))
    upper = clone(untrained).fit(X, y)
    systems = {"before": start, **{f"round {i}": reid for i, (_, reid) in enumerate(rounds, 1)}, "true labels": upper}
    columns = {f"round {i}": describe_clusters(clusters, y, cams) for i, (clusters, _) in enumerate(rounds, 1)}
    print(f"street {street}       rank-1   mAP  centred   mAP  clusters  left out  one camera  agreement")
    for name, reid in systems.items():
        descriptors = reid.transform(X_test)
        both = ranked(descriptors, y_test, cams_test) + " " + ranked(centred(descriptors, cams_test), y_test, cams_test)
        print(f"{name:13}{both}{columns.get(name, '')}")

# %%
# Six clusters of the last round in the last street, a row each, and at most ten pictures of each. A red frame marks
# somebody else than most of the cluster.

clusters, _ = rounds[-1]
fig, axes = plt.subplots(6, 10, figsize=(7, 8), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for cluster, row in zip(range(clusters.max() + 1), axes, strict=False):
    members = np.flatnonzero(clusters == cluster)
    most, _ = Counter(y[members].tolist()).most_common(1)[0]
    for ax, i in zip(row, members, strict=False):
        ax.imshow(X[i])
        if y[i] != most:
            ax.axis("on")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(color="red", linewidth=3)
