import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scoreline.provenance import Provenance

TEXT = st.text()


def provenance(**changes):
    facts = dict.fromkeys(Provenance.__dataclass_fields__, "x") | {"token": 7, "volatile": "[]", "counts": "{}"}
    return Provenance(**(facts | changes))


@given(st.fixed_dictionaries(dict.fromkeys(Provenance.__dataclass_fields__, TEXT) | {"token": st.integers(0)}))
def test_provenance_comes_back_from_the_metadata_of_a_file(facts):
    made = Provenance(**facts)
    assert Provenance.from_metadata(made.metadata() | {"ARROW:schema": "other"}) == made


@given(st.fixed_dictionaries(dict.fromkeys(Provenance.__dataclass_fields__, TEXT) | {"token": st.integers(0)}))
def test_metadata_are_texts_under_scoreline_s_own_names(facts):
    metadata = Provenance(**facts).metadata()
    assert all(key.startswith("scoreline.") and isinstance(value, str) for key, value in metadata.items())
    assert len(metadata) == len(facts)


@pytest.mark.parametrize("name", list(Provenance.__dataclass_fields__))
def test_a_file_without_one_of_the_facts_was_not_written_by_scoreline(name):
    metadata = provenance().metadata()
    del metadata[f"scoreline.{name}"]
    assert Provenance.from_metadata(metadata) is None


@pytest.mark.parametrize("token", ["", "-1", "1.0", "x", " 7", "²"])
def test_a_token_that_is_no_number_was_not_written_by_scoreline(token):
    assert Provenance.from_metadata(provenance().metadata() | {"scoreline.token": token}) is None


def test_a_foreign_file_has_no_provenance():
    assert Provenance.from_metadata({"pandas": "{}"}) is None


def test_volatile_columns_are_listed():
    assert provenance(volatile=json.dumps(["run_id", "at"])).volatile_columns() == ["run_id", "at"]
