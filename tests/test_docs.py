"""Documentation: what it says exists, what it shows runs, and every public name is documented."""

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from rooms import public_names  # noqa: E402 - found by the line above

PUBLIC = {f"{room}.{name}": getattr(importlib.import_module(room), name)
          for room, names in public_names().items() for name in names}  # fmt: skip
SETTINGS = {name: found for name, found in PUBLIC.items() if isinstance(found, dict)}  # no docstring of their own
NAMES = sorted(set(PUBLIC) - set(SETTINGS))
PAGES = sorted(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")) + sorted(
    page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts and "auto_examples" not in page.parts
)
GENERATED = ("auto_examples/", "api/")  # made when the pages are built
# Sections numpydoc would like and this project does without: an extended summary, "See Also" everywhere, its
# order of keyword arguments, sentences that start with a capital where they start with a name.
WAIVED = {"ES01", "SA01", "PR03", "PR08", "RT02", "RT03", "RT04", "SS05"}


def identify(page):
    return str(page.relative_to(ROOT))


def find(name):
    """Return a public object by its dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def methods(name):
    """Return the dotted names of a class's own public methods, those of skreid's base classes included."""
    found = find(name)
    if not inspect.isclass(found):
        return []
    public = [
        member for member in dir(found) if not member.startswith("_") and not re.match(r"set_\w+_request", member)
    ]
    return [
        f"{name}.{member}"
        for member in public
        if inspect.isfunction(inspect.unwrap(getattr(found, member)))
        and inspect.unwrap(getattr(found, member)).__module__.startswith("skreid")
    ]


def fences(page):
    """Return the Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("name", NAMES)
def test_docstring_sections(name):
    """Parameters, returns and an example, in numpydoc's form; the names in it are those of the signature."""
    validate = pytest.importorskip("numpydoc.validate").validate
    if not (inspect.isclass(find(name)) or inspect.isfunction(find(name))):
        name = f"{type(find(name)).__module__}.{type(find(name)).__name__}"  # an instance has its class's docstring
    fields = hasattr(find(name), "__dataclass_fields__") or hasattr(find(name), "_fields")
    waived = WAIVED | ({"PR01"} if fields or name.endswith("DistanceBlocks") else set())  # made by skreid, not by users
    problems = [(code, text) for code, text in validate(name)["errors"] if code not in waived]
    for method in methods(name):  # the class shows how they are used; one line may say all there is
        short = len(inspect.getdoc(find(method)).splitlines()) == 1
        without = waived | {"EX01"} | ({"PR01", "RT01", "YD01"} if short else set())
        problems += [(method, code, text) for code, text in validate(method)["errors"] if code not in without]
    assert not problems


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_runnable(name):
    """Every public name has an example with a prompt, which pytest runs as a doctest."""
    assert ">>> " in (inspect.getdoc(find(name)) or "")


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_prompts_in_pages(page):
    """Code shown with its output gives that output."""
    blocks = [block for block in fences(page) if ">>> " in block]
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, identify(page), str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_code_in_pages(page):
    """Code without prompts is Python, what it imports from skreid exists, and its parameters are real."""
    for block in fences(page):
        if ">>> " in block:
            continue
        tree = ast.parse(block)
        known = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skreid":
                known |= {alias.asname or alias.name: find(f"{node.module}.{alias.name}") for alias in node.names}
        for node in ast.walk(tree):
            called = known.get(getattr(getattr(node, "func", None), "id", None))
            if called is not None:
                allowed = inspect.signature(called).parameters
                assert {word.arg for word in node.keywords if word.arg} <= set(allowed)


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_names_in_pages(page):
    """Every reference to the API names something that is there."""
    for name in re.findall(r"\{py:\w+\}`[~.]?([\w.]+)`", page.read_text(encoding="utf-8")):
        assert find(name) is not None


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_links_in_pages(page):
    """Every link and picture within the repository is there."""
    text = re.sub(r"^```(?!\{).*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^```\{(?:image|include)\} (\S+)", text, flags=re.M)
    for target in targets:
        if re.match(r"https?://|#", target) or any(f"{kind}" in target for kind in GENERATED):
            continue
        assert (page.parent / target.split("#")[0]).exists(), target


def test_parameters_of_the_estimator_are_in_the_readings():
    """The page that lists how the paper is read names parameters that exist."""
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    table = text[text.index("(readings)=") :]
    parameters = set(inspect.signature(find("skreid.MultiDepthReID")).parameters)
    cells = [row.split("|")[-2] for row in table.splitlines() if row.startswith("| ")][1:]
    named = {word for cell in cells for word in re.findall(r"(?<!\})`(\w+)`", cell)} - {"cams", "fit"}
    assert named
    assert named <= parameters


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_in_the_readings(name):
    """The page that lists how the paper is read tells a public setting by name and by value."""
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    table = text[text.index("(readings)=") :]
    assert name.rpartition(".")[2] in table
    for parameter, value in SETTINGS[name].items():
        assert f"`{parameter}={value!r}`".replace("'", '"') in table


def test_site_check_finds_faults(tmp_path):
    """The check of a built site sees a missing page, anchor, picture and text, and passes a sound one."""
    command = [sys.executable, str(ROOT / "docs" / "check_site.py"), str(tmp_path)]
    (tmp_path / "index.html").write_text('<h1 id="top">x</h1><a href="#top">up</a><a href="https://example.org">o</a>')
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""
    (tmp_path / "index.html").write_text(
        '<a href="gone.html">a</a><a href="#nowhere">b</a><img src="gone.png" alt="c"><img src="index.html">'
    )
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "index.html: picture index.html has no alt text",
        "index.html: gone.html is not there",
        "index.html: #nowhere has no such anchor",
        "index.html: gone.png is not there",
    ]
