import re

import hypothesis.strategies as st
from hypothesis import given

from scoreline.slot import Slot, claim_id

NAMES = st.from_regex(r"[A-Za-z0-9._=-]{1,20}", fullmatch=True)
KEYS = st.from_regex(r"[a-z_]{1,9}(\[[a-z=,]{1,9}\])?", fullmatch=True)


@given(KEYS, NAMES)
def test_a_claim_id_can_name_a_folder(job, partition):
    assert re.fullmatch(r"[0-9a-f]{24}", claim_id(job, partition))


@given(st.sets(st.tuples(KEYS, NAMES), min_size=2))
def test_jobs_and_partitions_have_claims_of_their_own(pairs):
    assert len({claim_id(*pair) for pair in pairs}) == len(pairs)


def test_where_the_job_ends_and_the_partition_begins_matters():
    assert claim_id("ab", "c") != claim_id("a", "bc")


def test_all_paths_of_a_partition_share_one_claim():
    assert Slot("j", "p", "a").claim == Slot("j", "p", "b").claim == claim_id("j", "p")


def test_a_claim_is_the_same_in_every_version():
    # Staging folders carry this name: another one would leave what an older version has staged.
    assert claim_id("nyc_green[taxi_type=green]", "2021-02") == "4efeff6c4c884f34cd04d42a"
