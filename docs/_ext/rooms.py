"""Write the pages of the API reference from every `__all__`: a public name cannot be missing from it.

One page per room (a subpackage or a public module), with the room's own docstring and a table of its names.
autosummary's recursion does less: it leaves out `cmc_score` and `PAPER_SETTING`, which are neither classes nor
functions, documents names of the top level twice, and gives `skreid.Gallery` and `skreid.gallery` one file on macOS.
"""

import importlib
import inspect
import pkgutil

import skreid

TOP = "skreid"
READINGS = "`how the paper is read <../method.html#how-the-paper-is-read>`__"  # where settings are explained
INDEX = """\
API reference
=============

Every public name, by module. Estimators also have the methods that scikit-learn gives to all of them:
``get_params``, ``set_params``, ``fit_transform``, ``set_output`` and, with metadata routing, ``set_fit_request``,
``set_score_request`` and others.
"""


def public_names():
    """Return room -> sorted public names, the top level first."""
    top = {name: getattr(skreid, name) for name in skreid.__all__ if not name.startswith("_")}
    modules = {value.__name__ for value in top.values() if inspect.ismodule(value)}
    packages = [module.name for module in pkgutil.iter_modules(skreid.__path__) if module.ispkg]
    modules |= {f"{TOP}.{name}" for name in packages if not name.startswith("_")}
    names = {TOP: [name for name, value in top.items() if not inspect.ismodule(value)]}
    return names | {room: sorted(importlib.import_module(room).__all__) for room in sorted(modules)}


def write_room_pages(folder):
    """Write the index of rooms and one page per room into a folder; remove pages of names that are gone."""
    folder.mkdir(exist_ok=True)
    rooms = public_names()
    elsewhere = {name: room for room, names in rooms.items() if room != TOP for name in names}
    documented = {f"{room}.{name}" for room, names in rooms.items() for name in names}
    documented -= {f"{TOP}.{name}" for name in elsewhere}
    for page in folder.glob("*.rst"):
        if page.stem not in {"index", *rooms, *documented}:
            page.unlink()
    for room, names in rooms.items():
        _write(folder / f"{room}.rst", _room_page(room, names, elsewhere if room == TOP else {}))
    summaries = {room: inspect.getdoc(importlib.import_module(room)).splitlines()[0] for room in rooms}
    table = [line for room in rooms for line in (f"   * - :doc:`{room}`", f"     - {summaries[room]}")]
    toctree = ["", ".. toctree::", "   :hidden:", "", *(f"   {room}" for room in rooms)]
    _write(folder / "index.rst", [INDEX, ".. list-table::", "", *table, *toctree])


def _room_page(room, names, elsewhere):
    """Return the lines of a room's page; names that another room documents are only linked."""
    module = importlib.import_module(room)
    here = {name: getattr(module, name) for name in names if name not in elsewhere}
    settings = {name: value for name, value in here.items() if isinstance(value, dict)}
    classes = [name for name, value in here.items() if inspect.isclass(value)]
    functions = [name for name in here if name not in settings and name not in classes]
    lines = [room, "=" * len(room), "", f".. module:: {room}", "", inspect.getdoc(module), ""]
    for title, members in (("Classes", classes), ("Functions", functions)):
        if members:
            lines += [title, "-" * len(title), "", f".. currentmodule:: {room}", ""]
            lines += [".. autosummary::", "   :toctree:", "   :nosignatures:", ""]
            lines += [f"   {name}" for name in members] + [""]
    if settings:
        lines += ["Settings", "--------", "", f".. currentmodule:: {room}", ""]
    for name, value in settings.items():
        lines += [f".. py:data:: {name}", f"   :value: {value}", "", f"   See {READINGS}.", ""]
    also = [f":py:obj:`{name} <{elsewhere[name]}.{name}>`" for name in names if name in elsewhere]
    if also:
        lines += ["Also here", "---------", "", f"These names can be imported from here, too: {', '.join(also)}.", ""]
    return lines


def _write(path, lines):
    """Write a page only if it changed, so that Sphinx reads only what is new."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
