"""The tools of the documentation: pages read in the repository as in the site, and their pictures are current."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT / "docs" / "pictures")]

from plain import for_site  # noqa: E402 - in the folders added above


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs to know which files are tracked")
def test_pages_read_in_the_repository_without_sphinx():
    """Links, anchors and pictures of all Markdown lead to tracked files, and nothing needs Sphinx to be shown."""
    result = subprocess.run([sys.executable, str(ROOT / "docs" / "check_pages.py")], capture_output=True, text=True)
    assert (result.stdout, result.returncode) == ("", 0), result.stdout + result.stderr


def test_site_check_reports_what_is_missing(tmp_path):
    """The check of a built site reports a missing page, anchor, picture and alt text, and passes a sound site."""
    command = [sys.executable, str(ROOT / "docs" / "check_site.py"), str(tmp_path)]
    (tmp_path / "index.html").write_text('<h1 id="top">x</h1><a href="#top">up</a><a href="https://example.org">o</a>')
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""
    (tmp_path / "index.html").write_text(
        '<a href="gone.html">a</a><a href="#nowhere">b</a><img src="gone.png" alt="c"><img src="index.html">'
    )
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "index.html: picture index.html has no alt text",
        "index.html: gone.html is not there",
        "index.html: #nowhere has no such anchor",
        "index.html: gone.png is not there",
    ]


def test_page_check_reports_what_a_code_host_would_not_show(tmp_path):
    """The check of the pages reports links to nothing, missing alt texts and MyST's syntax, and passes sound pages."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "page.md").write_text("generated, so not tracked")
    (tmp_path / "picture.png").write_bytes(b"")
    (tmp_path / "sound.md").write_text(
        "# A title, `code` and more\n\n[up](#a-title-code-and-more) [out](https://example.org) [self](sound.md)\n"
        "![a picture](picture.png)\n\n```python\nx = '[](gone.md) {py:obj}`x`'\n```\n\n"
        "`{py:obj}`\n`x`: [folder](made)\n"
    )
    (tmp_path / "made" / "kept.md").write_text("[back](../sound.md#a-title-code-and-more)")
    git = ["git", "-C", str(tmp_path), "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "sound.md", "picture.png", "made/kept.md"], check=True)
    command = [sys.executable, str(ROOT / "docs" / "check_pages.py"), str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    (tmp_path / "made" / "kept.md").write_text(
        "[a](page.md) [b](../sound.md#nowhere) ![c](gone.png) ![](../picture.png) [](../sound.md)\n\n"
        "```{note}\nx\n```\n\n{py:obj}`x`\n\n(target)=\n\nword\n: its meaning\n"
    )
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert [line.removeprefix("made/kept.md: ") for line in result.stdout.splitlines()] == [
        "picture ../picture.png has no alt text",
        "the link to ../sound.md has no text",
        "a directive of MyST, which a code host shows as text: ```{",
        "a role of MyST, which a code host shows as text: {py:obj}`",
        "a target of MyST, which a code host shows as text: (target)=",
        "a definition list of MyST, which a code host shows as text: : ",
        "page.md is not in the repository",
        "../sound.md#nowhere has no such heading",
        "gone.png is not in the repository",
    ]


@pytest.mark.parametrize(
    ("plain", "site"),
    [
        ("[a](../../examples/plot_search.py)", "[a](../auto_examples/plot_search.rst)"),
        ("[a](../../examples)", "[a](../auto_examples/index.rst)"),
        ("[a](../../skreid/datasets/__init__.py)", "[a](../api/skreid.datasets.rst)"),
        ("[a](../../skreid/__init__.py)", "[a](../api/index.rst)"),
        ("[a](../../notes.md#b)", "[a](included.md#b)"),
        ("[a](../../LICENSE)", "[a](https://github.com/skreid/skreid/blob/main/LICENSE)"),
        ("![a](../images/b.png) [c](b.md#d)", "![a](../images/b.png) [c](b.md#d)"),
        ("[a](#b) [c](https://example.org/d)", "[a](#b) [c](https://example.org/d)"),
        ("`skreid.evaluate`", "{py:obj}`skreid.evaluate <skreid.evaluation.evaluate>`"),
        ("`skreid.nothing` [`skreid.evaluate`](b.md)", "`skreid.nothing` [`skreid.evaluate`](b.md)"),
        ("```python\n[a](../../LICENSE)\n```", "```python\n[a](../../LICENSE)\n```"),
        ("`` `skreid.evaluate` ``", "`` `skreid.evaluate` ``"),
        ("<!-- toctree\na\nb\n-->", "```{toctree}\n:hidden:\n\na\nb\n```"),
        ("<!-- include ../../notes.md -->\nSee the notes.", "[b](page.md)"),
    ],
)
def test_plain_markdown_becomes_what_the_site_needs(plain, site, tmp_path):
    """Links to sources become links to pages of the site, public names links, comments lists of pages and files."""
    (tmp_path / "docs" / "guide").mkdir(parents=True)
    (tmp_path / "docs" / "guide" / "included.md").write_text("<!-- include ../../notes.md -->\n")
    (tmp_path / "notes.md").write_text("[b](docs/guide/page.md)")
    names = {"skreid.evaluate": "skreid.evaluation.evaluate"}
    assert for_site(plain, "docs/guide/page.md", names, root=tmp_path) == site


def test_pictures_of_the_pages_are_drawn_by_the_code_of_today(tmp_path):
    """Every picture in docs/images has a script, and holds the digest of that script as it is now."""
    draw = importlib.import_module("draw")
    assert {path.name for path in draw.IMAGES.iterdir()} == set(draw.SCRIPTS)
    assert draw.outdated() == [], "run: python docs/pictures/draw.py"


def test_the_picture_of_the_steps_shows_rows_of_the_table():
    """Each bar has the settings, dimensions and rank-1 of one row of the method page's table."""
    text = (
        (ROOT / "docs" / "method.md").read_text(encoding="utf-8").partition("## Why it works")[2].partition("\n## ")[0]
    )
    rows = {
        tuple(cell.strip().strip("*") for cell in line.split("|")[1:7]) for line in text.splitlines() if line[:1] == "|"
    }
    steps = importlib.import_module("steps").STEPS
    assert {tuple(map(str, step)) for step in steps.values()} <= rows


def test_a_digest_of_a_picture_sees_code_and_not_words(tmp_path):
    """The digest changes with the code of the script, and not with docstrings and lines of comments."""
    draw = importlib.import_module("draw")
    digests = set()
    for number, code in enumerate(
        ('"""A."""\nx = 1', '"""B."""\n\n# c\nx = 1', "x = 2", 'def f():\n    """A."""\n    g()')
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(code)
        digests.add(draw.digest(path))
    assert len(digests) == 3
