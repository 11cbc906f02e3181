"""Write the pages of the API reference from every `__all__`: a public name cannot be missing from it.

One page a room (a subpackage), with the room's own docstring and a table of its names.
"""

import importlib
import inspect
import pkgutil

import skreid

TOP = "skreid"


def public_names():
    """Return room -> sorted public names, the top level first."""
    public = {name: getattr(skreid, name) for name in skreid.__all__ if not name.startswith("_")}
    rooms = {TOP: [name for name, found in public.items() if not inspect.ismodule(found)]}
    modules = {found.__name__ for found in public.values() if inspect.ismodule(found)}
    packages = [found.name for found in pkgutil.iter_modules(skreid.__path__) if found.ispkg]
    modules |= {f"{TOP}.{name}" for name in packages if not name.startswith("_")}
    for room in sorted(modules):
        rooms[room] = sorted(importlib.import_module(room).__all__)
    return rooms


def write_room_pages(folder):
    """Write one page a room and the index of rooms into a folder."""
    folder.mkdir(exist_ok=True)
    rooms = public_names()
    written = {"index", *rooms, *(f"{room}.{name}" for room, names in rooms.items() for name in names)}
    elsewhere = {name: room for room, names in rooms.items() if room != TOP for name in names}
    for room, names in rooms.items():
        module = importlib.import_module(room)
        also = [name for name in names if room == TOP and name in elsewhere]
        names = [name for name in names if name not in also]
        kinds, settings = {"Classes": [], "Functions": []}, {}
        for name in names:
            found = getattr(module, name)
            if isinstance(found, dict):
                settings[name] = found
                continue
            kinds["Classes" if inspect.isclass(found) else "Functions"].append(name)
        lines = [room, "=" * len(room), "", f".. module:: {room}", "", inspect.getdoc(module), ""]
        for kind, members in kinds.items():
            if members:
                lines += [kind, "-" * len(kind), "", f".. currentmodule:: {room}", ""]
                lines += [".. autosummary::", "   :toctree:", "   :nosignatures:", ""]
                lines += [f"   {name}" for name in members] + [""]
        if settings:
            lines += ["Settings", "--------", "", f".. currentmodule:: {room}", ""]
        for name, found in settings.items():
            lines += [f".. py:data:: {name}", f"   :value: {found}", "", "   See :ref:`readings`.", ""]
        if also:
            links = ", ".join(f":py:obj:`{name} <{elsewhere[name]}.{name}>`" for name in also)
            lines += ["Also here", "---------", "", f"From their rooms: {links}.", ""]
        _write(folder / f"{room}.rst", lines)
    written -= {f"{TOP}.{name}" for name in elsewhere}
    for page in folder.glob("*.rst"):  # of names that are gone
        if page.stem not in written:
            page.unlink()
    title = "API reference"
    lines = [
        title,
        "=" * len(title),
        "",
        "Every public name, by room. Estimators also have the methods that scikit-learn gives to all of them:",
        "``get_params``, ``set_params``, ``fit_transform``, ``set_output`` and, with metadata routing,",
        "``set_fit_request`` and its kin.",
        "",
        ".. list-table::",
        "",
    ]
    for room in rooms:
        first = inspect.getdoc(importlib.import_module(room)).splitlines()[0]
        lines += [f"   * - :doc:`{room}`", f"     - {first}"]
    lines += ["", ".. toctree::", "   :hidden:", ""] + [f"   {room}" for room in rooms]
    _write(folder / "index.rst", lines)


def _write(path, lines):
    """Write a page only if it changed, so that Sphinx reads again only what is new."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
