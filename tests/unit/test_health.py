import re
from importlib import metadata
from pathlib import Path

import pytest

from scoreline import health
from scoreline.health import OK, PROBLEM, WARNING

GB = 1 << 30


def states(findings):
    return {finding.name: finding.state for finding in findings}


def test_this_installation_is_sound():
    found = states(health.installation())
    assert list(found) == ["python", "libraries", "extras", "time", "memory"]
    assert found["python"] == found["libraries"] == found["time"] == OK


def test_extras_are_told_by_their_packages(monkeypatch):
    assert health.missing_from("sklearn") == []
    monkeypatch.setitem(health.EXTRAS, "sklearn", ("scikit-learn", "nothing-of-that-name"))
    assert health.missing_from("sklearn") == ["nothing-of-that-name"]
    (extras,) = [one for one in health.installation() if one.name == "extras"]
    assert "not installed: sklearn" in extras.detail


def test_the_packages_of_each_extra_are_those_that_it_installs():
    declared = [one.split("; extra == ") for one in metadata.requires("scoreline") if "extra ==" in one]
    asked = {(extra.strip("\"'"), re.match(r"[\w.-]+", package)[0].lower()) for package, extra in declared}
    assert {(extra, package) for extra, packages in health.EXTRAS.items() for package in packages} == asked


def machine(root, available, files):
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal: {16 * GB // 1024} kB\nMemAvailable: {available // 1024} kB\n")
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text("1:memory:/\n" if any("/" in name for name in files) else "0::/\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("available", "files", "state"),
    [
        (8 * GB, {}, OK),
        (8 * GB, {"memory.max": "max"}, OK),
        (GB // 2, {}, WARNING),
        (GB // 8, {}, PROBLEM),
        (8 * GB, {"memory.max": 2 * GB, "memory.current": 2 * GB - GB // 8}, PROBLEM),
        (8 * GB, {"memory.max": 2 * GB, "memory.current": GB + GB // 2}, WARNING),
        (
            8 * GB,
            {"memory.max": 2 * GB, "memory.current": 2 * GB, "memory.stat": f"anon 1\ninactive_file {2 * GB}"},
            OK,
        ),
        (8 * GB, {"memory/memory.limit_in_bytes": GB, "memory/memory.usage_in_bytes": GB}, PROBLEM),
        (8 * GB, {"memory/memory.limit_in_bytes": (1 << 63) - 4096, "memory/memory.usage_in_bytes": GB}, OK),
    ],
)
def test_memory_is_what_the_machine_has_left_or_the_control_group(tmp_path, available, files, state):
    found = health.memory(machine(tmp_path, available, files))
    assert found.state == state
    assert (found.next is None) == (state == OK)


def test_a_folder_that_is_there_or_can_be_made_is_well(tmp_path):
    assert health.folder("home", tmp_path).state == OK
    assert "will be made" in health.folder("home", tmp_path / "a/b").detail
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_folder_s_place_is_told_with_the_command_that_moves_it(tmp_path):
    (tmp_path / "a file").touch()
    found = health.folder("home", tmp_path / "a file" / "home")
    assert found.state == PROBLEM
    assert found.next == f"mv '{tmp_path}/a file' '{tmp_path}/a file.aside'"


def test_a_folder_where_nobody_can_write_is_told():
    assert health.folder("home", Path("/proc/scoreline")).state == PROBLEM


def test_a_full_disk_is_told(tmp_path):
    assert health.disk("home disk", Path("/proc")).state == PROBLEM  # a file system without a free byte
    assert "free at" in health.disk("home disk", tmp_path / "not yet").detail
