"""Progress bars show what is being done; where there is nothing to do, no bar counts from 0 to 0."""

import pytest

from skreid import MultiDepthReID, describe
from skreid._base.bars import progress_bar
from skreid.rivals import TCPNet


@pytest.mark.parametrize(
    ("total", "shown", "visible"), [(3, True, True), (None, True, True), (3, False, False), (0, True, False)]
)
def test_a_bar_is_shown_where_there_is_work(total, shown, visible, capsys):
    """Also where nobody knows how much."""
    with progress_bar("Working", "piece", total, shown=shown) as bar:
        bar.update()
    assert ("Working" in capsys.readouterr().err) == visible


def test_no_epochs_and_no_images_have_no_bar(people, settings, capsys):
    reid = MultiDepthReID(**settings | {"max_epochs": 0, "verbose": 1}).fit(people.images, people.target)
    err = capsys.readouterr().err
    assert "Exploring: 100%" in err
    assert "Training" not in err
    describe(reid, [], verbose=1)
    part_network = TCPNet(input_size=(32, 16), crop_size=(30, 14), n_channels=4, max_epochs=0, verbose=1)
    part_network.fit(people.images, people.target)
    assert capsys.readouterr().err == ""
