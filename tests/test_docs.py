"""Documentation: every name it mentions exists, its code runs, and every public name is documented."""

import ast
import doctest
import importlib
import inspect
import pydoc
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from rooms import public_names  # noqa: E402 - in the folder added above

PUBLIC = {f"{room}.{name}": getattr(importlib.import_module(room), name)
          for room, names in public_names().items() for name in names}  # fmt: skip
SETTINGS = {name: value for name, value in PUBLIC.items() if isinstance(value, dict)}  # dicts have no docstring
NAMES = sorted(set(PUBLIC) - set(SETTINGS))
PAGES = sorted(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")) + sorted(
    page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts and "auto_examples" not in page.parts
)
USER_PAGES = [page for page in PAGES if "developer" not in page.parts and page.name != "CONTRIBUTING.md"]
SCRIPTS = sorted((ROOT / "examples").glob("*.py")) + sorted((ROOT / "benchmarks").glob("*.py"))
EXTENDING = (ROOT / "docs" / "developer" / "extending.md").read_text(encoding="utf-8")
# Whole modules, each after a line that says where it goes: "`_stripes.py` in `skreid/descriptors`:"
MODULES = re.findall(r'^`(\w+)\.py` in `skreid/(\w+)`:\n\n```python\n(""".*?)^```', EXTENDING, flags=re.M | re.S)
# Rules of numpydoc that this project does not follow: an extended summary, "See Also" everywhere, numpydoc's order
# of keyword arguments, and a capital at the start of sentences that start with a name.
WAIVED = {"ES01", "SA01", "PR03", "PR08", "RT02", "RT03", "RT04", "SS05"}


def identify(page):
    return str(page.relative_to(ROOT))


def find(name):
    """Return the object that a dotted name stands for."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


def methods(name):
    """Return the dotted names of a class's public methods that are defined in skreid, base classes included."""
    owner = find(name)
    if not inspect.isclass(owner):
        return []
    public = [
        member for member in dir(owner) if not member.startswith("_") and not re.match(r"set_\w+_request", member)
    ]
    return [
        f"{name}.{member}"
        for member in public
        if inspect.isfunction(inspect.unwrap(getattr(owner, member)))
        and inspect.unwrap(getattr(owner, member)).__module__.startswith("skreid")
    ]


def fences(page):
    """Return the Python blocks of a page that are not whole modules."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [block for block in blocks if not block.startswith('"""')]


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_numpydoc_sections_that_match_the_signature(name):
    """Parameters, returns and an example are in numpydoc's form, and parameters are those of the signature."""
    validate = pytest.importorskip("numpydoc.validate").validate
    if not (inspect.isclass(find(name)) or inspect.isfunction(find(name))):
        name = f"{type(find(name)).__module__}.{type(find(name)).__name__}"  # an instance: its class has the docstring
    fields = hasattr(find(name), "__dataclass_fields__") or hasattr(find(name), "_fields")
    waived = WAIVED | ({"PR01"} if fields or name.endswith("Blocks") else set())  # users do not make these
    problems = [(code, text) for code, text in validate(name)["errors"] if code not in waived]
    for method in methods(name):  # the class has the example; a docstring of one line needs no sections
        short = len(inspect.getdoc(find(method)).splitlines()) == 1
        without = waived | {"EX01"} | ({"PR01", "RT01", "YD01"} if short else set())
        problems += [(method, code, text) for code, text in validate(method)["errors"] if code not in without]
    assert not problems


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_an_example(name):
    """Every public name has an example with a prompt, which pytest runs as a doctest."""
    assert ">>> " in (inspect.getdoc(find(name)) or "")


def test_help_of_the_default_scorer_says_how_to_call_it():
    """`help(cmc_score)` shows what it takes and returns, and not how its class is made."""
    shown = pydoc.render_doc(find("skreid.cmc_score"), renderer=pydoc.plaintext)
    assert "estimator : fitted transformer or Pipeline" in shown
    assert "n_repeats : int" not in shown


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_code_with_prompts_prints_what_the_page_shows(page):
    """Code with prompts, run in order, prints the output shown below it."""
    blocks = [block for block in fences(page) if ">>> " in block]
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, identify(page), str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_code_without_prompts_is_valid(page):
    """Code without prompts is Python, the names it imports from skreid exist, and so do their parameters."""
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


def test_code_of_the_readme_runs(tmp_path, monkeypatch):
    """The README's code runs in order as it stands, here with fewer people, one epoch and a small network."""
    monkeypatch.chdir(tmp_path)  # its cache is a folder beside it
    first, strongest = fences(ROOT / "README.md")
    for written, small in {
        "n_identities=60": "n_identities=12",
        "< 40": "< 8",
        '"max_epochs": 6': '"max_epochs": 1',
    }.items():
        assert first.count(written) == 1
        first = first.replace(written, small)
    names = {}
    exec(first, names)
    assert names["indices"].shape == (8, 5)
    assert set(names["search"].best_params_) == {"blur_size"}
    written = 'backbone="vgg16", weights="IMAGENET1K_V1", max_epochs=12'
    assert strongest.count(written) == 1
    strongest = strongest.replace(written, 'backbone="vgg11_bn", input_size=(64, 32), max_epochs=1')
    people, known = names["people"], names["known"]
    names |= {"X": people.images[known], "y": people.target[known], "cams": people.cams[known]}
    names |= {"probes": people.images[~known][:3], "gallery": people.images[~known]}
    exec(strongest, names)
    assert names["indices"].shape == (3, 10)


