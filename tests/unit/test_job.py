import itertools
import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import polars as pl
import pytest
from tests.unit.samples import job

from scoreline import (
    Csv,
    Field,
    Files,
    Filter,
    Gates,
    Rule,
    between,
    category,
    computed,
    cross,
    duration,
    expression,
    model_version,
    number,
    passthrough,
    prediction,
    row_id,
    run_id,
)
from scoreline.contract import within_partition
from scoreline.errors import JobError
from scoreline.linting import lint, require_sound
from scoreline.retention import Retention

# --- what is a job --------------------------------------------------------------------------------------------------


def test_a_job_is_frozen():
    with pytest.raises(FrozenInstanceError):
        job().name = "other"


def test_a_job_takes_keywords_only():
    with pytest.raises(TypeError):
        type(job())("name")


def test_one_sink_may_be_given_without_a_list():
    sink = Files("{slug}.parquet", under="out")
    assert job(sinks=sink).sink_files == job(sinks=[sink]).sink_files == (sink,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": ["x"]},
        {"features": [prediction("p")]},
        {"derive": [between("x", 0, 1)]},
        {"filters": [pl.col("x") > 0]},
        {"output": [number("x")]},
        {"output": ["p"]},
        {"sinks": ["out.parquet"]},
        {"source": "in.parquet"},
        {"trust": [1]},
        {"contract": [pl.col("x") > 0]},
        {"contract": [between("x", 0, 1)]},
        {"gates": 10},
        {"fit": "train.py"},
        {"simulate": 1},
        {"training": "data"},
    ],
)
def test_a_part_of_the_wrong_kind_is_refused_where_it_is_declared(wrong):
    with pytest.raises(JobError, match=next(iter(wrong))):
        job(**wrong)


def test_identity_parameters_stand_in_the_key():
    assert job().key == "trips"
    assert job(identity=(("city", "nyc"), ("kind", "green"))).key == "trips[city=nyc,kind=green]"


def test_a_job_pickles_with_its_digest():
    declared = job(filters=[between("x", 0, 1)], derive=[expression("y", pl.col("x") * 2)])
    assert pickle.loads(pickle.dumps(declared)).scoring_digest == declared.scoring_digest


def test_a_job_travels_without_the_functions_that_no_worker_calls():
    def local(*_):
        return None

    there = pickle.loads(pickle.dumps(job(fit=local, simulate=local, gates=Gates(min_rows=3))))
    assert (there.fit, there.simulate, there.gates) == (None, None, Gates(min_rows=3))


# --- what it reads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "columns"),
    [
        ({}, {"x"}),
        ({"row_id": "id"}, {"id", "x"}),
        ({"derive": [duration("d", "a", "b")], "filters": [between("d", 1, 60)]}, {"a", "b", "x"}),
        ({"derive": [number("d", "a"), number("e", "d")]}, {"a", "x"}),
        ({"filters": [between("f", 1, 60)]}, {"f", "x"}),
        ({"features": [cross("r", "a", "b"), number("x", "r")]}, {"a", "b"}),
        ({"features": [category("a")], "output": [prediction("p"), passthrough("a", pl.Int64)]}, {"a"}),
        ({"output": [prediction("p"), passthrough("q", pl.Int64, "c")]}, {"c", "x"}),
        ({"output": [prediction("p"), computed("err", pl.col("p") - pl.col("actual"))]}, {"actual", "x"}),
        ({"output": [row_id(), run_id(), prediction("p")]}, {"x"}),
        ({"contract": [Field("x", pl.Float64), Field("only checked", pl.Int64)]}, {"only checked", "x"}),
        ({"contract": [Rule("r", pl.col("a") < pl.col("b"))]}, {"a", "b", "x"}),
        ({"contract": [within_partition("at")]}, {"at", "x"}),
        ({"output": [prediction("p"), computed("c", pl.lit(1.0))]}, {"x"}),
    ],
)
def test_the_source_is_asked_for_what_is_used_and_not_made(declared, columns):
    found = job(**declared).input_columns
    assert set(found) == columns
    assert len(found) == len(columns)


