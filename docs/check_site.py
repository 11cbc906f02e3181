"""Walk a built site: every link, anchor, picture, style sheet and script within it must be there.

Links that leave the site are not followed: a build needs no network. Sphinx's linkcheck reads sources, not built pages,
and asks other sites. LinkChecker is one more dependency, takes 30 times as long, and does not look at alt texts.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOURCES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors of one page, the links and files it refers to, and its pictures without an alt text."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.references, self.without_alt = {""}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note the anchors a tag defines and what it refers to."""
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        target = attrs.get(SOURCES.get(tag))
        if target:
            self.references.append(target)
        if tag == "img" and "alt" not in attrs:  # it may be empty, for a picture whose text stands beside it
            self.without_alt.append(attrs.get("src", "?"))


def check(root):
    """Return the problems of a site, as sentences."""
    root = Path(root).resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.html"))
        if "_static" not in path.relative_to(root).parts
    }
    problems = []
    if not pages:
        problems.append(f"{root} has no pages: build them first.")
    for path, page in pages.items():
        name = path.relative_to(root)
        problems += [f"{name}: picture {source} has no alt text" for source in page.without_alt]
        for reference in page.references:
            parts = urlsplit(reference)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                problems.append(f"{name}: {reference} is not there")
            elif target in pages and unquote(parts.fragment).split(":~:")[0] not in pages[target].anchors:
                problems.append(f"{name}: {reference} has no such anchor")
    return problems


def main():
    """Check the site named on the command line; exit with 1 if there are problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=Path(__file__).parent / "_build" / "html", type=Path)
    problems = check(parser.parse_args().root)
    sys.stdout.write("".join(f"{line}\n" for line in problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
