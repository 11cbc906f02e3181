"""The table of limits: shares of the time taken, and its place in the documentation."""

import numpy as np
import pytest

from skreid import STRONGEST
from skreid.descriptors import GOG, LOMO, MLGD


def test_the_share_is_the_time_of_the_limit_over_the_time_taken(benchmark):
    """Half of the limit's speed is 0.5, and the row says what was timed."""
    row = benchmark("_common").limited("sorting", 4.0, "reading", 2.0)
    assert row == {"what": "sorting", "seconds": 4.0, "limit": "reading", "of the limit": 0.5}


def test_the_page_holds_one_table_of_limits_which_a_run_replaces(benchmark, tmp_path):
    """All other text of the real page stays, however often a table is written."""
    main = benchmark("__main__")
    limited, page = benchmark("_common").limited, tmp_path / "page.md"
    text = main.PAGE.read_text(encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    for seconds in (4.0, 16.0):
        main.write_page([limited("sorting", seconds, "reading", 2.0)], page)
    written = page.read_text(encoding="utf-8")
    assert (
        "| what | seconds | limit | of the limit |\n| --- | --- | --- | --- |\n| sorting | 16 | reading | 0.12 |\n"
        in written
    )
    assert written.count("of the limit |") == 1
    for side, mark in ((0, main.MARKS[0]), (1, main.MARKS[1])):
        assert written.split(mark)[side] == text.split(mark)[side]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_convolutions_alone_are_all_of_a_network_and_nothing_else(benchmark, precision):
    """Forward and backward, with inputs, weights and gradients of one precision: nothing else is computed."""
    import torch

    step = benchmark("_bare").convolutions("vgg11", (32, 16), 2, precision)
    with torch.profiler.profile() as profile:
        step()
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls["aten::convolution"] == calls["aten::convolution_backward"] == 8
    assert not calls.keys() & {"aten::relu_", "aten::clamp_min_", "aten::max_pool2d"}


def recorded(monkeypatch, name, size_of):
    """Return a list that gets the size of the first argument of each call of a function of numpy."""
    module = np.linalg if hasattr(np.linalg, name) else np
    function, seen = getattr(module, name), []

    def spy(first, *args, **kwargs):
        seen.append(size_of(first, kwargs))
        return function(first, *args, **kwargs)

    monkeypatch.setattr(module, name, spy)
    return seen


@pytest.mark.parametrize("descriptor", [GOG(("rgb", "nrng"), input_size=(64, 24), n_strips=3), MLGD(("y", "lab"))])
def test_the_limit_of_gaussians_decomposes_as_many_matrices_as_the_descriptor(benchmark, monkeypatch, descriptor):
    """Both pass stacks of the same shapes to numpy."""
    _, work = benchmark("descriptors").limit_of(descriptor)
    seen = recorded(monkeypatch, "eigh", lambda stack, _: (stack[..., 0, 0].size, stack.shape[-1]))
    work()
    limit = seen.copy()
    seen.clear()
    descriptor.transform(np.random.default_rng(0).integers(0, 256, (1, 64, 24, 3), dtype=np.uint8))
    assert limit == seen


@pytest.mark.parametrize("size", [(64, 48), (81, 55)])
def test_the_limit_of_lomo_counts_as_many_codes_as_the_descriptor(benchmark, monkeypatch, size):
    """Both pass as many codes, of as many kinds, to numpy."""
    lomo = LOMO(n_bins=3, retinex=None)
    _, work = benchmark("descriptors").limit_of(lomo, size)
    seen = recorded(monkeypatch, "bincount", lambda codes, kwargs: (codes.size, kwargs["minlength"]))
    work()
    limit = seen.copy()
    seen.clear()
    lomo.transform(np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8))
    assert limit == seen


def test_the_descriptors_whose_cost_is_measured_are_those_of_the_pages(benchmark, monkeypatch):
    """The default, the strongest with four times its filters, and two networks with GOG."""
    module = benchmark("transform")
    monkeypatch.setattr(module, "FRAME", (64, 24))
    default, strongest = module.untrained(), module.untrained(**STRONGEST)
    assert strongest.n_features_out_ == 4 * default.n_features_out_
    union = module.all_that_helps()
    first, second = (union.transformer_list[place][1] for place in (0, 1))
    assert (first.input_size, second.input_size) == ((64, 24), (48, 24))
    assert first.average_flips
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 24, 3), dtype=np.uint8)
    parts = first.n_features_out_, second.n_features_out_, 27622
    assert union.transform(images).shape == (1, sum(parts))
