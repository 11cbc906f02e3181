"""The field's learned metrics as scikit-learn estimators.

They sit on any descriptor: ``make_pipeline(descriptor, PCA(...), XQDA())``. Numpy, scipy and scikit-learn
only.
"""

from skreid.metric_learning._cvdca import CVDCA
from skreid.metric_learning._kernel_cvdca import KCVDCA
from skreid.metric_learning._kernel_xqda import KernelXQDA
from skreid.metric_learning._scatter import cross_view_scatter
from skreid.metric_learning._xqda import XQDA

__all__ = ["CVDCA", "KCVDCA", "XQDA", "KernelXQDA", "cross_view_scatter"]
