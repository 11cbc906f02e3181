"""Small backbones for tests: `narrow` has the shape of a VGG at a thousandth of its work."""

from collections import OrderedDict

from torch import nn


def narrow():
    """Return a network of ten layers of 4 to 8 filters; `low`, `middle` and `high` are ReLUs."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3, padding=1),
            norm1=nn.BatchNorm2d(4),
            low=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(4, 6, 3, padding=1),
            middle=nn.ReLU(inplace=True),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(6, 8, 3, padding=1),
            norm3=nn.BatchNorm2d(8),
            high=nn.ReLU(inplace=True),
        )
    )


def plain():
    """Return a network without batch norm."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3),
            low=nn.ReLU(),
            conv2=nn.Conv2d(4, 6, 3),
            middle=nn.ReLU(),
            conv3=nn.Conv2d(6, 8, 3),
            high=nn.ReLU(),
        )
    )


def deeper():
    """Return `narrow` with a fourth block, which ends at the ReLU `deepest`."""
    fourth = OrderedDict(pool3=nn.MaxPool2d(2), conv4=nn.Conv2d(8, 8, 3, padding=1), deepest=nn.ReLU(inplace=True))
    return nn.Sequential(OrderedDict(narrow().named_children()) | fourth)


def two_blocks():
    """Return `narrow` without its last block."""
    return narrow()[:6]
