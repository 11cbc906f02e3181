"""Formulas as MathML, which browsers draw themselves: no script, nothing fetched when a page is read."""

from docutils import nodes
from latex2mathml.converter import convert


def inline(writer, node):
    """Write a formula within a line."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(writer, node):
    """Write a formula on lines of its own; an empty line starts another."""
    writer.body.append('<div class="math">')
    for formula in node.astext().split("\n\n"):
        if formula.strip():
            writer.body.append(convert(formula.strip(), display="block"))
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
