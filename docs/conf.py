"""Settings of the documentation: Sphinx, the theme, the gallery. Nothing is downloaded while it is built."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from rooms import write_room_pages  # noqa: E402 - in the folder added above
from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

import skreid  # noqa: E402
from skreid.datasets import make_pedestrians  # noqa: E402

write_room_pages(HERE / "api")
skreid.MultiDepthReID._doc_link_template = "../api/skreid.{estimator_name}.html"  # diagrams link within the site

THUMBNAIL = HERE / "generated" / "people.png"  # of examples without a picture
if not THUMBNAIL.exists():
    THUMBNAIL.parent.mkdir(exist_ok=True)
    row = make_pedestrians(n_identities=4, n_cameras=1, n_shots=1, image_size=(192, 96), random_state=0).images
    Image.fromarray(np.concatenate(list(row), axis=1)).save(THUMBNAIL)

project = "skreid"
author = "The skreid developers"
copyright = author
version = release = skreid.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "members",
    "plain",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
templates_path = ["_templates"]
exclude_patterns = ["_build", "sg_execution_times.rst", "auto_examples/sg_execution_times.rst"]
default_role = "py:obj"  # `fit` links where it can, and is code where it cannot
nitpicky = False
suppress_warnings = ["config.cache"]

autodoc_typehints = "none"  # numpydoc says the types
toc_object_entries_show_parents = "hide"
autosummary_generate = True
autosummary_imported_members = False
numpydoc_show_class_members = False  # the templates list them
numpydoc_use_plots = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

EXAMPLES = [
    "plot_getting_started.py",
    "plot_smoothing.py",
    "plot_filters.py",
    "plot_feature_maps.py",
    "plot_more_filters.py",
    "plot_search.py",
    "plot_osnet.py",
    "plot_pipeline.py",
    "plot_evaluation.py",
    "plot_thresholds.py",
    "plot_table1.py",
    "plot_report.py",
    "plot_without_labels.py",
    "plot_cost.py",
    "*",
]
# The quickstart trains for minutes: it is shown, and run only if SKREID_DOCS_QUICKSTART is set.
skipped = "" if os.environ.get("SKREID_DOCS_QUICKSTART") else "(?!quickstart)"
sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": rf"[/\\]plot_{skipped}",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": ExplicitOrder(EXAMPLES),
    "doc_module": ("skreid",),
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"skreid": None},
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "plot_gallery": True,
    "matplotlib_animations": False,
    "capture_repr": ("_repr_html_",),
    "default_thumb_file": str(THUMBNAIL),
    "show_signature": False,
    "download_all_examples": False,
}
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive", category=UserWarning)

html_theme = "pydata_sphinx_theme"
html_title = "skreid"
html_static_path = ["_static"]
html_css_files = ["skreid.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "getting_started": [], "method": [], "responsible_use": [], "changelog": []}
html_theme_options = {
    "logo": {"text": f"skreid {release}"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
}