def test_a_made_value_is_not_read_although_output_passes_it_through():
    derive = [duration("d", "a", "b")]
    assert job(derive=derive, output=[prediction("p"), passthrough("d", pl.Float64)]).input_columns == ("a", "b", "x")


# --- the scoring digest ---------------------------------------------------------------------------------------------

RULE = Rule("paid", pl.col("x") > 0)


def twice(frame):
    return frame["x"] * 2


BASE = {
    "contract": [Field("x", pl.Float64, low=0), Field("a", pl.Int64), RULE],
    "derive": [duration("d", "a", "b")],
    "filters": [between("d", 1, 60)],
    "features": [cross("r", "a", "b"), number("x")],
    "output": [prediction("p"), passthrough("a", pl.Int64)],
    "row_id": "id",
}
SCORING = {
    "partition": {"partition": "day"},
    "format of a sink": {"sinks": Files("{slug}.jsonl", under="out")},
    "CSV of a sink": {"sinks": Files("{slug}.csv", under="out")},
    "separator of a sink": {"sinks": Files("{slug}.csv", under="out", csv=Csv(separator=";"))},
    "data_tz": {"data_tz": "America/New_York"},
    "source path": {"source": Files("{yyyy}-{mm}.parquet", under="in")},
    "model": {"model": "models/other.pkl"},
    "row_id": {"row_id": "key"},
    "no row_id": {"row_id": None},
    "no contract": {"contract": []},
    "bound of a field": {"contract": [Field("x", pl.Float64, low=1), *BASE["contract"][1:]]},
    "kind of a field's bound": {"contract": [Field("x", pl.Float64, low=0.0), *BASE["contract"][1:]]},
    "type of a field": {"contract": [Field("x", pl.Float32, low=0), *BASE["contract"][1:]]},
    "null in a field": {"contract": [Field("x", pl.Float64, low=0, nullable=True), *BASE["contract"][1:]]},
    "NaN in a field": {"contract": [Field("x", pl.Float64, low=0, nan=True), *BASE["contract"][1:]]},
    "values of a field": {"contract": [Field("x", pl.Float64, low=0, one_of=[1.0]), *BASE["contract"][1:]]},
    "name of a rule": {"contract": [*BASE["contract"][:2], Rule("free", pl.col("x") > 0)]},
    "expression of a rule": {"contract": [*BASE["contract"][:2], Rule("paid", pl.col("x") >= 0)]},
    "a rule that warns": {"contract": [*BASE["contract"][:2], Rule("paid", pl.col("x") > 0, warn=True)]},
    "the interval": {"contract": [*BASE["contract"], within_partition("at")]},
    "unit of a derived value": {"derive": [duration("d", "a", "b", unit="hours")]},
    "columns of a derived value": {"derive": [duration("d", "b", "a")]},
    "another derived value": {"derive": [*BASE["derive"], number("z")]},
    "bound of a filter": {"filters": [between("d", 1, 61)]},
    "kind of a bound": {"filters": [between("d", 1.0, 60)]},
    "open bound": {"filters": [between("d", 1, float("inf"))]},
    "other open bound": {"filters": [between("d", float("-inf"), 60)]},
    "name of a filter": {"filters": [between("d", 1, 60, name="short")]},
    "no filter": {"filters": []},
    "order of filters": {"filters": [Filter("z", pl.col("z")), *BASE["filters"]]},
    "other order of filters": {"filters": [*BASE["filters"], Filter("z", pl.col("z"))]},
    "separator of a feature": {"features": [cross("r", "a", "b", sep="-"), number("x")]},
    "order within a feature": {"features": [cross("r", "b", "a"), number("x")]},
    "order of features": {"features": [number("x"), cross("r", "a", "b")]},
    "kind of a feature": {"features": [cross("r", "a", "b"), category("x")]},
    "name of a column": {"output": [prediction("q"), passthrough("a", pl.Int64)]},
    "type of a column": {"output": [prediction("p"), passthrough("a", pl.Int32)]},
    "type of the prediction": {"output": [prediction("p", pl.Float32), passthrough("a", pl.Int64)]},
    "source of a column": {"output": [prediction("p"), passthrough("a", pl.Int64, "b")]},
    "what is asked of the model": {"predict": "probability"},
    "all that is asked of the model": {"predict": "probabilities"},
    "a function as the model": {"model": twice},
    "a field of the prediction": {"output": [prediction("p", field="0"), passthrough("a", pl.Int64)]},
    "order of columns": {"output": [passthrough("a", pl.Int64), prediction("p")]},
}
INDIFFERENT = {
    "name": {"name": "other"},
    "identity": {"identity": (("kind", "green"),)},
    "sinks": {"sinks": Files("{mm}/{yyyy}.parquet", under="elsewhere")},
    "gates": {"gates": Gates(quarantined_rows=7)},
    "start": {"start": "2021-01"},
    "target": {"target": "d"},
    "experiment": {"experiment": "trials"},
    "fit": {"fit": len},
    "simulate": {"simulate": max},
    "training": {"training": Files("{slug}.parquet", under="learned")},
    "retention": {"retention": Retention(outputs_days=1)},
    "two sinks": {"sinks": [Files("{slug}.parquet", under="a"), Files("{slug}.parquet", under="b")]},
    "source folder": {"source": Files("{slug}.parquet", under="elsewhere")},
    "trust": {"trust": ["models"]},
    "a function that is not the model": {"function": max},
    "settings": {"settings": {"MAX_WORKERS": 1}},
    "model as a path": {"model": Path("models/m.pkl")},
    "lists as tuples": {"features": tuple(BASE["features"])},
}


