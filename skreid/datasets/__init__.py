"""Data sets: drawn people, and loaders for the layouts in which real data sets are distributed.

Loaders return paths, not pixels, so that a set may be larger than memory.
"""

from skreid.datasets._csv_table import load_csv
from skreid.datasets._cuhk01 import load_cuhk01
from skreid.datasets._cuhk03 import load_cuhk03
from skreid.datasets._drawn import make_pedestrians
from skreid.datasets._grid import load_grid
from skreid.datasets._ilids import load_ilids
from skreid.datasets._image_folder import load_image_folder
from skreid.datasets._market1501 import load_market1501
from skreid.datasets._msmt17 import load_msmt17
from skreid.datasets._pku_reid import load_pku_reid
from skreid.datasets._prid2011 import load_prid2011
from skreid.datasets._viper import load_viper

__all__ = [
    "load_csv",
    "load_cuhk01",
    "load_cuhk03",
    "load_grid",
    "load_ilids",
    "load_image_folder",
    "load_market1501",
    "load_msmt17",
    "load_pku_reid",
    "load_prid2011",
    "load_viper",
    "make_pedestrians",
]
