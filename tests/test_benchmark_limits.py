"""The table of limits: shares of the time taken, and its place in the documentation."""

import pytest


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
