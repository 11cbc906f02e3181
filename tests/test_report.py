"""evaluation_report: a single HTML file, escaped and accessible; a browser shows it if there is one."""

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

from skreid.displays import CMCDisplay
from skreid.displays._common import readable
from skreid.evaluation import evaluate
from skreid.protocols import GivenSplitProtocol, ShotProtocol, TwoViewProtocol
from skreid.report import evaluation_report
from skreid.rivals import TCPNet

EVIL = '<script>alert("x")</script>'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br"}


def flatten(images):
    return np.asarray(images).reshape(len(images), -1) / 255.0


class Reader(HTMLParser):
    """Collects tags, attributes and texts, and checks that all tags are closed in order."""

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


def test_page_loads_nothing_from_outside(report, page):
    """All images are data URIs, links stay on the page, and the page's own policy forbids the rest."""
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
    """A script in labels, names or protocol is shown as text and does not become a tag or an attribute."""
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not page.all("b")
    words = "".join(page.words)
    for text in (f"pixels {EVIL}", f"Streets {EVIL}", EVIL, "_<b>&.png"):
        assert text in words
    assert any(EVIL in attributes["alt"] for attributes in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_figures_protocol_settings_and_versions_are_shown(results, page):
    words = unescape("".join(page.words))
    assert results[0].protocol in words
    for result in results:
        assert result.name in words
        for mean, std in zip(result.mean.values(), result.std.values(), strict=True):
            assert f"{100 * mean:.1f} ± {100 * std:.1f}" in words
    for text in ("with_std", "scikit-learn", "torch", "Best", "Worst", "Chosen filters", "Training"):
        assert text in words


def test_best_and_worst_probes_are_those_of_the_first_repeat(results, page, dataset):
    """They have the lowest and the highest first ranks; signs tell right from wrong."""
    words = "".join(page.words)
    ranks = [int(rank) for rank in re.findall(r"first match at rank (\d+)", words)]
    expected = np.sort(results[0].repeats[0].metrics.first_rank)
    assert ranks == [*expected[:2], *expected[::-1][:2]]
    n_signs = sum(word.startswith(("✓ ", "✗ ")) for word in page.words)
    n_gallery = results[0].repeats[0].n_gallery
    assert n_signs == 4 * min(10, n_gallery)
    kinds = [attributes.get("class") for attributes in page.all("li")]
    assert kinds.count("right") == sum(word.startswith("✓ ") for word in page.words)
    assert kinds.count("probe") == 4


def test_a_true_match_behind_the_images_shown_stands_after_a_gap(results, dataset, tmp_path):
    """With its rank and distance, once for every probe shown whose match ranks behind them."""
    repeat = results[0].repeats[0]
    path = evaluation_report(results[0], tmp_path / "r.html", dataset=dataset, n_probes=99, n_neighbors=2)
    page = Reader(path.read_text(encoding="utf-8"))
    behind = np.flatnonzero(repeat.metrics.first_rank > 2)
    assert len(behind)
    assert page.words.count("…") == len(behind)
    shown = [page.words[i + 1 : i + 3] for i, word in enumerate(page.words) if word == "…"]
    wanted = [[f"✓ {repeat.metrics.first_rank[row]}", readable(repeat.match_distance[row])] for row in behind]
    assert sorted(shown) == sorted(wanted)
    alts = [attributes["alt"] for attributes in page.all("img")]
    for row in behind:
        start, end = f"Rank {repeat.metrics.first_rank[row]}, right", f", {repeat.match[row]}_<b>&.png"
        assert any(alt.startswith(start) and alt.endswith(end) for alt in alts)


def test_no_image_is_shown_where_a_ranking_has_none(tmp_path):
    """A gallery of one image has one image per row, however many are asked for, and none in place of the others."""
    people = Bunch(
        images=np.arange(3 * 8 * 4 * 3, dtype=np.uint8).reshape(3, 8, 4, 3),
        target=np.array([1, 2, 1]), cams=np.array([0, 0, 1]), subset=np.array(["query", "query", "gallery"]),
    )  # fmt: skip
    result = evaluate(FunctionTransformer(flatten), people, GivenSplitProtocol(), fit=False)
    page = Reader(evaluation_report(result, tmp_path / "r.html", dataset=people).read_text(encoding="utf-8"))
    kinds = [attributes.get("class") for attributes in page.all("li")]
    assert (kinds.count("probe"), kinds.count("right"), kinds.count("wrong")) == (1, 1, 0)


def test_pairs_of_cameras_and_hardest_probes_are_shown(people, tmp_path):
    """Worst first, with counts; files by name only, because others see the page."""
    cams = np.array([f"{cam}{i % 2}$" for i, cam in enumerate(people.cams)])
    paths = [f"/home/me/{i}.png" for i in range(len(cams))]
    data = Bunch(images=people.images, target=people.target, cams=cams, paths=paths)
    result = evaluate(FunctionTransformer(flatten), data, ShotProtocol(n_train=0, n_repeats=2), fit=False)
    page = Reader(evaluation_report(result, tmp_path / "r.html", dataset=data).read_text(encoding="utf-8"))
    words = " ".join(page.words)
    pairs, hardest = result.by_camera_pair(), result.hardest(10)
    row = pairs[0]
    assert re.search(
        rf"{re.escape(row['probe_cam'])} {re.escape(row['gallery_cam'])} {100 * row['rank_1']:.1f} "
        rf"{100 * row['mAP']:.1f} {row['n_valid']} {row['n_probes']} ",
        words,
    )
    assert "Pairs of cameras, worst first" in words
    assert re.search(rf"image {hardest[0]['first']}, \d+.png {hardest[0]['repeat']} ", words)  # counted from 0
    for row in hardest:
        assert f"image {row['probe']}, {row['probe']}.png" in words
    assert "/home/me" not in words
    assert any("The worst: probe of camera" in attributes["alt"] for attributes in page.all("img"))


def test_headings_name_the_system_if_there_are_several(fitted, people, tmp_path):
    """That of the first result; an estimator that was given is named after its own result, or after its class."""
    protocol = TwoViewProtocol(n_repeats=1)
    data = Bunch(images=people.images, target=people.target + 1000, cams=people.cams)
    network = evaluate(fitted, data, protocol, fit=False, name="network")
    pixels = evaluate(FunctionTransformer(flatten), data, protocol, fit=False, name="pixels")

    def headings(results, **given):
        path = evaluation_report(results, tmp_path / "r.html", dataset=data, n_probes=1, **given)
        return re.findall("<h2[^>]*>([^<]*)</h2>", path.read_text(encoding="utf-8"))

    assert headings(network)[2:6] == ["Best and worst probes", "Where it fails", "Training", "Chosen filters"]
    first = ["Best and worst probes (pixels)", "Where it fails (pixels)"]
    own = ["Training (network)", "Chosen filters (network)"]
    assert headings([network, pixels])[2:6] == [heading.replace("pixels", "network") for heading in first] + own
    assert headings([pixels, network], estimator=fitted)[2:6] == first + own
    other = [f"Training ({type(fitted).__name__})", f"Chosen filters ({type(fitted).__name__})"]
    assert headings([pixels, pixels], estimator=fitted)[2:6] == first + other


def test_a_single_pair_of_cameras_is_not_shown_apart(page):
    """Its figures are those of the whole."""
    assert "Pairs of cameras" not in "".join(page.words)
    assert "Hardest probes" in "".join(page.words)


def test_a_single_pair_of_cameras_among_others_is_shown(people, tmp_path):
    """The other cameras have probes or gallery images, so its figures are not those of the whole."""
    cams = np.where(people.cams == people.cams[0], "a", "b")
    cams[(people.target == people.target[0]) & (cams == "a")] = "c"  # one person is seen by camera c in place of a
    data = people | {"cams": cams, "subset": np.where(cams == "b", "gallery", "query")}
    data["target"] = np.where(cams == "c", 99, people.target)  # and is nobody in the gallery
    result = evaluate(FunctionTransformer(flatten), data, GivenSplitProtocol(), fit=False)
    (pair,) = result.by_camera_pair()
    assert (pair["probe_cam"], pair["gallery_cam"]) == ("a", "b")
    words = " ".join(Reader(evaluation_report(result, tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert "Pairs of cameras, worst first" in words
    assert "no probe has a true match there: 1 pair (c and b)" in words


def test_filters_are_folded_and_curves_are_not_cut(report, page):
    """Each layer's filters are in a closed element, and the curve of the ranks is in no region that scrolls."""
    text = report.read_text(encoding="utf-8")
    for layer in ("low", "middle", "high"):
        assert f"<details><summary>Filters of {layer}, best first</summary>" in text
    assert "criterion “margin”" in "".join(page.words)
    assert 'aria-label="Cumulative matching characteristic"' not in text
    (curve,) = [attributes for attributes in page.all("img") if attributes["alt"].startswith("Cumulative")]
    assert curve["src"].startswith("data:image/svg+xml")


def test_a_single_repeat_has_no_deviation(people, tmp_path):
    """The caption does not promise one, and no ± is shown."""
    result = evaluate(FunctionTransformer(flatten), people, TwoViewProtocol(n_repeats=1), fit=False)
    words = "".join(Reader(evaluation_report(result, tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert "±" not in words
    assert "95 % confidence interval" in words


def test_equal_repeats_have_no_deviation_and_the_page_says_why(people, tmp_path):
    """A track per person and camera leaves nothing to draw."""
    data = people | {"tracks": [f"{who}-{cam}" for who, cam in zip(people.target, people.cams, strict=True)]}
    protocol = TwoViewProtocol(n_repeats=3, probe_cam=people.cams[0])
    result = evaluate(FunctionTransformer(flatten), data, protocol, fit=False, tracks="mean")
    page = Reader(evaluation_report(result, tmp_path / "r.html").read_text(encoding="utf-8"))
    words = "".join(page.words)
    assert "±" not in words
    assert "confidence interval" not in words
    assert "in each of 3 repeats, which are all the same" in words
    assert CMCDisplay.from_evaluation(result).line_.get_label().endswith(f"(rank-1 = {result.mean['rank_1']:.3f})")


def test_page_is_accessible(page):
    """Images have alternative texts, scrolling regions take the focus and have names, headings skip no level."""
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


def test_same_arguments_write_the_same_bytes(results, dataset, report, fitted, tmp_path):
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
def test_names_with_dollars_or_invisible_characters_are_shown(people, tmp_path, name, shown):
    """Names of systems and files may hold any bytes, marks of direction, and dollars, which are not formulas."""
    odd = Bunch(images=people.images, target=people.target, cams=people.cams, paths=[name] * len(people.target))
    result = evaluate(FunctionTransformer(flatten), odd, TwoViewProtocol(n_repeats=1), fit=False, name=name)
    text = evaluation_report(result, tmp_path / "r.html", dataset=odd).read_text(encoding="utf-8")
    page = Reader(text)
    assert shown in unescape("".join(page.words))
    assert any(shown in attributes["alt"] for attributes in page.all("img"))
    assert all(letter.isprintable() or letter in "\n\u200d" for letter in text)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # a warning of Pillow
def test_images_that_cannot_be_read_are_grey_and_warned_of(people, tmp_path):
    """Every kind of broken file is labelled as unreadable; a very wide image is made to fit."""
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
    with pytest.warns(UserWarning, match="images cannot be read and are grey") as caught:
        path = evaluation_report(result, tmp_path / "r.html", dataset=data, n_probes=99, n_neighbors=99)
    (message,) = (str(warning.message) for warning in caught if "grey" in str(warning.message))
    page = Reader(path.read_text(encoding="utf-8"))
    alts = [attributes["alt"] for attributes in page.all("img")][1:]  # the first is the plot of the curve
    for place, path in enumerate(paths):
        of_path = [alt for alt in alts if alt.endswith(f", {path.name}")]
        assert of_path
        assert all(("cannot be read" in alt) == (place < len(broken)) for alt in of_path)
        assert (f"image {place} ('{path}')" in message) == (place < len(broken))
    assert page.words.count("unreadable") == sum("cannot be read" in alt for alt in alts)
    assert str(tmp_path) not in "".join(page.words)


def test_sections_without_content_are_left_out(results, tmp_path):
    """There are no rankings without a dataset, and no filters of an estimator without them."""
    page = Reader(evaluation_report(results[1], str(tmp_path / "r.html")).read_text(encoding="utf-8"))
    words = "".join(page.words)
    assert "Best and worst" not in words
    assert "Chosen filters" not in words
    assert "Recognition by rank" in words


def test_the_estimator_kept_by_evaluate_is_shown(people, fitted, tmp_path):
    """Its training and filters are those of the first result."""
    result = evaluate(fitted, people, TwoViewProtocol(n_repeats=1), fit=False, on_seen="ignore", return_estimators=True)
    text = evaluation_report(result, tmp_path / "r.html", dataset=people).read_text(encoding="utf-8")
    assert "Filters of high" in text
    assert "Training curve" in text
    assert "confidence interval" in text


def test_a_network_without_accuracies_has_no_section_on_training(people, tmp_path):
    """TCPNet is not trained to classify, so there is no curve of accuracy to draw."""
    net = TCPNet(input_size=(32, 16), crop_size=(28, 14), n_channels=2, max_epochs=1, device="cpu", random_state=0)
    net.fit(people.images, people.target)
    result = evaluate(net, people, TwoViewProtocol(n_repeats=1), fit=False, on_seen="ignore")
    words = "".join(Reader(evaluation_report(result, tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert "Recognition by rank" in words
    assert "Training" not in words


def test_different_protocols_are_numbered(people, tmp_path):
    """A sentence warns that figures of different protocols cannot be compared."""
    pixels = FunctionTransformer(flatten)
    results = [evaluate(pixels, people, protocol, fit=False) for protocol in (TwoViewProtocol(), ShotProtocol())]
    words = "".join(Reader(evaluation_report(results, tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert f"[2] {results[1].protocol}" in words
    assert "cannot be compared" in words


def test_bad_arguments_are_refused_before_a_file_is_written(results, people, tmp_path):
    path = tmp_path / "r.html"
    with pytest.raises(ValueError, match="results is empty"):
        evaluation_report([], path)
    with pytest.raises(TypeError, match="EvaluationResult"):
        evaluation_report([1], path)
    with pytest.raises(ValueError, match=r"'repeat' parameter of evaluation_report is 3, but .* has 3 repeats"):
        evaluation_report(results, path, repeat=3)
    with pytest.raises(ValueError, match="'repeat' parameter of evaluation_report must be an int"):
        evaluation_report(results, path, repeat=True)
    with pytest.raises(ValueError, match="'n_probes' parameter"):
        evaluation_report(results, path, n_probes=-1)
    with pytest.raises(ValueError, match="'n_neighbors' parameter"):
        evaluation_report(results, path, n_neighbors=0)
    with pytest.raises(ValueError, match="pass the dataset that was evaluated"):
        evaluation_report(results, path, dataset=Bunch(images=people.images[:3], target=people.target[:3]))
    assert not path.exists()


def browse(arguments, profile):
    """Run the browser without a window and return its output."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        "--hide-scrollbars", f"--user-data-dir={profile}", *arguments,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 375])
def test_a_browser_shows_text_and_images_without_console_messages(report, tmp_path, width):
    shot = tmp_path / "shot.png"
    done = browse([f"--window-size={width},1600", f"--screenshot={shot}", report.as_uri()], tmp_path / "profile")
    assert "CONSOLE" not in done.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1600, width, 3)
    assert (pixels.sum(axis=2) < 150).mean() > 0.005  # dark text
    assert (np.ptp(pixels, axis=2) > 60).mean() > 0.003  # coloured images


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_page_is_no_wider_than_a_narrow_screen(report, tmp_path):
    """Only regions within it scroll sideways, and all images are decoded."""
    probe = """<script>addEventListener("load", () => {
        const broken = [...document.images].filter(image => !image.naturalWidth).length;
        document.body.innerHTML = `wide=${document.documentElement.scrollWidth - innerWidth} broken=${broken}`;
    })</script></body>"""
    text = re.sub(r"<meta http-equiv=[^>]*>", "", report.read_text(encoding="utf-8")).replace("</body>", probe)
    copy = tmp_path / "copy.html"
    copy.write_text(text, encoding="utf-8")
    done = browse(["--window-size=375,844", "--dump-dom", copy.as_uri()], tmp_path / "profile")
    wide, broken = re.search(r"wide=(-?\d+) broken=(\d+)", done.stdout).groups()
    assert int(wide) <= 0
    assert int(broken) == 0