@pytest.mark.parametrize("change", SCORING.values(), ids=SCORING)
def test_every_scoring_declaration_changes_the_scoring_digest(change):
    assert job(**(BASE | change)).scoring_digest != job(**BASE).scoring_digest


def test_different_declarations_have_different_digests():
    digests = [job(**(BASE | change)).scoring_digest for change in SCORING.values()]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("change", INDIFFERENT.values(), ids=INDIFFERENT)
def test_nothing_else_changes_the_scoring_digest(change):
    assert job(**(BASE | change)).scoring_digest == job(**BASE).scoring_digest


def test_every_argument_of_a_job_is_known_to_change_the_digest_or_not_to():
    tried = set(itertools.chain(*SCORING.values(), *INDIFFERENT.values()))
    assert tried == set(job().__dataclass_fields__)


def test_the_digest_is_the_same_in_another_process():
    example = Path(__file__).parents[2] / "examples" / "nyc_green" / "job.py"
    code = "import sys; from scoreline.config import load;print(load(sys.argv[1], home='h').job.scoring_digest)"
    run = [
        subprocess.run(
            [sys.executable, "-c", code, example],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert run[0] == run[1]
    assert len(run[0].strip()) == 64


# --- lint -----------------------------------------------------------------------------------------------------------


def test_a_sound_job_has_no_findings():
    assert lint(job()) == []
    require_sound(job())


FINDINGS = {
    "the name": ({"name": "a/b"}, "cannot stand in paths"),
    "an equals sign in the name": ({"name": "a=b"}, "cannot stand in paths"),
    "no name": ({"name": ""}, "cannot stand in paths"),
    "a feature twice": ({"features": [number("x"), category("x")]}, "features declares 'x' twice"),
    "a column twice": ({"output": [prediction("p"), prediction("p")]}, "output declares 'p' twice"),
    "a filter twice": ({"filters": [between("x", 0, 1), between("x", 0, 2)]}, "filters declares 'x' twice"),
    "a reserved name": ({"features": [number("scoreline.x")]}, "do not begin with 'scoreline.'"),
    "a reserved name in the contract": ({"contract": [Field("scoreline.row", pl.Int64)]}, "reads 'scoreline.row'"),
    "a reserved name behind a feature": ({"features": [number("x", "scoreline.reasons")]}, "reads 'scoreline.reasons'"),
    "a reserved name passed through": (
        {"output": [prediction("p"), passthrough("f", pl.String, "scoreline.file")]},
        "reads 'scoreline.file'",
    ),
    "a reserved name as id": ({"row_id": "scoreline.row_id"}, "reads 'scoreline.row_id'"),
    "an empty name": ({"output": [prediction("")]}, "names are not empty"),
    "no features": ({"features": []}, "features is empty"),
    "no sinks": ({"sinks": []}, "sinks is empty"),
    "no prediction": ({"output": [row_id()]}, "output has no prediction"),
    "no output": ({"output": []}, "output has no prediction"),
    "an unknown field": ({"sinks": Files("{color}/{slug}.parquet", under="out")}, "the field {color}"),
    "an unknown field in source": ({"source": Files("{color}/{slug}.parquet")}, "the field {color}"),
    "the model in source": ({"source": Files("{model_version}/{slug}.parquet")}, "names the model"),
    "a wildcard in sinks": ({"sinks": Files("{slug}/*.parquet", under="out")}, "has a wildcard"),
    "a wildcard that takes other partitions' files": (
        {"source": Files("{slug}*.parquet", under="in")},
        "would take other partitions' files",
    ),
    "two equal sinks": ({"sinks": [Files("{slug}.parquet", under="out")] * 2}, "two sinks have the same path"),
    "a sink over the source": ({"sinks": Files("{slug}.parquet", under="in")}, "would read what goes to"),
    "a sink among the source": (
        {"source": Files("*/{slug}.parquet", under="d"), "sinks": Files("out/{slug}.parquet", under="d")},
        "would read what goes to",
    ),
    "an unknown grid": ({"partition": "week"}, "'week' is not a partition grid"),
    "an unknown time zone": ({"data_tz": "Mars"}, "'Mars' is not a time zone"),
    "a form with folders": ({"sinks": Files("{start:%Y/%m}.parquet", under="out")}, "cannot stand for {start}"),
    "a time of a named partition": (
        {"partition": "named", "sinks": Files("{slug}-{start}.parquet", under="out")},
        "a named partition has no start",
    ),
    "a parameter called like a field": ({"identity": (("slug", "a"),)}, "'slug' has the name of a path field"),
    "a parameter called job": ({"identity": (("job", "a"),)}, "'job' has the name of a path field"),
    "a text that does not say what made it": ({"sinks": Files("{slug}.csv", under="out")}, "add model_version("),
    "json lines that do not say it": ({"sinks": Files("{slug}.jsonl.gz", under="out")}, "add model_version("),
    "a duration in a text": (
        {
            "sinks": Files("{slug}.jsonl", under="out"),
            "output": [prediction("p"), run_id(), passthrough("took", pl.Duration("us"))],
        },
        "cannot hold 'took'",
    ),
    "a separator that numbers hold": (
        {"sinks": Files("{slug}.csv", under="out", csv=Csv(separator="."))},
        "cannot be separated by '.'",
    ),
    "a parameter that no path names": ({"identity": (("kind", "green"),)}, "the same for every kind"),
}


@pytest.mark.parametrize("column", [model_version("m"), run_id("r")], ids=["model_version", "run_id"])
def test_a_text_that_says_what_made_it_is_sound(column):
    sinks = [Files("{slug}.csv", under="out"), Files("{slug}.jsonl.gz", under="out")]
    assert lint(job(sinks=sinks, output=[prediction("p"), column])) == []


@pytest.mark.parametrize(("change", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_lint_finds(change, finding):
    assert any(finding in found for found in lint(job(**change)))


@pytest.mark.parametrize(("change", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_a_job_with_findings_does_not_run(change, finding):
    with pytest.raises(JobError) as caught:
        require_sound(job(**change))
    assert finding in caught.value.message
    assert "scoreline check" in caught.value.hint


SAME_PATHS = [
    ("month", "a.parquet"),
    ("month", "{yyyy}.parquet"),
    ("month", "{mm}.parquet"),
    ("month", "{start:%m}.parquet"),
    ("month", "{start:%y-%m}.parquet"),  # 1921 and 2021
    ("month", "{job}/{model_version}.parquet"),
    ("day", "{yyyy}-{mm}.parquet"),
    ("day", "{yyyy}-{dd}.parquet"),
    ("day", "{yyyy}{m}{d}.parquet"),  # 2021-01-11 and 2021-11-01
    ("day", "{start:%Y-%m}.parquet"),
    ("day", "{end:%d}.parquet"),
    ("2h", "{yyyy}-{mm}-{dd}.parquet"),
    ("2h", "{start}.parquet"),
    ("1h", "{yyyy}{mm}{d}{h}.parquet"),
    ("2h", "{yyyy}{mm}{d}{h}.parquet"),
    ("4h", "{yyyy}{mm}{d}{h}.parquet"),
    ("named", "a.parquet"),
    ("named", "{job}.parquet"),
]


@pytest.mark.parametrize(("grid", "path"), SAME_PATHS)
def test_a_path_that_several_partitions_share_is_found(grid, path):
    place = Files("{slug}.parquet", under="in")
    assert any("the same for several" in found for found in lint(job(partition=grid, sinks=Files(path, under="out"))))
    source = Files(path.replace("{model_version}", "x"), under="a")
    assert any("the same for several" in found for found in lint(job(partition=grid, source=source, sinks=place)))


OWN_PATHS = [
    ("month", "{yyyy}-{mm}.parquet"),
    ("month", "{m}-{yyyy}.parquet"),
    ("month", "{start:%Y}/{start:%m}.parquet"),
    ("month", "{start}.parquet"),
    ("month", "{end}.parquet"),
    ("day", "{yyyy}{mm}{dd}.parquet"),
    ("day", "{d}.{m}.{yyyy}.parquet"),
    ("day", "{start}.parquet"),
    ("24h", "{start}.parquet"),
    ("2h", "{start:%Y%m%d_%H%M%S}.parquet"),
    ("2h", "{slug}.parquet"),
    ("1h", "{yyyy}/{mm}/{dd}/{hh}.parquet"),
    ("named", "{slug}.parquet"),
]


@pytest.mark.parametrize(("grid", "path"), OWN_PATHS)
def test_a_path_of_each_partition_s_own_passes(grid, path):
    assert lint(job(partition=grid, sinks=Files(path, under="out"))) == []


@pytest.mark.parametrize("path", ["{kind}/{slug}.parquet", "green/{slug}.parquet"])
def test_a_path_that_tells_the_parameters_apart_passes(path):
    assert lint(job(sinks=Files(path, under="out"), identity=(("kind", "green"),))) == []


def test_all_findings_are_told_at_once():
    broken = replace(job(), features=(), sinks=(), name="a b")
    assert len(lint(broken)) == 3


def test_the_digest_is_over_json_that_can_be_read_again():
    # Nothing in a declaration may depend on an object's address or on the order of a set.
    declared = [part.declaration() for part in (*BASE["derive"], *BASE["filters"], *BASE["features"], *BASE["output"])]
    assert json.loads(json.dumps(declared)) == declared


def test_only_a_source_s_files_are_moved_away():
    (finding,) = lint(job(sinks=Files("{slug}.parquet", under="out", processed="done")))
    assert "processed" in finding


def test_a_field_of_the_processed_place_that_nothing_fills_is_found():
    (finding,) = lint(job(source=Files("{slug}.parquet", under="in", processed="done/{when}_{name}")))
    assert "{when}" in finding
    assert not lint(job(source=Files("{slug}.parquet", under="in", processed="done/{yyyy}/{job}_{slug}_{name}")))


@pytest.mark.parametrize(
    ("path", "finding"),
    [
        ("all.parquet", "the path 'all.parquet' in training is the same for several partitions; add {slug}"),
        (
            "{slug}-{model_version}.parquet",
            "the path '{slug}-{model_version}.parquet' in training names the model; only sinks can",
        ),
    ],
)
def test_lint_looks_at_training_files_too(path, finding):
    assert lint(job(training=Files(path, under="learned"))) == [finding]
