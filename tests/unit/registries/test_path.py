"""Models in folders: one link, complete versions behind it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from scoreline import durable
from scoreline.abc import Trained
from scoreline.card import Card
from scoreline.errors import UsageError
from scoreline.registries.path import PathRegistry


def trained(folder, content="one", uri="models/green", alias=None):
    folder.mkdir(exist_ok=True)
    (folder / "model.skops").write_text(content)
    card = Card("job", (), "minutes", {})
    return Trained(folder, card, None, pl.DataFrame(), content.ljust(64, "0"), uri, alias)


@pytest.fixture
def registry(tmp_path):
    return PathRegistry(tmp_path)


def test_the_path_means_the_newest_model(registry, tmp_path):
    registry.log(trained(tmp_path / "made"))
    registry.log(trained(tmp_path / "made", "two"))
    assert (tmp_path / "models/green/model.skops").read_text() == "two"


def test_the_returned_uri_goes_on_meaning_the_first_one(registry, tmp_path):
    first = registry.log(trained(tmp_path / "made"))
    second = registry.log(trained(tmp_path / "made", "two"))
    assert first != second
    assert (Path(first) / "model.skops").read_text() == "one"


def test_the_same_model_is_kept_once(registry, tmp_path):
    first = registry.log(trained(tmp_path / "made"))
    inode = (Path(first) / "model.skops").stat().st_ino
    assert registry.log(trained(tmp_path / "made")) == first
    assert (Path(first) / "model.skops").stat().st_ino == inode


def test_going_back_to_an_earlier_model_moves_the_link_alone(registry, tmp_path):
    registry.log(trained(tmp_path / "made"))
    registry.log(trained(tmp_path / "made", "two"))
    registry.log(trained(tmp_path / "made"))
    assert (tmp_path / "models/green/model.skops").read_text() == "one"
    assert len([path for path in (tmp_path / "models/green.versions").iterdir() if path.is_dir()]) == 2


def test_a_damaged_version_is_put_aside_and_made_anew(registry, tmp_path):
    first = registry.log(trained(tmp_path / "made"))
    (Path(first) / "model.skops").write_text("flipped")
    assert registry.log(trained(tmp_path / "made")) == first
    assert (tmp_path / "models/green/model.skops").read_text() == "one"
    aside = [path for path in (tmp_path / "models/green.versions").iterdir() if ".until-" in path.name]
    assert [(path / "model.skops").read_text() for path in aside] == ["flipped"]


def test_a_folder_of_somebody_else_is_kept_under_a_dated_name(registry, tmp_path):
    (tmp_path / "models/green").mkdir(parents=True)
    (tmp_path / "models/green/model.pkl").write_text("theirs")
    registry.log(trained(tmp_path / "made"))
    (kept,) = [path for path in (tmp_path / "models").iterdir() if ".until-" in path.name]
    assert (kept / "model.pkl").read_text() == "theirs"
    assert (tmp_path / "models/green/model.skops").read_text() == "one"


@pytest.mark.parametrize("instant", ["mkdir", "rename", "symlink_to", "replace"])
def test_a_crash_leaves_the_old_model(registry, tmp_path, monkeypatch, instant):
    registry.log(trained(tmp_path / "made"))
    real = getattr(Path, instant)

    def dies(path, *arguments, **named):
        if ".green." in path.name or (".versions" in str(path.parent) and path.name.startswith(".")):
            raise KeyboardInterrupt
        return real(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, instant, dies)
        with pytest.raises(KeyboardInterrupt):
            registry.log(trained(tmp_path / "made", "two"))
    assert (tmp_path / "models/green/model.skops").read_text() == "one"
    registry.log(trained(tmp_path / "made", "two"))
    assert (tmp_path / "models/green/model.skops").read_text() == "two"


def test_the_link_survives_a_move_of_the_folder(registry, tmp_path):
    registry.log(trained(tmp_path / "made"))
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/green/model.skops").read_text() == "one"


def test_nothing_is_left_beside_the_versions(registry, tmp_path):
    version = Path(registry.log(trained(tmp_path / "made")))
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["green", "green.versions"]
    assert sorted(path.name for path in version.parent.iterdir()) == [".lock", version.name]
    assert durable.sha256_of(version / "model.skops") == durable.sha256_of(tmp_path / "made" / "model.skops")


def test_only_the_owner_can_write_to_a_version(registry, tmp_path):
    version = Path(registry.log(trained(tmp_path / "made")))
    assert (version.stat().st_mode | version.parent.stat().st_mode) & 0o022 == 0


def test_a_path_has_no_alias(registry):
    with pytest.raises(UsageError, match="a path has no alias 'champion'") as told:
        registry.check("models/green", "champion")
    assert "models:/NAME@champion" in told.value.hint


@pytest.mark.parametrize("name", ["lin_reg.bin", "model.pkl", "model.skops"])
def test_a_file_is_no_place_for_a_model(registry, name):
    with pytest.raises(UsageError, match="names a file, and a trained model is a folder"):
        registry.check(f"models/{name}", None)


def test_a_file_without_a_suffix_is_not_replaced(registry, tmp_path):
    (tmp_path / "green").write_text("a file")
    with pytest.raises(UsageError, match="names a file"):
        registry.check("green", None)
