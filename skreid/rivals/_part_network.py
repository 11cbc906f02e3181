"""The multi-channel part network of `TCPNet`: one channel for the body and one for each horizontal part.

It describes windows of images, cut by `crop`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skreid._images.batches import to_device

MEAN, STD = 0.5, 0.25  # roughly those of pixels in [0, 1]


class PartNetwork(nn.Module):
    """One convolution of the whole image, then a channel for the body and one for each horizontal part.

    Parameters
    ----------
    settings : TripletSettings
        The sizes of the layers.
    """

    def __init__(self, settings):
        super().__init__()
        n = settings.n_channels
        self.n_parts, self.normalize = settings.n_parts, settings.normalize
        self.stem = nn.Sequential(
            nn.Conv2d(3, n, settings.stem_size, settings.stem_stride, settings.stem_size // 2), nn.ReLU()
        )
        with torch.no_grad():
            shape = self.stem(torch.zeros(1, 3, *settings.crop_size)).shape[2:]
        pool = nn.MaxPool2d(3, ceil_mode=True)
        self.body = _channel([nn.Conv2d(n, n, 5, padding=2), nn.ReLU(), pool, nn.Conv2d(n, n, 3, padding=1),
                              nn.ReLU(), pool], n, shape, settings.n_body)  # fmt: skip
        strips = [len(rows) for rows in torch.arange(shape[0]).tensor_split(settings.n_parts)]
        self.parts = nn.ModuleList(
            _channel([nn.Conv2d(n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1), nn.ReLU()],
                     n, (height, shape[1]), settings.n_part)
            for height in strips
        )  # fmt: skip

    def forward(self, batch):
        """Turn RGB in [0, 1], (n, 3, *crop_size), into descriptors (n, n_body + n_parts * n_part)."""
        maps = self.stem((batch - MEAN) / STD)  # (n, C, h, w)
        strips = maps.tensor_split(self.n_parts, dim=2)
        parts = [part(strip) for part, strip in zip(self.parts, strips, strict=True)]
        descriptors = torch.cat([self.body(maps), *parts], dim=1)
        return F.normalize(descriptors) if self.normalize == "l2" else descriptors


def _channel(layers, n, shape, n_out):
    """Return convolutions followed by a fully connected layer of the size that maps of this shape need."""
    convolutions = nn.Sequential(*layers)
    with torch.no_grad():
        n_in = convolutions(torch.zeros(1, n, *shape)).numel()
    return nn.Sequential(convolutions, nn.Flatten(), nn.Linear(n_in, n_out))


def build_network(settings):
    """Build the network from its seed, without changing torch's global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.random_state)
        return PartNetwork(settings)


def crop(batch, size, generator=None):
    """Cut a window out of each image: at a random position if there is a generator, else in the middle.

    Parameters
    ----------
    batch : tensor of shape (n, 3, height, width)
    size : tuple of two int
        Height and width of the windows, at most those of the images.
    generator : torch.Generator, optional
        Draws the positions.

    Returns
    -------
    windows : tensor of shape (n, 3, *size)
    """
    room = [batch.shape[2] - size[0], batch.shape[3] - size[1]]
    if generator is None:
        top, left = room[0] // 2, room[1] // 2
        return batch[:, :, top : top + size[0], left : left + size[1]]
    tops, lefts = (
        to_device(torch.randint(side + 1, (len(batch), 1), generator=generator), batch.device) for side in room
    )
    rows = tops + torch.arange(size[0], device=batch.device)
    columns = lefts + torch.arange(size[1], device=batch.device)
    image = torch.arange(len(batch), device=batch.device)[:, None, None]
    return batch.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
