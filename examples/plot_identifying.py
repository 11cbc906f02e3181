"""
Who is this?
============

A gallery of enrolled people meets probes of these people and of strangers. A threshold decides who is named. It is set
on strangers of its own, so that about one in ten of further strangers is named by mistake.
"""

# %%
# Three groups of people
# ----------------------
#
# The system learns from some people. Of those it has never seen, some are enrolled in a gallery, some are strangers who
# set the threshold, and some are strangers who come later.

import matplotlib.pyplot as plt
import numpy as np

from skreid import Gallery, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import OpenSetDisplay
from skreid.metrics import open_set_curve

people = make_pedestrians(n_identities=200, image_size=(64, 32), random_state=0)
X, y, cams = people.images, people.target, people.cams
trained, enrolled = y < 40, (y >= 40) & (y < 80)
calibration, later = (y >= 80) & (y < 140), y >= 140
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(X[trained], y[trained])

# %%
# A gallery and its threshold
# ---------------------------
#
# The gallery holds the images of the first camera. Probes come from the second.

first, second = cams == cams.min(), cams != cams.min()
gallery = Gallery.from_estimator(reid, X[enrolled & first], ids=y[enrolled & first])
threshold = gallery.threshold(X[calibration & second], far=0.1)
print(f"{gallery}: name people up to a distance of {threshold:.3f}")

# %%
# Enrolled people and further strangers
# -------------------------------------

answer = gallery.identify(X[enrolled & second], threshold=threshold)
strangers = gallery.identify(X[later & second], threshold=threshold)
right = np.mean(answer.best == y[enrolled & second])
named = np.mean([who is not None for who in strangers.best])
print(answer)
print(f"{right:.0%} of the enrolled people are identified; {named:.0%} of the strangers are named by mistake")

# %%
# Every threshold at once
# -----------------------
#
# The curve shows what each rate of false alarms costs. It takes the distances of the gallery, and decides by the labels
# who is a stranger.

probes = (enrolled | later) & second
distances = gallery.distance_blocks(X[probes])
curve = open_set_curve(y[probes], gallery.ids, distances)
for far in (0.1, 1 / curve.n_strangers):
    print(f"at {far:.1%} false alarms {curve.dir_at_far(far):.0%} of the enrolled people are identified")
OpenSetDisplay(curves=curve, name="vgg11_bn").plot(far=0.1)
plt.show()
