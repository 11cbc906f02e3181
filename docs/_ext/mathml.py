"""Formulas as MathML, which browsers draw themselves: no script, nothing fetched when a page is read."""

from latex2mathml.converter import convert


def inline(writer, node):
    """Write a formula within a line."""
    writer.body.append(convert(node.astext()))


def block(writer, node):
    """Write a formula on lines of its own; an empty line starts another."""
    writer.body.append('<div class="math">')
    for formula in node.astext().split("\n\n"):
        writer.body.append(convert(formula, display="block"))
    writer.body.append("</div>\n")


def leave(writer, node):
    """Nothing is left to write."""


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, leave), (block, leave))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
