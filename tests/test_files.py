"""Files written in one step: only files are ever replaced."""

import os
import stat

import pytest

from skreid._base.files import replacing, write_file


def _make_pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(
            _make_pipe,
            "is a pipe or device, not a file",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders"),
        ),
        (os.mkdir, "is a folder, not a file"),
    ],
    ids=["pipe", "folder"],
)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_not_a_file_is_never_replaced(make, says, linked, tmp_path):
    """Nor through a link. The error names it, and nothing is left beside it."""
    target = path = tmp_path / "target"
    make(target)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(target)
    before, kind = sorted(tmp_path.iterdir()), stat.S_IFMT(target.stat().st_mode)
    with pytest.raises(FileExistsError, match=f"'{target}' {says}") as caught:
        write_file(path, b"content")
    assert "Free some space" not in str(caught.value)
    with pytest.raises(FileExistsError, match=says), replacing(target, tmp_path / "part"):
        pytest.fail("opened")
    assert sorted(tmp_path.iterdir()) == before
    assert stat.S_IFMT(target.stat().st_mode) == kind


def test_a_file_is_replaced_and_a_link_stays_one(tmp_path):
    """Also a link that points nowhere yet."""
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "early").symlink_to(tmp_path / "later")
    for name in ("link", "early"):
        path = write_file(tmp_path / name, b"content")
        assert path.is_symlink()
        assert path.read_bytes() == b"content"
    assert (tmp_path / "file").read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 4
