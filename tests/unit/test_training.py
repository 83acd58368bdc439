"""Training in the core, with real estimators, files and the writer that users have; nothing is kept unless said so."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import scoreline as sl
from scoreline.card import GOLDEN, PREDICTED, read_card
from scoreline.errors import InputInvalid, InputMissing, JobError, Refused, TrainingFailed, UsageError
from scoreline.rowsum import RowSum

ROWS = 1_500
NEAR = 1e-3
"""A linear model of a sparse matrix is fitted by steps, not solved."""


def month(folder, slug="2024-01", rows=ROWS, **changes):
    """Deliveries that take 2 minutes a kilometre and 5 more; every tenth is not to be learned from."""
    km = pl.int_range(rows, dtype=pl.Int64, eager=True) % 97 + 1.0
    frame = pl.DataFrame({"zone": pl.int_range(rows, eager=True) % 7, "km": km, "minutes": km * 2 + 5})
    frame = frame.with_columns(skipped=pl.int_range(rows) % 10 == 0).with_columns(**changes)
    folder.mkdir(exist_ok=True)
    frame.write_parquet(folder / f"{slug}.parquet")
    return frame


def fit(frame):
    rows, target = frame.drop("minutes").to_dicts(), frame["minutes"].to_numpy()
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(rows, target)


@pytest.fixture
def job(tmp_path):
    month(tmp_path / "data")
    return sl.Job(
        name="deliveries",
        partition="month",
        source=sl.Files("{yyyy}-{mm}.parquet", under=tmp_path / "data"),
        filters=[sl.Filter("wanted", ~pl.col("skipped"))],
        features=[sl.category("zone"), sl.number("km")],
        target="minutes",
        fit=fit,
        model=tmp_path / "models" / "deliveries",
        output=[sl.row_id("id"), sl.prediction("predicted")],
        sinks=sl.Files("{slug}.parquet", under=tmp_path / "out"),
    )


def train(job, training="2024-01", **chosen):
    return sl.train(job, training, home=job.model.parents[1] / ".scoreline", **chosen)


def tried(job, training="2024-01", **chosen):
    return train(job, training, keep=False, **chosen)


def test_fit_is_given_the_features_in_order_and_the_target(job):
    seen = []
    tried(replace(job, fit=lambda frame: seen.append(frame) or fit(frame)))
    assert seen[0].schema == {"zone": pl.String, "km": pl.Float64, "minutes": pl.Float64}
    assert seen[0].rows()[:2] == [("1", 2.0, 9.0), ("2", 3.0, 11.0)]


def test_every_row_is_used_filtered_or_quarantined(job, tmp_path):
    month(tmp_path / "data", minutes=pl.when(pl.col("km") == 3).then(None).otherwise(pl.col("minutes")))
    counts = tried(job).counts
    assert counts.rows_in == ROWS == counts.scored + counts.left_out + counts.quarantined
    assert (counts.left_out, counts.reasons) == (150, {"target:minutes:null": counts.quarantined})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_target_that_is_not_finite_is_quarantined(job, tmp_path, value):
    rows = month(tmp_path / "data", minutes=pl.when(pl.col("km") == 3).then(value).otherwise(pl.col("minutes")))
    broken = rows.filter(pl.col("km") == 3, ~pl.col("skipped")).height
    assert tried(job).counts.reasons == {"target:minutes:not finite": broken}


def test_a_month_over_its_budget_is_refused(job, tmp_path):
    month(tmp_path / "data", minutes=pl.when(pl.col("km") < 50).then(None).otherwise(pl.col("minutes")))
    with pytest.raises(
        Refused, match=r"2024-01 is not fit to learn from: .* quarantined; .*target:minutes:null"
    ) as told:
        tried(job)
    assert told.value.exit_code == 3


def test_a_validation_month_over_its_budget_is_refused(job, tmp_path):
    month(tmp_path / "data", "2024-02", minutes=pl.lit(None, dtype=pl.Float64))
    with pytest.raises(Refused, match="2024-02"):
        tried(job, validate="2024-02")


def test_a_target_that_scoring_does_not_read_is_read(job):
    assert "minutes" not in job.input_columns
    assert tried(job).metrics["rmse"] < NEAR


def test_a_derived_value_can_be_the_target(job):
    seconds = sl.expression("seconds", pl.col("minutes") * 60)
    made = replace(
        job,
        derive=[seconds],
        target="seconds",
        fit=lambda frame: fit(frame.rename({"seconds": "minutes"})),
        output=[*job.output, sl.computed("truth", pl.col("seconds"))],
    )
    report = tried(made)
    assert report.metrics["rmse"] < 60 * NEAR
    assert report.counts.quarantined == 0


def test_validation_rows_are_measured_apart(job, tmp_path):
    month(tmp_path / "data", "2024-02", minutes=pl.col("km") * 2 + 8)
    metrics = tried(job, validate="2024-02").metrics
    assert metrics["validation_bias"] == pytest.approx(-3)
    assert metrics["validation_mae"] == pytest.approx(3)
    assert (metrics["validation_rows"], metrics["rows"]) == (1350, 1350)


def test_categories_that_training_has_not_seen_are_counted(job, tmp_path):
    month(tmp_path / "data", "2024-02", zone=pl.lit(99))
    report = tried(job, validate="2024-02")
    assert report.validation_counts.unseen == {"zone": 1350}


def test_several_months_are_learned_from_together(job, tmp_path):
    month(tmp_path / "data", "2024-02", rows=100)
    report = tried(job, "2024-01..2024-02")
    assert report.training == ("2024-01", "2024-02")
    assert report.counts.rows_in == ROWS + 100


def test_the_card_says_what_was_learned_from(job, tmp_path):
    train(job)
    card = read_card(job.model)
    rows = month(tmp_path / "data").filter(~pl.col("skipped")).select(pl.col("zone").cast(pl.String), "km", "minutes")
    assert card.trained_on["digest"] == RowSum.of(rows, 0).digest()
    assert (card.trained_on["partitions"], card.trained_on["rows"]) == (["2024-01"], 1350)
    file = card.trained_on["files"][0]
    assert (file["name"], file["rows"], len(file["footer"])) == ("2024-01.parquet", ROWS, 64)
    assert file["size"] == (tmp_path / "data" / "2024-01.parquet").stat().st_size
    assert str(tmp_path) not in json.dumps(card.trained_on)


def test_the_card_says_with_what(job):
    train(job)
    card = read_card(job.model)
    assert (card.job, card.target) == ("deliveries", "minutes")
    assert [feature["name"] for feature in card.features] == ["zone", "km"]
    assert card.made_with.keys() >= {"python", "scikit-learn", "numpy"}
    assert card.params["linearregression__fit_intercept"] == "True"


def test_golden_rows_are_spread_over_all_rows_with_what_the_file_predicts(job):
    train(job)
    golden = pl.read_parquet(job.model / GOLDEN)
    assert golden.columns == ["zone", "km", PREDICTED]
    assert golden.height == 1_000
    assert (golden[PREDICTED] - (golden["km"] * 2 + 5)).abs().max() < NEAR
    assert golden["km"].n_unique() == 97


def test_few_rows_are_all_golden(job, tmp_path):
    month(tmp_path / "data", rows=50)
    train(job)
    assert pl.read_parquet(job.model / GOLDEN).height == 45


def test_the_same_rows_give_the_same_model(job):
    first = train(job)
    again = train(job)
    assert (first.model["digest"], first.model["uri"]) == (again.model["digest"], again.model["uri"])


def test_other_rows_give_another_model(job, tmp_path):
    first = train(job)
    month(tmp_path / "data", rows=900)
    assert train(job).model["digest"] != first.model["digest"]


def test_a_trial_keeps_nothing(job, tmp_path):
    report = tried(job)
    assert report.model["uri"] is None
    assert not job.model.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_the_next_command_scores_the_following_month(job):
    assert train(job).next == ("scoreline run JOB 2024-02",)


def test_progress_is_told(job):
    told = []
    train(job, tell=told.append)
    assert told[0] == "2024-01: 1,350 of 1,500 rows to learn from"
    assert any("in memory" in text for text in told)


def test_a_job_that_says_not_what_to_learn_is_shown_how(job):
    with pytest.raises(JobError, match="declares no target and fit") as told:
        tried(replace(job, target=None, fit=None))
    assert 'target="duration"' in told.value.hint
    assert "fit=lambda frame" in told.value.hint


def test_a_feature_that_tells_the_answer_is_refused(job):
    with pytest.raises(JobError, match="'pace' reads the target 'minutes'"):
        tried(replace(job, features=[*job.features, sl.ratio("pace", "minutes", "km")]))


def test_a_feature_that_tells_the_answer_by_way_of_derived_values_is_refused(job):
    made = [sl.expression("pace", pl.col("minutes") / 2), sl.expression("rate", 1 / pl.col("pace"))]
    telling = replace(job, derive=[*job.derive, *made], features=[*job.features, sl.number("speed", "rate")])
    with pytest.raises(JobError, match="'speed' reads the target 'minutes' by way of 'rate'"):
        tried(telling)


def test_a_value_derived_from_the_target_may_serve_filters(job):
    pace = sl.expression("pace", pl.col("minutes") / 2)
    learned = tried(replace(job, derive=[*job.derive, pace], filters=[sl.Filter("pace", pl.col("pace") > 0)]))
    assert learned.counts.scored > 0


def boom(frame):
    raise ValueError("no such luck\nat all")


def test_where_fit_raised_is_told(job):
    line = boom.__code__.co_firstlineno + 1
    with pytest.raises(TrainingFailed, match=rf"fit raised ValueError: no such luck \(test_training.py, line {line}\)"):
        tried(replace(job, fit=boom))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda _: None, "fit returned nothing, which cannot predict"),
        (lambda _: "model", "fit returned a str, which cannot predict"),
        (lambda _: (DictVectorizer(), LinearRegression()), "fit returned a tuple, which cannot predict"),
        (lambda _: LinearRegression(), "fit returned a LinearRegression that"),
        (lambda _: make_pipeline(DictVectorizer(), LinearRegression()), "never fitted"),
    ],
)
def test_what_cannot_predict_is_no_model(job, made, message):
    with pytest.raises(TrainingFailed, match=message):
        tried(replace(job, fit=made))


def test_an_unfitted_estimator_is_called_so(job):
    numbers = replace(job, features=[sl.number("km")], fit=lambda _: LinearRegression())
    with pytest.raises(TrainingFailed, match="a LinearRegression that is not fitted"):
        tried(numbers)


def test_a_model_of_other_features_is_refused(job):
    narrow = replace(job, fit=lambda frame: fit(frame.drop("km")))
    with pytest.raises(TrainingFailed, match="cannot score: the model has never seen the feature 'km'"):
        tried(narrow)


def test_no_row_left_is_told_with_what_became_of_them(job, tmp_path):
    month(tmp_path / "data", skipped=pl.lit(value=True))
    with pytest.raises(TrainingFailed, match="no row is left to learn from: 1,500 in, 1,500 filtered"):
        tried(job)


def test_all_months_without_input_are_named_before_anything_is_read(job):
    with pytest.raises(InputMissing, match="2 of 3 partitions have no input: 2024-02, 2024-03") as told:
        tried(replace(job, fit=boom), "2024-01..2024-03")
    assert told.value.exit_code == 75


def test_nothing_is_validated_on_what_was_learned(job):
    with pytest.raises(UsageError, match="2024-01 is to be learned from and tried on"):
        tried(job, validate="2024-01")


def test_a_time_is_no_target(job, tmp_path):
    month(tmp_path / "data", minutes=pl.duration(minutes=pl.col("km")))
    with pytest.raises(InputInvalid, match="the target 'minutes' is Duration"):
        tried(job)


def test_labels_can_be_learned(job, tmp_path):
    from sklearn.linear_model import LogisticRegression

    month(tmp_path / "data", minutes=pl.when(pl.col("km") > 50).then(pl.lit("far")).otherwise(pl.lit("near")))

    def classify(frame):
        rows = frame.drop("minutes").to_dicts()
        return make_pipeline(DictVectorizer(), LogisticRegression(max_iter=5_000)).fit(rows, frame["minutes"].to_list())

    metrics = tried(replace(job, fit=classify)).metrics
    assert metrics["accuracy"] > 0.99
    assert "rmse" not in metrics


def test_fit_cannot_change_what_is_recorded(job):
    def careless(frame):
        made = fit(frame)
        frame.drop_in_place("minutes")
        return made

    assert tried(replace(job, fit=careless)).metrics["rmse"] < NEAR
