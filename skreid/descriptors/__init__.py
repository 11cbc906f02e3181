"""Hand-crafted person descriptors, as stateless transformers of images: baselines for learned descriptors.

`LOMO` counts colours and textures; `GOG` and `MLGD` fit Gaussians. They need no training data. `CenteredNormalizer`
comes after them: it learns the mean of the training descriptors, to subtract it. None of them needs torch.
"""

from skreid.descriptors._gog import GOG
from skreid.descriptors._lomo import LOMO
from skreid.descriptors._mlgd import MLGD
from skreid.descriptors._normalizer import CenteredNormalizer

__all__ = ["GOG", "LOMO", "MLGD", "CenteredNormalizer"]
