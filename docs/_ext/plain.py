"""Pages are plain Markdown, which reads in the repository too: turn what only the site has into Sphinx's own syntax.

A link to an example or a package leads to its source in the repository, and to its page in the site. Code that is a
public name is a link in the site. Two comments, which a code host hides, hold a list of pages and an included file.
"""

import os
import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
HOST = "https://github.com/skreid/skreid/blob/main/"  # files that the site does not have
TOCTREE = re.compile(r"^<!-- toctree\n(.*?)-->$", flags=re.M | re.S)
INCLUDE = re.compile(r"\A<!-- include (\S+) -->\n")
PARTS = re.compile(
    r"^(?P<fence>```|~~~).*?^(?P=fence)"  # blocks of code stay as they are
    r"|(?<![`\[])`(?P<name>skreid(?:\.\w+)+)`(?!`)"
    r"|(?P<ticks>`+)[^`].*?(?P=ticks)"  # and so does other code
    r"|(?<=\]\()(?P<target>[^)#\s:]+)(?=[)#\s])",
    flags=re.M | re.S,
)


def included(root=ROOT):
    """Return file -> page for files outside `docs` that a page includes, as paths from the root."""
    pages = {}
    for page in sorted((root / "docs").rglob("*.md")):
        found = INCLUDE.match(page.read_text(encoding="utf-8"))
        if found:
            pages[_from_root(found[1], _relative(page.parent, root))] = _relative(page, root)
    return pages


def for_site(text, page, names, root=ROOT):
    """Return the text of a page as Sphinx is to read it.

    Parameters
    ----------
    text : str
    page : str
        Path of the page from the root of the repository.
    names : dict of str to str
        Public names, each with the name it is documented under.
    root : Path, optional
        The repository.

    Returns
    -------
    text : str
    """
    source, folder = page, str(PurePosixPath(page).parent)
    found = INCLUDE.match(text)
    if found:
        source = _from_root(found[1], folder)
        text = (root / source).read_text(encoding="utf-8")
    moved, base = included(root), str(PurePosixPath(source).parent)

    def convert(part):
        if part["name"] in names:
            return f"{{py:obj}}`{part['name']} <{names[part['name']]}>`"
        if part["target"]:
            target = _in_site(_from_root(part["target"], base), moved)
            return target if target.startswith(HOST) else os.path.relpath(target, folder)
        return part[0]

    return TOCTREE.sub(r"```{toctree}\n:hidden:\n\n\1```", PARTS.sub(convert, text))


def _in_site(target, moved):
    """Return the page of the site that stands for a file of the repository."""
    if target in moved:
        return moved[target]
    if target == "examples":
        return "docs/auto_examples/index.rst"
    if re.fullmatch(r"examples/\w+\.py", target):
        return f"docs/auto_examples/{PurePosixPath(target).stem}.rst"
    if target == "skreid/__init__.py":
        return "docs/api/index.rst"
    if re.fullmatch(r"skreid/\w+/__init__\.py", target):
        return f"docs/api/skreid.{PurePosixPath(target).parts[1]}.rst"
    return target if target.startswith("docs/") else HOST + target


def _from_root(target, folder):
    """Return a path from the root of the repository, given one from a folder."""
    return os.path.normpath(f"{folder}/{target}").replace(os.sep, "/")


def _relative(path, root):
    """Return the path of a file from the root of the repository."""
    return path.relative_to(root).as_posix()


def setup(app):
    """Register with Sphinx."""
    from rooms import TOP, public_names

    rooms = public_names()
    names = {f"{room}.{name}": f"{room}.{name}" for room, members in rooms.items() for name in members}
    names |= {f"{TOP}.{name}": f"{room}.{name}" for room, members in rooms.items() if room != TOP for name in members
              if name in rooms[TOP]}  # fmt: skip
    names |= {room: room for room in rooms}

    def read(app, docname, content):
        path = Path(app.env.doc2path(docname))
        if path.suffix == ".md":
            found = INCLUDE.match(content[0])
            if found:
                app.env.note_dependency(path.parent / found[1])
            content[0] = for_site(content[0], _relative(path, ROOT), names)

    app.connect("source-read", read)
    return {"parallel_read_safe": True}
