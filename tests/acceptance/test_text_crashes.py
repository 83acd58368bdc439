"""SIGKILL at every named instant of a run that publishes texts: each file is the old or the new, and known."""

import signal

import pytest

from scoreline.crashpoints import INBOX_POINTS, POINTS
from scoreline.formats.published import opened
from scoreline.rowsum import RowSum

SINKS = """[
            sl.Files("{taxi_type}/{m}-{yyyy}.csv", under="predictions"),
            sl.Files("{taxi_type}/{m}-{yyyy}.jsonl.gz", under="predictions"),
        ]"""
FILES = ["2-2021.csv", "2-2021.jsonl.gz"]
ELSEWHERE = {"prepare.refused", *INBOX_POINTS}  # test_release.py, test_inbox.py
PREPARED = POINTS.index("prepare.recorded")
VISIBLE = POINTS.index("publish.renamed")


@pytest.fixture
def texts(job):
    """The job folder, publishing two texts."""
    job.edit(sinks=SINKS)
    return job


def content(texts, name):
    """Digest and run of a published file, as its label tells; None when nothing is published."""
    path = texts.root / "predictions" / "green" / name
    if not path.exists():
        return None
    with path.open("rb") as handle:
        there = opened(path, handle)
        assert there.provenance is not None, f"nobody knows {name}"
        return RowSum.of(there.frame(), 0).digest(), there.provenance.run_id


@pytest.mark.parametrize("generations", [0, 1], ids=["nothing-published", "one-published"])
@pytest.mark.parametrize("point", [point for point in POINTS[PREPARED - 3 :] if point not in ELSEWHERE])
def test_a_kill_leaves_texts_old_or_new_and_known(forks, texts, digests, point, generations):
    if generations:
        assert forks.run(*texts.run("a")).code == 0
    texts.append(rows=7, trip_distance=-1.0)
    old = digests["a"] if generations else None

    killed = forks.run(*texts.run("b"), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    # The points of the first sink's publication come first, while the second sink still has the old.
    place, all_at_once = POINTS.index(point), POINTS.index("publish.cleaned")
    shown = [(content(texts, name) or (None,))[0] for name in FILES]
    assert shown == [digests["b"] if place >= VISIBLE else old, digests["b"] if place >= all_at_once else old]

    again = forks.run(*texts.run("b"))
    assert again.code == 0, again.stderr
    (digest, run), (other, other_run) = (content(texts, name) for name in FILES)
    assert (digest, other, run) == (digests["b"], digests["b"], other_run)
    assert texts.litter() == []
    assert texts.holder() is None
    assert forks.run("verify", texts.job).code == 0
