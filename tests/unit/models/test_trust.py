import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scoreline.errors import StorageUnfit
from scoreline.models.trust import Trust, folders_of, writable_by_others

DIGEST, OTHER = "a" * 64, "b" * 64
OPEN = [0o620, 0o602, 0o666]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def model(tmp_path):
    """A model in a folder that only its owner can write to."""
    folder = tmp_path / "models"
    folder.mkdir(mode=0o755)
    path = folder / "m.pkl"
    path.touch(mode=0o644)
    return path


@pytest.fixture
def owned_by(monkeypatch):
    """Makes a path look as if it belonged to somebody; only root could really give it away."""
    owners, real = {}, Path.stat

    def looking(path, **options):
        facts = real(path, **options)
        owner = owners.get(str(path), facts.st_uid)
        return os.stat_result((facts.st_mode, facts.st_ino, facts.st_dev, facts.st_nlink, owner, *facts[5:10]))

    monkeypatch.setattr(Path, "stat", looking)
    return owners


# --- by digest ------------------------------------------------------------------------------------------------------


def test_nothing_is_trusted_at_first(home, model):
    assert Trust(home).reason(DIGEST, model) is None
    assert Trust(home).entries() == []
    assert Trust(home).refusal(model) == ""


def test_a_digest_is_trusted_for_good_and_wherever_it_lies(home, model):
    Trust(home).add(DIGEST, model)
    assert "digest trusted by" in Trust(home).reason(DIGEST, Path("/elsewhere/x.pkl"))


def test_another_digest_is_not_trusted_although_it_lies_at_the_same_path(home, model):
    Trust(home).add(DIGEST, model)
    assert Trust(home).reason(OTHER, model) is None


def test_it_is_recorded_what_was_trusted_by_whom_where_and_when(home, model):
    before = datetime.now(UTC).replace(microsecond=0)
    entry = Trust(home).add(DIGEST, model)
    assert Trust(home).entries() == [entry]
    assert (entry["digest"], entry["path"]) == (DIGEST, str(model))
    assert entry["by"]
    assert entry["host"] == os.uname().nodename
    assert before <= datetime.fromisoformat(entry["at"]) <= datetime.now(UTC)


def test_entries_are_added_and_none_is_lost(home, model):
    for digest in (DIGEST, OTHER, DIGEST):
        Trust(home).add(digest, model)
    assert [entry["digest"] for entry in Trust(home).entries()] == [DIGEST, OTHER, DIGEST]


def test_the_record_is_its_owner_s_alone(home, model):
    Trust(home).add(DIGEST, model)
    assert stat.S_IMODE(Trust(home).record.stat().st_mode) == 0o600


@pytest.mark.parametrize("line", ['{"digest": "', "", "[]", '{"digest": "c"}', "\x00\x00", "null"])
def test_a_torn_line_trusts_nothing_and_hides_no_other(home, model, line):
    Trust(home).add(DIGEST, model)
    with Trust(home).record.open("a") as handle:
        handle.write(line + "\n")
    Trust(home).add(OTHER, model)
    assert [entry["digest"] for entry in Trust(home).entries()] == [DIGEST, OTHER]
    assert Trust(home).reason("c", model) is None


@pytest.mark.parametrize("mode", OPEN)
def test_a_record_that_others_can_write_to_proves_nothing(home, model, mode):
    Trust(home).add(DIGEST, model)
    Trust(home).record.chmod(mode)
    assert Trust(home).reason(DIGEST, model) is None
    assert "others can write to" in Trust(home).refusal(model)


def test_a_home_that_others_can_write_to_proves_nothing(home, model):
    Trust(home).add(DIGEST, model)
    home.chmod(0o775)
    assert Trust(home).reason(DIGEST, model) is None


def test_nothing_is_recorded_in_a_home_that_others_can_write_to(home, model):
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(StorageUnfit, match="others can write") as caught:
        Trust(home).add(DIGEST, model)
    assert caught.value.hint == f"chmod go-w {home}"
    assert not Trust(home).record.exists()


def test_a_record_that_somebody_else_wrote_proves_nothing(home, model, owned_by):
    Trust(home).add(DIGEST, model)
    owned_by[str(Trust(home).record)] = 54321
    assert Trust(home).reason(DIGEST, model) is None


# --- by folder ------------------------------------------------------------------------------------------------------


def test_a_file_in_a_folder_that_the_job_names_is_trusted(home, model):
    assert str(model.parent) in Trust(home, (model.parent,)).reason(DIGEST, model)


def test_a_file_in_a_folder_below_is_trusted(home, model):
    below = model.parent / "v2"
    below.mkdir(mode=0o755)
    (below / "m.pkl").touch(mode=0o644)
    assert Trust(home, (model.parent,)).reason(DIGEST, below / "m.pkl") is not None


def test_a_file_beside_the_folder_is_not_trusted(home, model):
    beside = model.parent.with_name("models2")
    beside.mkdir()
    (beside / "m.pkl").touch()
    assert Trust(home, (model.parent,)).reason(DIGEST, beside / "m.pkl") is None
    assert Trust(home, (model.parent,)).reason(DIGEST, model.parent / ".." / "models2" / "m.pkl") is None


@pytest.mark.parametrize("mode", OPEN)
def test_a_file_that_others_can_write_to_is_not_trusted(home, model, mode):
    model.chmod(mode)
    trust = Trust(home, (model.parent,))
    assert trust.reason(DIGEST, model) is None
    assert trust.refusal(model) == f"others can write to {model}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_trusted(home, model, mode):
    model.parent.chmod(mode)
    trust = Trust(home, (model.parent,))
    assert trust.reason(DIGEST, model) is None
    assert str(model.parent) in trust.refusal(model)


def test_a_folder_between_that_others_can_write_to_is_not_trusted(home, model):
    between = model.parent / "shared" / "v2"
    between.mkdir(parents=True, mode=0o755)
    (between / "m.pkl").touch(mode=0o644)
    between.parent.chmod(0o777)
    assert Trust(home, (model.parent,)).reason(DIGEST, between / "m.pkl") is None


def test_a_link_to_a_file_outside_is_not_trusted(home, model):
    outside = model.parent.with_name("elsewhere.pkl")
    outside.touch()
    link = model.parent / "link.pkl"
    link.symlink_to(outside)
    assert Trust(home, (model.parent,)).reason(DIGEST, link) is None


def test_a_link_to_a_trusted_folder_is_that_folder(home, model, tmp_path):
    (tmp_path / "current").symlink_to(model.parent)
    assert Trust(home, (tmp_path / "current",)).reason(DIGEST, tmp_path / "current" / "m.pkl") is not None


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_not_trusted(home, model, owned_by, which):
    owned_by[str(model if which == "file" else model.parent)] = 54321
    assert Trust(home, (model.parent,)).reason(DIGEST, model) is None


def test_all_places_that_others_can_write_to_are_named(model):
    model.chmod(0o666)
    model.parent.chmod(0o777)
    assert writable_by_others(model, model.parent) == [str(model), str(model.parent)]


def test_folders_begin_at_the_job_s_own(tmp_path):
    assert folders_of(tmp_path, ["models", "/abs", Path("a/b")]) == (
        tmp_path / "models",
        Path("/abs"),
        tmp_path / "a/b",
    )


def test_the_record_is_one_json_object_a_line(home, model):
    entries = [Trust(home).add(digest, model) for digest in (DIGEST, OTHER)]
    assert [json.loads(line) for line in Trust(home).record.read_text().splitlines()] == entries
