"""What all sources of local files have in common."""

import pytest

from scoreline.errors import StorageUnfit
from scoreline.stores import folder
from scoreline.template import Template


def test_a_folder_with_more_files_than_can_be_looked_through_is_refused_and_not_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_LISTED_FILES", 2)
    template = Template("{slug}.csv")
    for name in "ab":
        (tmp_path / f"{name}.csv").touch()
    assert list(folder.listed(tmp_path, template)) == ["a.csv", "b.csv"]
    (tmp_path / "c.csv").touch()
    with pytest.raises(StorageUnfit, match="more than 2 files"):
        list(folder.listed(tmp_path, template))
