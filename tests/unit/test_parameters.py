from pathlib import Path
from typing import Annotated, Literal

import pytest

from scoreline import Identity
from scoreline.errors import JobError, UsageError
from scoreline.parameters import fill

FOLDER = Path("/work")


def filled(annotation, text):
    def declared(*, value=None):
        pass

    declared.__annotations__ = {"value": annotation}
    return fill(declared, {"value": text}, FOLDER)[0]["value"]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "a b=c", "a b=c"),
        (str, "", ""),
        (int, "-12", -12),
        (float, "1e-3", 0.001),
        (float, "7", 7.0),
        (bool, "true", True),
        (bool, "No", False),
        (bool, "1", True),
        (bool, "0", False),
        (Path, "data", FOLDER / "data"),
        (Path, "/data", Path("/data")),
        (Path, "../data", FOLDER / "../data"),
        (Literal["green", "yellow"], "yellow", "yellow"),
        (Literal[1, 2], "2", 2),
        (int | None, "3", 3),
        (None | Path, "data", FOLDER / "data"),
        (Annotated[int, "a remark"], "3", 3),
        (Annotated[Literal["a"], Identity], "a", "a"),
    ],
)
def test_the_annotation_decides_how_text_is_read(annotation, text, value):
    found = filled(annotation, text)
    assert (found, type(found)) == (value, type(value))


def test_a_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert filled(Path, "~/data") == Path("/home/someone/data")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "1.5"),
        (int, ""),
        (float, "many"),
        (bool, "maybe"),
        (bool, ""),
        (Literal["green", "yellow"], "red"),
        (Literal[1, 2], "3"),
    ],
)
def test_text_that_does_not_fit_is_refused_by_name(annotation, text):
    with pytest.raises(UsageError, match="value="):
        filled(annotation, text)


def some(*, kind: Annotated[Literal["green", "yellow"], Identity] = "green", rows: int, data: Path = Path("data")):
    pass


def test_what_is_not_given_keeps_its_default():
    values, _ = fill(some, {"rows": "3"}, FOLDER)
    assert values == {"kind": "green", "rows": 3, "data": Path("data")}


@pytest.mark.parametrize(("texts", "kind"), [({}, "green"), ({"kind": "yellow"}, "yellow")])
def test_identity_is_told_apart_also_where_it_is_the_default(texts, kind):
    assert fill(some, {"rows": "3", **texts}, FOLDER)[1] == {"kind": kind}


def test_an_instance_marks_identity_as_the_class_does():
    def marked(*, year: Annotated[int, Identity()] = 2021):
        pass

    assert fill(marked, {}, FOLDER)[1] == {"year": "2021"}


def test_a_missing_value_is_refused_with_the_option_that_gives_it():
    with pytest.raises(UsageError, match="'rows' has no value") as caught:
        fill(some, {}, FOLDER)
    assert "--set rows=VALUE" in caught.value.hint


def test_an_unknown_parameter_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="color, shape") as caught:
        fill(some, {"shape": "x", "color": "y", "rows": "3"}, FOLDER)
    assert "kind, rows, data" in caught.value.hint


@pytest.mark.parametrize("value", ["", "a/b", "..", "a=b", "a,b", "a]", "ä", "x" * 129])
def test_identity_that_could_not_stand_in_a_key_or_path_is_refused(value):
    def declared(*, city: Annotated[str, Identity]):
        pass

    with pytest.raises(UsageError, match="identity"):
        fill(declared, {"city": value}, FOLDER)


def several(*values):
    pass


def any_name(**values):
    pass


def by_place(value, /):
    pass


@pytest.mark.parametrize("function", [several, any_name, by_place])
def test_a_signature_that_cannot_be_filled_by_name_is_refused(function):
    with pytest.raises(JobError, match="cannot be filled by name"):
        fill(function, {}, FOLDER)


def test_an_annotation_that_names_nothing_is_refused():
    def declared(*, value: "Missing" = 1):  # noqa: F821 - as after an import under TYPE_CHECKING
        pass

    with pytest.raises(JobError, match="Missing"):
        fill(declared, {}, FOLDER)


def test_a_parameter_without_annotation_is_text():
    def declared(*, value="a"):
        pass

    assert fill(declared, {"value": "1"}, FOLDER)[0] == {"value": "1"}


def either(*, model: str | Path | None = None):
    """Takes a path or a URI."""


@pytest.mark.parametrize("text", ["models:/trips@champion", "runs:/abc/model", "s3://lake/model"])
def test_where_a_path_or_a_uri_fits_a_uri_stays_as_it_is(text):
    assert fill(either, {"model": text}, Path("/here"))[0] == {"model": text}


def test_where_a_path_or_a_uri_fits_a_path_begins_in_the_given_folder():
    assert fill(either, {"model": "models/a.bin"}, Path("/here"))[0] == {"model": Path("/here/models/a.bin")}
