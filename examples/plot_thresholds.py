"""
Is it the same person?
======================

A ranking always names somebody. To decide whether the first image shows the right person at all, a threshold on the
distance is needed. It makes two kinds of errors: different people taken for the same (false matches), and images of one
person taken for different people (false non-matches).
"""

# %%
# Distances of all pairs
# ----------------------

import matplotlib.pyplot as plt
import numpy as np

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.metrics import distance_blocks, threshold_at_fmr, verification_curve
from skreid.model_selection import split_probe_gallery

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])

X, y, cams = people.images[~known], people.target[~known], people.cams[~known]
probe, gallery = split_probe_gallery(y, cams=cams, n_shots=2, random_state=0)
descriptors = reid.transform(X)
distances = distance_blocks(descriptors[probe], descriptors[gallery])
curve = verification_curve(y[probe], y[gallery], distances)
print(f"{curve.n_genuine} pairs of the same person, {curve.n_impostor} pairs of different people")
print(f"equal error rate {curve.equal_error_rate:.3f} at distance {curve.equal_error_threshold:.3f}")

# %%
# The distances of the two kinds of pairs overlap, so every threshold makes errors.

matrix = distances(0, len(probe))
same = y[probe][:, None] == y[gallery]
threshold = threshold_at_fmr(y[probe], y[gallery], distances, fmr=0.01)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
bins = np.linspace(matrix.min(), matrix.max(), 40)
left.hist([matrix[same], matrix[~same]], bins, density=True, histtype="step", label=["same person", "different people"])
left.axvline(threshold, color="0.3", linestyle="--", label="1 % false matches")
left.set(xlabel="distance", ylabel="density")
left.legend()
right.step(curve.fmr, curve.fnmr, where="post")
right.plot(curve.equal_error_rate, curve.equal_error_rate, "o", label="equal error rate")
right.set(xlabel="false-match rate", ylabel="false-non-match rate", xlim=(0, 1), ylim=(0, 1))
_ = right.legend()

# %%
# Choose the threshold on people other than those it is used on, and decide which rate of false matches is acceptable.
# In a gallery of a million images, a rate of one in a thousand means a thousand false matches for every probe.

print(f"at most 1 % false matches: distance <= {threshold:.3f}, {curve.fnmr_at_fmr(0.01):.1%} of true pairs missed")
