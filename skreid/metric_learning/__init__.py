"""Learned metrics of person re-identification, as scikit-learn estimators.

They follow any descriptor in a Pipeline, such as ``make_pipeline(LOMO(), PCA(100), XQDA())``, and do not need torch.
"""

from skreid.metric_learning._cvdca import CVDCA
from skreid.metric_learning._kernel_cvdca import KCVDCA
from skreid.metric_learning._kernel_xqda import KernelXQDA
from skreid.metric_learning._scatter import cross_view_scatter
from skreid.metric_learning._xqda import XQDA

__all__ = ["CVDCA", "KCVDCA", "XQDA", "KernelXQDA", "cross_view_scatter"]
