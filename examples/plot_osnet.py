"""
A network of your own: OSNet
============================

OSNet (Zhou, Yang, Cavallaro, Xiang, `Omni-Scale Feature Learning for Person Re-Identification
<https://arxiv.org/abs/1905.00953>`_, ICCV 2019) was made for re-identification. Each block looks at four sizes at once,
and decides for every image and filter which of them counts. This example writes it as a function that returns a
:class:`torch.nn.Sequential`, which is all that ``backbone`` needs.
"""

# %%
# **The parts.** The paper's light convolution first mixes filters (1 x 1), then looks at each of them alone (3 x 3).
# The gate sees the mean of each map and weighs it. The parts are named as in the files that Torchreid writes.

from collections import OrderedDict

import matplotlib.pyplot as plt
from torch import nn

from skreid import CMCScorer, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import CMCDisplay


def convolution(n_in, n_out, size=1, stride=1, relu=True):
    """Return a convolution with batch norm, and a ReLU if asked for."""
    conv = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(n_out), **({"relu": nn.ReLU()} if relu else {})))


def light(n):
    """Return a light 3 x 3 convolution of n filters."""
    mix, look = nn.Conv2d(n, n, 1, bias=False), nn.Conv2d(n, n, 3, padding=1, groups=n, bias=False)
    return nn.Sequential(OrderedDict(conv1=mix, conv2=look, bn=nn.BatchNorm2d(n), relu=nn.ReLU()))


class Gate(nn.Module):
    """Weigh each filter of each image by a number in [0, 1]."""

    def __init__(self, n):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(n, max(n // 16, 1), 1), nn.Conv2d(max(n // 16, 1), n, 1)

    def forward(self, maps):
        """Return the weighed maps."""
        means = maps.mean(dim=(2, 3), keepdim=True)
        return maps * self.fc2(self.fc1(means).relu()).sigmoid()


# %%
# **The block.** Stream ``t`` chains ``t`` light convolutions, so it sees ``2t + 1`` cells in each direction. One gate,
# shared by the four streams, weighs them before they are added up.


class OmniScale(nn.Module):
    """A residual block of four streams, which see 3, 5, 7 and 9 cells in each direction."""

    def __init__(self, n_in, n_out):
        super().__init__()
        n = n_out // 4
        self.conv1 = convolution(n_in, n)
        self.conv2a = light(n)
        self.conv2b, self.conv2c, self.conv2d = (nn.Sequential(*(light(n) for _ in range(t))) for t in (2, 3, 4))
        self.gate = Gate(n)
        self.conv3 = convolution(n, n_out, relu=False)
        self.downsample = nn.Identity() if n_in == n_out else convolution(n_in, n_out, relu=False)

    def forward(self, x):
        """Return the block's maps."""
        narrow = self.conv1(x)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        joined = sum(self.gate(stream(narrow)) for stream in streams)
        return (self.conv3(joined) + self.downsample(x)).relu()


# %%
# **The network.** Its children are the layers to choose from: ``conv1`` to ``conv5``.


def osnet(width=1.0):
    """Return OSNet up to its last maps; a smaller width has fewer filters."""
    n1, n2, n3, n4 = (int(width * n) for n in (64, 256, 384, 512))

    def half(n):
        return nn.Sequential(convolution(n, n), nn.AvgPool2d(2))

    return nn.Sequential(
        OrderedDict(
            conv1=convolution(3, n1, size=7, stride=2),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
            conv2=nn.Sequential(OmniScale(n1, n2), OmniScale(n2, n2), half(n2)),
            conv3=nn.Sequential(OmniScale(n2, n3), OmniScale(n3, n3), half(n3)),
            conv4=nn.Sequential(OmniScale(n3, n4), OmniScale(n4, n4)),
            conv5=convolution(n4, n4),
        )
    )


def small_osnet():
    """Return an OSNet with a quarter of the filters."""
    return osnet(width=0.25)


# %%
# **Use it.** Like any network, it trains, its best filters are found, and they describe people it has never seen.

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone=small_osnet, input_size=(64, 32), max_epochs=8, layers=2, blur_size=(8, None), n_filters=24, random_state=0
).fit(people.images[known], people.target[known])
print("layers:", reid.layers_)
print("dimensions:", reid.n_features_out_)

scorer = CMCScorer(ranks=1)
score = scorer(reid, people.images[~known], people.target[~known], cams=people.cams[~known])
print(f"rank-1 of 20 other people: {score:.2f}")

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
CMCDisplay.from_estimator(reid, people.images[~known], people.target[~known], cams=people.cams[~known], ax=ax)
_ = ax.set_title("OSNet, a quarter of its filters, eight epochs")

# %%
# To start from weights that Torchreid trained, give its file: ``MultiDepthReID(backbone=osnet, weights="osnet.pth")``.
# The names of its tensors are those of the parts above; its classifier is left out.
