"""Formulas as MathML, which browsers draw themselves: no script, and nothing is downloaded when a page is read.

docutils converts them. Sphinx's own renderers need more: mathjax loads a script, imgmath needs LaTeX.
"""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def inline(writer, node):
    """Write a formula within a line."""
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block(writer, node):
    """Write formulas on lines of their own; an empty line starts another formula."""
    formulas = [tex2mathml(formula, as_block=True) for formula in node.astext().split("\n\n") if formula.strip()]
    writer.body.append(f'<div class="math">{"".join(formulas)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
