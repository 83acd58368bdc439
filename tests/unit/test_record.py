from dataclasses import replace

import pytest

from scoreline.errors import NotReleasable
from scoreline.record import ENDED, EXPIRED, NEXT_STATES, PREPARED, PUBLISHED, REFUSED, RUNNING, RunRecord, releasable


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
    under_way = {state for state, states in NEXT_STATES.items() if set(states) - {state, EXPIRED}}
    assert under_way == {RUNNING, PREPARED}
    assert under_way.isdisjoint(ENDED)
    assert {after for state in under_way for after in NEXT_STATES[state]} == {RUNNING, PREPARED, *ENDED}


def test_only_what_was_published_expires_and_nothing_follows():
    assert [state for state, states in NEXT_STATES.items() if EXPIRED in states] == [PUBLISHED, EXPIRED]
    assert NEXT_STATES[EXPIRED] == (EXPIRED,)


def test_what_was_given_up_cannot_be_released():
    with pytest.raises(NotReleasable, match="removed by prune on 2026-01-02"):
        releasable([run(unstaged="2026-01-02T03:04:05+00:00")], [])


def test_what_prune_records_does_not_make_a_run_younger():
    pruned = replace(run(), state=EXPIRED, updated_at="2026-05-01", facts={"ended_at": "2026-01-01"})
    assert pruned.ended_at == "2026-01-01"
    assert replace(run(), state=RUNNING, started_at="2026-01-01", updated_at="2026-02-01").ended_at == "2026-01-01"


def test_published_comes_from_prepared_alone():
    assert [state for state, states in NEXT_STATES.items() if PUBLISHED in states] == [PREPARED]
