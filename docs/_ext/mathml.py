"""Formulas as MathML, which browsers draw themselves: no script, and nothing is downloaded when a page is read.

docutils converts them. Sphinx's own renderers need more: mathjax loads a script, imgmath needs LaTeX.
"""

from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging


def convert(node, formula, as_block=False):
    """Return a formula as MathML; warn of one that docutils does not understand, and show its source."""
    try:
        return tex2mathml(formula, as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        return f"<code>{escape(formula)}</code>"


def inline(writer, node):
    """Write a formula within a line."""
    writer.body.append(convert(node, node.astext()))
    raise nodes.SkipNode


def block(writer, node):
    """Write formulas on lines of their own; an empty line starts another formula."""
    formulas = [formula for formula in node.astext().split("\n\n") if formula.strip()]
    converted = "".join(convert(node, formula, as_block=True) for formula in formulas)
    writer.body.append(f'<div class="math">{converted}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
