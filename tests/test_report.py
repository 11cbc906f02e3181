"""evaluation_report: one self-contained, escaped, accessible page, also as a browser shows it."""

import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from test_images_broken import BROKEN

from skreid.evaluation import evaluate
from skreid.protocols import ShotProtocol, TwoViewProtocol
from skreid.report import evaluation_report

EVIL = '<script>alert("x")</script>'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br"}


def flatten(images):
    return np.asarray(images).reshape(len(images), -1) / 255.0


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def dataset(people):
    names = [f"{identity}{EVIL}" for identity in people.target]
    return Bunch(
        images=people.images,
        target=np.array(names),
        cams=people.cams,
        paths=[f"street/{i}_<b>&.png" for i in range(len(names))],
    )


@pytest.fixture(scope="module")
def results(dataset):
    protocol = TwoViewProtocol(n_repeats=3, name=f"Streets {EVIL}")
    first = evaluate(FunctionTransformer(flatten), dataset, protocol, fit=False, name=f"pixels {EVIL}")
    pipeline = make_pipeline(FunctionTransformer(flatten), StandardScaler(with_std=False))
    return [first, evaluate(pipeline, dataset, protocol)]


@pytest.fixture(scope="module")
def report(results, dataset, fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert evaluation_report(results, path, dataset=dataset, estimator=fitted, n_probes=2) == path
    return path


@pytest.fixture(scope="module")
def page(report):
    return Reader(report.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(report, page):
    """All pictures are data URIs, links stay on the page, and the page's own policy forbids the rest."""
    for attributes in page.all("img"):
        assert attributes["src"].startswith("data:image/")
    for attributes in page.all("a"):
        assert attributes["href"].startswith("#")
    for tag in ("script", "iframe", "object", "embed", "form"):
        assert not page.all(tag)
    text = report.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?://", re.sub(r'src="data:[^"]*"', "", text))


def test_labels_and_names_are_escaped(report, page):
    """A script in labels, names or protocol is shown as text; nothing of it becomes a tag or attribute."""
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not page.all("b")
    words = "".join(page.words)
    for shown in (f"pixels {EVIL}", f"Streets {EVIL}", EVIL, "_<b>&.png"):
        assert shown in words
    assert any(EVIL in attributes["alt"] for attributes in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_figures_protocol_settings_and_versions_are_told(results, page):
    """Each system's figures, the protocol, parameters and versions can be read."""
    words = unescape("".join(page.words))
    assert results[0].protocol in words
    for result in results:
        assert result.name in words
        for mean, std in zip(result.mean.values(), result.std.values(), strict=True):
            assert f"{100 * mean:.1f} ± {100 * std:.1f}" in words
    for said in ("with_std", "scikit-learn", "torch", "Best", "Worst", "Chosen filters", "Training"):
        assert said in words


def test_best_and_worst_probes_are_those_of_the_first_repeat(results, page, dataset):
    """The probes shown have the lowest and the highest first ranks, with right and wrong by sign."""
    words = "".join(page.words)
    ranks = [int(rank) for rank in re.findall(r"first match at rank (\d+)", words)]
    wanted = np.sort(results[0].repeats[0].metrics.first_rank)
    assert ranks == [*wanted[:2], *wanted[::-1][:2]]
    n_signs = sum(word.startswith(("✓ ", "✗ ")) for word in page.words)
    n_gallery = results[0].repeats[0].n_gallery
    assert n_signs == 4 * min(10, n_gallery)
    kinds = [attributes.get("class") for attributes in page.all("li")]
    assert kinds.count("right") == words.count("✓ ") - words.count("✓ and")
    assert kinds.count("probe") == 4


def test_pictures_have_words_and_regions_keyboards_reach(page):
    """Every picture has an alternative text, every scrolling region takes the focus and has a name."""
    for attributes in page.all("img"):
        assert len(attributes["alt"]) > 10
    for tag, attributes in page.tags:
        if "scroll" in attributes.get("class", "").split():
            assert attributes["tabindex"] == "0", tag
            assert attributes["aria-label"]
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {attributes["href"][1:] for attributes in page.all("a")} <= set(identifiers)
    (html,) = page.all("html")
    assert html["lang"] == "en"
    heads = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert heads[0] == 1
    assert max(np.diff(heads)) <= 1
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))


def test_same_input_same_file(results, dataset, report, fitted, tmp_path):
    """Written again, the file is the same byte for byte."""
    again = evaluation_report(results, tmp_path / "b.html", dataset=dataset, estimator=fitted, n_probes=2)
    assert again.read_bytes() == report.read_bytes()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$\\nothing$ and $5", "$\\nothing$ and $5"),
        ("\udcff.png", r"\udcff.png"),
        ("a\x07b\n", r"a\x07b\n"),
        ("\0\x1b[31m", r"\x00\x1b[31m"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("\u2066a\u2028", r"\u2066a\u2028"),
        ("नी\u200dल", "नी\u200dल"),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:Matplotlib currently does not support")
def test_names_that_are_no_text_or_look_like_formulas(people, tmp_path, name, shown):
    """File names of any bytes, turns of direction, and dollars in a system's name, are shown and break nothing."""
    odd = Bunch(images=people.images, target=people.target, cams=people.cams, paths=[name] * len(people.target))
    result = evaluate(FunctionTransformer(flatten), odd, TwoViewProtocol(n_repeats=1), fit=False, name=name)
    text = evaluation_report(result, tmp_path / "r.html", dataset=odd).read_text(encoding="utf-8")
    page = Reader(text)
    assert shown in unescape("".join(page.words))
    assert any(shown in attributes["alt"] for attributes in page.all("img"))
    assert all(letter.isprintable() or letter in "\n\u200d" for letter in text)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own remark
def test_no_picture_costs_a_report(people, tmp_path):
    """Every kind of broken file is grey, labelled and told in a warning; a very wide one is made to fit."""
    paths = [tmp_path / f"{i}.png" for i in range(len(people.target))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    Image.new("RGB", (70_000, 1)).save(paths[-1])
    broken = [name for name in BROKEN if name != "denied.png"]
    for i, name in enumerate(broken):
        content, paths[i] = BROKEN[name][0], tmp_path / name
        if isinstance(content, bytes):
            paths[i].write_bytes(content)
        elif content is not None:
            content(paths[i])
    data = Bunch(paths=paths, target=people.target, cams=people.cams)
    protocol = ShotProtocol(n_train=0, n_shots=2, n_repeats=1)
    result = evaluate(FunctionTransformer(flatten), people, protocol, fit=False)
    with pytest.warns(UserWarning, match="pictures cannot be read and are grey") as caught:
        path = evaluation_report(result, tmp_path / "r.html", dataset=data, n_probes=99, n_neighbors=99)
    (told,) = (str(one.message) for one in caught if "grey" in str(one.message))
    page = Reader(path.read_text(encoding="utf-8"))
    said = [attributes["alt"] for attributes in page.all("img")][1:]  # after the curve
    for place, path in enumerate(paths):
        mine = [alt for alt in said if alt.endswith(f", {path.name}")]
        assert mine
        assert all(("cannot be read" in alt) == (place < len(broken)) for alt in mine)
        assert (f"image {place} ('{path}')" in told) == (place < len(broken))
    assert page.words.count("unreadable") == sum("cannot be read" in alt for alt in said)
    assert str(tmp_path) not in "".join(page.words)


def test_it_needs_neither_dataset_nor_filters(results, tmp_path):
    """Without pictures and for estimators without filters those sections are left out."""
    page = Reader(evaluation_report(results[1], str(tmp_path / "r.html")).read_text(encoding="utf-8"))
    words = "".join(page.words)
    assert "Best and worst" not in words
    assert "Chosen filters" not in words
    assert "Recognition by rank" in words


def test_estimators_kept_by_evaluate_are_shown(people, fitted, tmp_path):
    """The first result's own fitted network is shown if the result kept it."""
    result = evaluate(fitted, people, TwoViewProtocol(n_repeats=1), fit=False, on_seen="ignore", return_estimators=True)
    text = evaluation_report(result, tmp_path / "r.html", dataset=people).read_text(encoding="utf-8")
    assert "Filters of high" in text
    assert "Training curve" in text
    assert "confidence interval" in text


def test_different_protocols_are_told_apart(people, tmp_path):
    """Figures of two protocols are numbered and the reader is warned."""
    pixels = FunctionTransformer(flatten)
    results = [evaluate(pixels, people, protocol, fit=False) for protocol in (TwoViewProtocol(), ShotProtocol())]
    words = "".join(Reader(evaluation_report(results, tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert f"[2] {results[1].protocol}" in words
    assert "cannot be compared" in words


def test_refusals(results, people, tmp_path):
    """Nothing, other things, unknown repeats and another dataset are refused before a file is written."""
    path = tmp_path / "r.html"
    with pytest.raises(ValueError, match="results is empty"):
        evaluation_report([], path)
    with pytest.raises(TypeError, match="EvaluationResult"):
        evaluation_report([1], path)
    with pytest.raises(ValueError, match="'repeat' parameter of evaluation_report"):
        evaluation_report(results, path, repeat=3)
    with pytest.raises(ValueError, match="'n_probes' parameter"):
        evaluation_report(results, path, n_probes=-1)
    with pytest.raises(ValueError, match="'n_neighbors' parameter"):
        evaluation_report(results, path, n_neighbors=0)
    with pytest.raises(ValueError, match="pass the dataset that was evaluated"):
        evaluation_report(results, path, dataset=Bunch(images=people.images[:3], target=people.target[:3]))
    assert not path.exists()


def browse(arguments, profile):
    """Run the browser without a window; return what it wrote."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        "--hide-scrollbars", f"--user-data-dir={profile}", *arguments,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_without_complaint(report, tmp_path, width):
    """Chromium opens the page, says nothing on its console, and paints text and pictures."""
    shot = tmp_path / "shot.png"
    done = browse([f"--window-size={width},1600", f"--screenshot={shot}", report.as_uri()], tmp_path / "profile")
    assert "CONSOLE" not in done.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1600, width, 3)
    assert (pixels.sum(axis=2) < 150).mean() > 0.005  # dark text
    assert (np.ptp(pixels, axis=2) > 60).mean() > 0.003  # coloured pictures


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_narrow_screens_scroll_within_regions_only(report, tmp_path):
    """On a narrow screen the page itself is no wider than the screen, and pictures are decoded."""
    probe = """<script>addEventListener("load", () => {
        const broken = [...document.images].filter(image => !image.naturalWidth).length;
        document.body.innerHTML = `wide=${document.documentElement.scrollWidth - innerWidth} broken=${broken}`;
    })</script></body>"""
    text = re.sub(r"<meta http-equiv=[^>]*>", "", report.read_text(encoding="utf-8")).replace("</body>", probe)
    copy = tmp_path / "copy.html"
    copy.write_text(text, encoding="utf-8")
    done = browse(["--window-size=390,844", "--dump-dom", copy.as_uri()], tmp_path / "profile")
    wide, broken = re.search(r"wide=(-?\d+) broken=(\d+)", done.stdout).groups()
    assert int(wide) <= 0
    assert int(broken) == 0
