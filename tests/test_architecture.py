"""The rooms of skreid: their order, the size of their modules, and what they may import, read from the source."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skreid

PACKAGE = Path(skreid.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "developer" / "architecture.md"

# Lowest first: a module imports from its own room and from rooms before it. PAGE says what each room holds.
ROOMS = (
    "_version",
    "exceptions",
    "_base",
    "persistence",
    "_images",
    "_network",
    "_training",
    "_filters",
    "_search",
    "gallery",
    "_ranking",
    "metrics",
    "model_selection",
    "protocols",
    "_scoring",
    "_lists",
    "evaluation",
    "displays",
    "report",
    "datasets",
    "descriptors",
    "metric_learning",
    "_estimator",
    "multidepth",
    "rivals",
    "export",
    "skreid",
)
WITHOUT_TORCH = ("metrics", "displays", "descriptors", "metric_learning")
MOST_ENTRIES = 27
USUAL_LINES, MOST_LINES = 300, 400
LONGER = {"skreid.multidepth": 700}  # more than half of it is the docstring of MultiDepthReID


def module_name(path):
    """Return the dotted name of a source file; a package has the name of its folder."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(name):
    """Return the room of a module: what comes after ``skreid``, or skreid itself."""
    return [*name.split("."), "skreid"][1]


def imports_of(name):
    """Return every (module, name) that a module imports, inside functions too."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively: {ast.unparse(node)}"
            imported |= {(node.module, alias.name) for alias in node.names}
    return imported


IMPORTS = {name: imports_of(name) for name in MODULES}


def modules_imported_by(name):
    """Return the modules of skreid that a module imports from, without the packages that merely contain them."""
    imported = {f"{module}.{member}" if f"{module}.{member}" in MODULES else module for module, member in IMPORTS[name]}
    return {module for module in imported if module in MODULES} - {name}


def test_every_room_has_a_place_in_the_order():
    """A new room has one, and no place is left for a room that is gone."""
    assert {room_of(name) for name in MODULES} == set(ROOMS)
    entries = [entry for entry in PACKAGE.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES


def test_the_architecture_page_lists_the_rooms_in_this_order():
    """Its table has a row per room, lowest first; the version and the package itself have none."""
    table = PAGE.read_text(encoding="utf-8").partition("## The rooms, in order")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)(?:\.py|/)` \|", table, re.MULTILINE)
    assert rows == [room for room in ROOMS if room not in ("_version", "skreid")]


def test_modules_import_from_lower_rooms_only():
    """Imports inside functions count too."""
    upward = {
        (name, module)
        for name in MODULES
        for module in modules_imported_by(name)
        if ROOMS.index(room_of(module)) > ROOMS.index(room_of(name))
    }
    assert not upward


def test_no_modules_import_each_other_in_a_circle():
    """Modules of one room do not either: some order loads every module after those it imports."""
    order = TopologicalSorter({name: modules_imported_by(name) for name in MODULES}).static_order()
    assert set(order) == set(MODULES)


def test_modules_are_short():
    """Each module is one idea, short enough to read in one sitting."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    too_long = {name: count for name, count in lines.items() if count > LONGER.get(name, MOST_LINES)}
    assert not too_long
    assert sum(count > USUAL_LINES for count in lines.values()) <= len(lines) // 8


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_without_networks_never_import_torch(room):
    """Neither do the modules that they import, nor the packages that contain those."""
    waiting, seen = [name for name in MODULES if room_of(name) == room], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        torch = {module for module, _ in IMPORTS[name] if module.partition(".")[0] in ("torch", "torchvision")}
        assert not torch, f"{room} reaches torch through {name}"
        parents = {name.rpartition(".")[0]} & set(MODULES)
        waiting += (modules_imported_by(name) | parents) - seen


def test_no_private_name_is_imported_from_another_room():
    """A name with a leading underscore belongs to its room alone. Rooms themselves may be private."""
    private = {
        (name, f"{module}.{member}")
        for name in MODULES
        for module, member in IMPORTS[name]
        if module in MODULES and room_of(module) not in (room_of(name), "skreid")
        if re.match("_(?!_)", member)
    }
    assert not private


def test_modules_are_imported_by_name_only_where_that_is_the_idea():
    """Imports by string would escape the tests above."""
    dynamic = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
        and getattr(node, "id", getattr(node, "attr", "")) in ("import_module", "__import__")
    }
    assert dynamic == {"skreid", "skreid._base.moved"}
