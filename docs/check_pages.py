"""Check the Markdown of the repository as a code host shows it, without Sphinx.

Every link and picture must lead to a tracked file, every anchor to a heading, every picture needs an alt text, and
nothing may be in MyST's own syntax. Generated folders are not tracked: links to them are links to nothing.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt

MYST = {
    "a directive": r"^(?:```|:::+)\{",
    "a role": r"(?<!`)\{[a-z:-]+\}`",
    "a target": r"^\([\w-]+\)=$",
    "a definition list": r"^: ",
}
PARSER = MarkdownIt("commonmark").enable("table")


class Page:
    """What a page of Markdown refers to, and what can be referred to in it."""

    def __init__(self, text):
        self.anchors, self.links, self.pictures = {""}, [], []
        tokens = PARSER.parse(text)
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            if token.type == "heading_open":
                self._add_anchor(following)
            for child in token.children or ():
                if child.type == "link_open":
                    self.links.append(child.attrs["href"])
                elif child.type == "image":
                    self.pictures.append((child.attrs["src"], child.content))
            if token.type in {"html_block", "inline"}:
                self.anchors |= set(re.findall(r'<a (?:id|name)="([^"]+)"', token.content))
        self.prose = _without_code(text)
        self.without_text = re.findall(r"(?<!!)\[\]\(([^)]*)\)", self.prose)

    def _add_anchor(self, heading):
        """Add the anchor of a heading as code hosts make it: its words, joined by hyphens."""
        text = "".join(child.content for child in heading.children if child.type in {"text", "code_inline"})
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        repeated = sum(1 for anchor in self.anchors if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor))
        self.anchors.add(f"{slug}-{repeated}" if repeated else slug)


def _without_code(text):
    """Return a text without blocks of code, MyST's directives excepted, and with a dash for code in lines."""
    text = re.sub(r"^( *)(```+)(?!\{).*?^\1\2$", "", text, flags=re.M | re.S)
    return re.sub(r"(?<!\})(`+)[^`\n].*?\1", "-", text)


def tracked_files(root):
    """Return the tracked files of a repository and their folders."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    files = {root / name for name in listed.split("\0") if name}
    return files | {folder for file in files for folder in file.parents if root in (folder, *folder.parents)}


def check(root):
    """Return the problems of all tracked pages, as sentences."""
    root = Path(root).resolve()
    present = {path for path in tracked_files(root) if path.exists()}
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(present) if path.suffix == ".md"}
    problems = []
    for path, page in pages.items():
        name = path.relative_to(root)
        problems += [f"{name}: picture {source} has no alt text" for source, alt in page.pictures if not alt]
        problems += [f"{name}: the link to {target} has no text" for target in page.without_text]
        problems += [f"{name}: {what} of MyST, which a code host shows as text: {found[0]}"
                     for what, pattern in MYST.items() for found in re.finditer(pattern, page.prose, re.M)]  # fmt: skip
        for reference in [*page.links, *(source for source, _ in page.pictures)]:
            if re.match(r"[a-z]+:", reference):
                continue
            file, _, anchor = unquote(reference).partition("#")
            target = Path(os.path.normpath(path.parent / file)) if file else path
            if target not in present:
                problems.append(f"{name}: {reference} is not in the repository")
            elif target in pages and anchor not in pages[target].anchors:
                problems.append(f"{name}: {reference} has no such heading")
    return problems


def main():
    """Check the repository; exit with 1 if there are problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=Path(__file__).parent.parent, type=Path)
    problems = check(parser.parse_args().root)
    sys.stdout.write("".join(f"{line}\n" for line in problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
