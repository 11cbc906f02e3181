"""The HTML of a report: its skeleton, style, tables and embedded images. All text is escaped here.

There are no scripts and no outside resources: the page's own security policy forbids both.
"""

import base64
import html
import io

import numpy as np
from PIL import Image

from skreid._base.text import visible

NARROW = 5.5  # inches: the text of a plot of this width can be read on a narrow screen

STYLE = """
:root { --ink: #1b1b1b; --soft: #595959; --line: #cfcfcf; --right: #00694d; --wrong: #a04000; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(0.75rem, 3vw, 2rem) 3rem; max-width: 72rem; color: var(--ink);
  background: #fff; font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2rem 0 0.5rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.2rem 0 0.4rem; overflow-wrap: anywhere; }
p { margin: 0.4rem 0; max-width: 48rem; overflow-wrap: anywhere; }
a { color: #0b4f94; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid #0b4f94; outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; padding: 0; margin: 0.5rem 0; list-style: none; }
.skip { position: absolute; left: -99rem; }
.skip:focus { position: static; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: 0.9rem; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; }
td.value { overflow-wrap: anywhere; min-width: 8rem;
  font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 0.9rem; }
td small, th small { color: var(--soft); display: block; font-weight: 400; }
figure { margin: 0.5rem 0; }
.plot img { display: block; width: 100%; height: auto; }
.plot.scroll img { min-width: 34rem; }
.plots { display: flex; flex-wrap: wrap; gap: 0 1rem; }
.plots figure { flex: 1 1 20rem; }
.strip { display: flex; flex-wrap: wrap; gap: 0.6rem; list-style: none; margin: 0.4rem 0; padding: 0; }
.strip figure { margin: 0; text-align: center; font-size: 0.85rem; line-height: 1.3; }
.strip img { display: block; height: 8rem; width: auto; margin: 0 auto 0.2rem;
  border: 4px solid #fff; }
.strip .probe { padding-right: 0.6rem; border-right: 2px solid var(--line); }
.strip .right img { border: 4px solid var(--right); }
.strip .right { color: var(--right); font-weight: 600; }
.strip .wrong img { border: 4px dashed var(--wrong); }
.strip .wrong { color: var(--wrong); }
.strip .gap { align-self: center; color: var(--soft); }
summary { cursor: pointer; padding: 0.3rem 0; font-weight: 600; }
.protocol { border-left: 4px solid #0b4f94; padding: 0.2rem 0 0.2rem 0.8rem; }
@media (max-width: 40rem) { .strip img { height: 6.5rem; } body { font-size: 0.95rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav, .skip { display: none; }
  .plot.scroll img { min-width: 0; }
  details::details-content { content-visibility: visible; block-size: auto; }
  figure, tr, .ranking { break-inside: avoid; } h2, h3 { break-after: avoid; } .scroll { overflow: visible; }
  * { print-color-adjust: exact; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>{title}</h1>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
</header>
<main id="content">
{sections}
</main>
</body>
</html>
"""


def escape(text):
    """Return a text that is safe in HTML, also within a quoted attribute."""
    return html.escape(visible(text))


def page(title, sections):
    """Return the whole page.

    Parameters
    ----------
    title : str
    sections : list of (str, str)
        Heading and HTML of each section.
    """
    anchors = [f"section-{i}" for i in range(len(sections))]
    links = [
        f'<li><a href="#{anchor}">{escape(heading)}</a></li>'
        for anchor, (heading, _) in zip(anchors, sections, strict=True)
    ]
    bodies = [
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{escape(heading)}</h2>\n{body}\n</section>'
        for anchor, (heading, body) in zip(anchors, sections, strict=True)
    ]
    return _PAGE.format(title=escape(title), style=STYLE, links="\n".join(links), sections="\n".join(bodies))


def table(caption, head, rows, numbers=()):
    """Return a table, which scrolls within its own region where the screen is narrow.

    Parameters
    ----------
    caption : str
    head : list of str
        Heads of the columns.
    rows : list of list
        Texts of the cells; the first names the row. A tuple ``(text, note)`` puts a note below the text.
    numbers : collection of int
        Indices of the columns that hold numbers, which are aligned to the right.
    """

    def cell(column, content):
        text, note = content if isinstance(content, tuple) else (content, None)
        inner = escape(text) + ("" if note is None else f"<small>{escape(note)}</small>")
        if column == 0:
            return f'<th scope="row">{inner}</th>'
        return f'<td class="{"number" if column in numbers else "value"}">{inner}</td>'

    heads = "".join(
        f'<th scope="col"{" class=number" if i in numbers else ""}>{escape(name)}</th>' for i, name in enumerate(head)
    )
    body = "\n".join(f"<tr>{''.join(cell(i, content) for i, content in enumerate(row))}</tr>" for row in rows)
    label = escape(caption)
    return (
        f'<figure><figcaption class="caption">{label}</figcaption>\n'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">\n'
        f'<table aria-label="{label}">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div></figure>"
    )


def paragraph(text, kind=None):
    """Return a paragraph, of the CSS class `kind`."""
    return f"<p{'' if kind is None else f' class={kind}'}>{escape(text)}</p>"


def folded(title, body):
    """Return a body that is hidden until its title is clicked."""
    return f"<details><summary>{escape(title)}</summary>\n{body}\n</details>"


def new_figure(width, height):
    """Return a new figure, which pyplot does not manage, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def plot(figure, label, alt):
    """Return a matplotlib figure as an embedded SVG image; a wide one scrolls where the screen is narrow."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "skreid"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})  # equal results make equal files
    kind = 'class="plot"'
    if figure.get_figwidth() > NARROW:
        kind = f'class="plot scroll" tabindex="0" role="region" aria-label="{escape(label)}"'
    return (
        f'<figure {kind} style="max-width: {figure.get_figwidth() * 6:g}rem">'
        f'<img src="{_data_uri("svg+xml", buffer)}" alt="{escape(alt)}"></figure>'
    )


def thumbnail(image, alt, height=240):
    """Return an image as an embedded JPEG, at most `height` pixels high and four times as wide."""
    if image.dtype != np.uint8:
        image = np.rint(image * 255).astype(np.uint8)
    picture = Image.fromarray(image)
    picture.thumbnail((4 * height, height), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=88)
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="{_data_uri("jpeg", buffer)}" {size} alt="{escape(alt)}">'


def _data_uri(kind, buffer):
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