def test_front_page_shows_the_figures_of_the_readme():
    """The section with the figures is the same on the front page of the site."""
    readme, front = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/index.md"))
    section = re.search(r"## How well it does\n.*?(?=\n## )", readme, flags=re.S)[0].strip()
    assert section.replace("(docs/", "(") in front


def test_every_extra_of_users_is_named_in_getting_started():
    """The table of extras has a row for each, so that nobody has to read pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page.partition("| extra |")[2].partition("\n\n")[0], flags=re.M))
    assert named == set(project["optional-dependencies"]) - {"test", "bench", "docs"}


def test_calls_of_the_table_of_tasks_exist():
    """In "Which of these do I need?", every call is Python, its names exist, and so do its parameters."""
    table = (ROOT / "docs" / "user_guide" / "index.md").read_text(encoding="utf-8").partition("| I want to |")[2]
    calls = [call for row in table.splitlines() if row.startswith("| ") for call in re.findall("`([^`]+)`", row)]
    ours = {name.rpartition(".")[2]: value for name, value in PUBLIC.items()}
    others = {"GridSearchCV", "PCA", "make_pipeline", "joblib", "skreid"}  # and the names that the page defines
    others |= {"reid", "system", "people", "paths", "X", "y", "cams"}
    assert len(calls) > 15
    for call in calls:
        for node in ast.walk(ast.parse(call)):
            if isinstance(node, ast.Name):
                assert node.id in ours or node.id in others, call
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "reid":
                assert hasattr(ours["MultiDepthReID"], node.attr), call
            elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ours:
                allowed = inspect.signature(ours[node.func.id]).parameters
                assert {word.arg for word in node.keywords if word.arg} <= set(allowed), call


@pytest.mark.parametrize(("name", "room", "code"), MODULES, ids=[name for name, _, _ in MODULES])
def test_modules_of_the_page_on_extending_work_in_their_rooms(name, room, code, tmp_path, monkeypatch):
    """Their examples print what they show, and their docstrings pass the same checks as those of skreid."""
    path, package = tmp_path / f"{name}.py", importlib.import_module(f"skreid.{room}")
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{package.__name__}.{name}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    public = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == spec.name}
    assert len(public) == 1
    for key, value in public.items():
        monkeypatch.setattr(package, key, value, raising=False)
        test_docstring_has_numpydoc_sections_that_match_the_signature(f"{package.__name__}.{key}")
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert results.attempted
    assert not results.failed


def test_every_whole_module_of_the_page_on_extending_is_tried():
    assert len(MODULES) == EXTENDING.count('```python\n"""')


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_api_references_exist(page):
    """Every dotted name of skreid that stands alone in code is the name of an object; the site links public ones."""
    for name in re.findall(r"(?<!`)`(skreid(?:\.\w+)+)`", page.read_text(encoding="utf-8")):
        assert find(name) is not None


def private_names(code):
    """Return what Python code imports from skreid by a dotted name with an underscore component."""
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # importlib, mock.patch, code in a string
            imported |= set(re.findall(r"\bskreid(?:\.\w+)+", node.value))
    parts = {name: name.split(".") for name in imported}
    return sorted(
        name
        for name, (package, *rest) in parts.items()
        if package == "skreid" and any(part.startswith("_") and part != "__version__" for part in rest)
    )


@pytest.mark.parametrize("page", USER_PAGES, ids=identify)
def test_user_pages_import_public_names_only(page):
    """Code in pages for users imports nothing private from skreid, and the text names no private module."""
    text = page.read_text(encoding="utf-8")
    assert [name for block in fences(page) if ">>> " not in block for name in private_names(block)] == []
    if page.name != "CHANGELOG.md":
        assert re.findall(r"\bskreid(?:[./]\w+)*[./]_(?!_version__|_init__\.py)\w+", text) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=identify)
def test_examples_and_benchmarks_import_public_names_only(script):
    """Examples and benchmarks import nothing private from skreid."""
    assert private_names(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "from skreid._images.source import ImageSource",
        "from skreid import _ranking",
        "import skreid.metrics._cmc as cmc",
        "mock.patch('skreid._search.nearest.rows')",
    ],
)
def test_private_imports_are_recognised(code):
    """The check above sees every form of an import."""
    assert len(private_names(code)) == 1
    assert private_names(code.replace("_", "")) == []


def test_modules_and_tests_that_developer_pages_name_exist():
    """Every path of the package or the tests that a developer page names exists."""
    folders = {"skreid": Path(importlib.import_module("skreid").__file__).parents[1], "tests": ROOT}
    for page in (ROOT / "docs" / "developer").glob("*.md"):
        for folder, name in re.findall(r"`(skreid|tests)/([\w./]+)`", page.read_text(encoding="utf-8")):
            assert (folders[folder] / folder / name).exists(), f"{page.name}: {folder}/{name}"


def test_readings_of_the_paper_name_real_parameters():
    """The table that says how the paper is read names parameters of the estimator."""
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    table = text[text.index("## How the paper is read") :]
    parameters = set(inspect.signature(find("skreid.MultiDepthReID")).parameters)
    cells = [row.split("|")[-2] for row in table.splitlines() if row.startswith("| ")][1:]
    named = {word for cell in cells for word in re.findall(r"`(\w+)`", cell)} - {"cams", "fit"}
    assert named
    assert named <= parameters


@pytest.mark.parametrize("name", SETTINGS)
def test_readings_of_the_paper_state_the_public_settings(name):
    """The page that says how the paper is read states each public setting with its values."""
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    table = text[text.index("## How the paper is read") :]
    assert name.rpartition(".")[2] in table
    for parameter, value in SETTINGS[name].items():
        assert f"`{parameter}={value!r}`".replace("'", '"') in table
