import pytest

from scoreline.errors import NotReleasable
from scoreline.record import ENDED, NEXT_STATES, PREPARED, PUBLISHED, REFUSED, RUNNING, RunRecord, releasable


def run(run_id="run-1", state=REFUSED, token=2, **facts):
    return RunRecord(run_id, "trips", "2021-02", state, "missing", token, "", "", {"paths": ["a.parquet"]} | facts)


def test_a_refused_run_that_nothing_followed_may_be_published():
    assert releasable([run()], []) == run()


def test_a_prepared_run_whose_release_was_cut_off_may_be_published():
    assert releasable([run(state=PREPARED)], []) == run(state=PREPARED)


@pytest.mark.parametrize("state", [RUNNING, *(state for state in ENDED if state != REFUSED)])
def test_a_run_in_another_state_is_named_with_its_state(state):
    with pytest.raises(NotReleasable, match=f"run run-1 is {state}; only refused"):
        releasable([run(state=state)], [])


def test_an_unknown_run_is_said_to_be_unknown():
    with pytest.raises(NotReleasable, match="knows no such run"):
        releasable([], [run()])


def test_newer_content_of_the_slot_is_named_and_what_to_do():
    with pytest.raises(NotReleasable, match="run run-9 was published after run run-1") as caught:
        releasable([run()], [run("run-9", PUBLISHED, 3)])
    assert "score the partition again" in caught.value.hint


@pytest.mark.parametrize(
    "other",
    [
        run("run-9", PUBLISHED, 1),
        run("run-9", PUBLISHED, 3, paths=["b.parquet"]),
        run("run-9", PUBLISHED, 3, paths=["a.parquet", "b.parquet"]),
        *(run("run-9", state, 3) for state in (RUNNING, *ENDED) if state != PUBLISHED),
    ],
)
def test_older_content_other_slots_and_runs_that_published_nothing_are_no_hindrance(other):
    assert releasable([run()], [other]).run_id == "run-1"


def test_every_state_but_those_under_way_is_an_end():
    assert set(NEXT_STATES) == {RUNNING, PREPARED}
    assert set(NEXT_STATES).isdisjoint(ENDED)
    assert {after for states in NEXT_STATES.values() for after in states} == {RUNNING, PREPARED, *ENDED}


def test_published_comes_from_prepared_alone():
    assert [state for state, states in NEXT_STATES.items() if PUBLISHED in states] == [PREPARED]
