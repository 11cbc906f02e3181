"""Walk a built site: every link, anchor, picture, style sheet and script within it must be there.

Links that leave the site are listed with ``--external`` and never followed: a build needs no network.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOURCES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors of one page, what it refers to, and pictures without a text."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.references, self.silent = {""}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note what a tag defines and what it refers to."""
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        target = attrs.get(SOURCES.get(tag))
        if target:
            self.references.append(target)
        if tag == "img" and "alt" not in attrs:  # an empty one is for pictures whose text stands beside them
            self.silent.append(attrs.get("src", "?"))


def check(root):
    """Return the problems of a site, as sentences, and its links to other sites."""
    root = Path(root).resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.html"))
        if "_static" not in path.relative_to(root).parts
    }
    problems, external = [], set()
    if not pages:
        problems.append(f"{root} has no pages: build them first.")
    for path, page in pages.items():
        name = path.relative_to(root)
        problems += [f"{name}: picture {source} has no alt text" for source in page.silent]
        for reference in page.references:
            parts = urlsplit(reference)
            if parts.scheme or parts.netloc:
                if parts.scheme in ("http", "https"):
                    external.add(reference)
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                problems.append(f"{name}: {reference} is not there")
            elif target in pages and unquote(parts.fragment).split(":~:")[0] not in pages[target].anchors:
                problems.append(f"{name}: {reference} has no such anchor")
    return problems, sorted(external)


def main():
    """Check the site named on the command line; exit with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=Path(__file__).parent / "_build" / "html", type=Path)
    parser.add_argument("--external", action="store_true", help="list links that leave the site")
    options = parser.parse_args()
    problems, external = check(options.root)
    sys.stdout.write("".join(f"{line}\n" for line in (external if options.external else []) + problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
