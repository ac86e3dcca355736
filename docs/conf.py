"""The documentation site: `make docs` builds it, and a broken reference fails."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

import autobalance

project = "AutoBalance"
author = "AutoBalance contributors"
copyright = "AutoBalance contributors, MIT licence"
version = release = autobalance.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
root_doc = "index"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "AutoBalance"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

napoleon_google_docstring = False
napoleon_use_rtype = False
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "ignore-module-all": True,
    # made by scikit-learn, with references into its own site
    "exclude-members": "set_fit_request, set_predict_proba_request, set_score_request",
}
autodoc_mock_imports = ["timm", "torchvision", "smac"]

# Every reference has to resolve. What other libraries define is named in signatures, where no site
# of theirs is looked up: a build needs no network.
nitpicky = True
suppress_warnings = ["ref.python"]  # a short name in a type that two modules have
_TYPE_VARIABLES = "baselines.direct_search.Kept|jobs.Result|models.normalised.Model|report.units.T"
nitpick_ignore_regex = [
    ("py:.*", rf"(?!{re.escape('autobalance.')}).*"),
    ("py:.*", rf"autobalance\.({_TYPE_VARIABLES})"),
    ("py:.*", r".*\._\w+"),  # private, and named in a signature only
]


def setup(app: Sphinx) -> None:
    """Equations as MathML, which browsers draw without a script; constants in whole sentences."""
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    app.connect("autodoc-process-docstring", _sentence, priority=400)  # before napoleon


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _displayed(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f"<div class='math'>{convert(node.astext(), display='block')}</div>")
    raise nodes.SkipNode


def _sentence(
    app: Sphinx, what: str, name: str, item: object, options: Any, lines: list[str]
) -> None:
    """Napoleon would take what stands before the first colon for a type; it finds an empty one."""
    if what in ("data", "attribute") and lines:
        lines[0] = f": {lines[0]}"
