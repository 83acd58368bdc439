"""The page of settings and .env.example have every setting, and the example is one that can be used."""

import pytest
from tests.docs.make_settings import COMMAND, EXAMPLE, PAGE, example, page

from scoreline.settings import TABLE, read_settings


def test_the_table_on_the_page_is_that_of_the_code():
    assert PAGE.read_text("utf-8") == page(), f"out of date; renew it: {COMMAND}"


def test_the_example_has_every_setting_with_its_default():
    assert EXAMPLE.read_text("utf-8") == example(), f"out of date; renew it: {COMMAND}"


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.name)
def test_each_setting_has_its_row(one):
    assert f"\n| `{one.variable}` | {one.default or '-'} |" in PAGE.read_text("utf-8")


def test_the_example_sets_nothing_as_it_is(tmp_path):
    assert not read_settings({}, EXAMPLE, tmp_path).values


def test_the_example_without_its_marks_sets_every_default(tmp_path):
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text("utf-8").splitlines()]
    (tmp_path / ".env").write_text("\n".join(line for line in lines if line.split("=")[0].isupper()))
    settings = read_settings({}, tmp_path / ".env", tmp_path)
    assert set(settings.values) == {one.name for one in TABLE if one.default}
    assert settings.notes == ()
