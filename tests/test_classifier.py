"""The identity classifiers of training, compared with plain loops, and their gradients in the backbone."""

import numpy as np
import torch
from networks import narrow
from test_training import settings

from skreid._training.heads import BandHead, build_classifier, identity_loss, predicted


def test_bands_are_means_over_rows():
    """Six rows are cut into four overlapping bands, as adaptive pooling does, each over the whole width."""
    head = BandHead(2, 6, 3, torch.Generator().manual_seed(0))
    maps = torch.rand(5, 2, 6, 4, generator=torch.Generator().manual_seed(1))
    expected = torch.stack(
        [maps[:, :, top:bottom].mean(dim=(2, 3)) for top, bottom in ((0, 2), (1, 3), (3, 5), (4, 6))], dim=2
    )
    torch.testing.assert_close(head.bands(maps).view(5, 2, 4), expected)


def test_each_band_has_its_own_linear_classifier():
    """In evaluation mode, logits are the normalised bands times the weights of each band."""
    head = BandHead(2, 8, 3, torch.Generator().manual_seed(0)).eval()
    bands = torch.rand(5, 8, generator=torch.Generator().manual_seed(1))
    normalised = bands.view(5, 2, 4) / np.sqrt(1 + head.norm.eps)
    with torch.no_grad():
        for band in range(4):
            torch.testing.assert_close(head(bands)[:, band], normalised[:, :, band] @ head.weight[band])


def test_a_map_of_two_rows_has_two_bands():
    """There are at most as many bands as rows."""
    assert BandHead(2, 2, 3, torch.Generator().manual_seed(0)).n_bands == 2


def test_every_depth_has_classifiers_that_train_the_backbone():
    """Each of the three sizes of maps has them, and the gradient of their loss reaches every convolution."""
    model = build_classifier((32, 16), 5, settings())
    assert model.layers == ("low", "middle", "high")
    logits = model(torch.rand(6, 3, 32, 16))
    assert logits.shape == (6, 12, 5)
    identity_loss(logits, torch.arange(6) % 5).mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.network.parameters() if weight.ndim == 4)


def test_the_loss_is_the_mean_over_classifiers():
    """The mean of the cross-entropy with smoothed labels, computed from probabilities."""
    logits = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([4, 0, 2])
    log_share = logits.numpy() - np.log(np.exp(logits.numpy()).sum(axis=2, keepdims=True))
    target = np.full((3, 5), 0.1 / 5)
    target[np.arange(3), labels] += 0.9
    expected = -(log_share * target[:, None]).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(identity_loss(logits, labels), expected, rtol=1e-12)


def test_a_confident_classifier_outweighs_two_undecided_ones():
    """The predicted identity is the most likely one over all classifiers."""
    logits = torch.tensor([[[5.0, 0.0], [0.0, 0.1], [0.0, 0.1]]])
    assert predicted(logits).tolist() == [0]


def test_classifiers_are_seeded():
    """Equal seeds give equal weights, of as many classes as there are identities."""
    one, same, other = (build_classifier((32, 16), 4, settings(backbone=narrow, random_state=s)) for s in (0, 0, 1))
    assert torch.equal(one.heads[0].weight, same.heads[0].weight)
    assert not torch.equal(one.heads[0].weight, other.heads[0].weight)
    assert one.heads[2].weight.shape == (4, 8, 4)
