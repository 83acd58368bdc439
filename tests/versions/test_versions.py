"""Models made by scikit-learn 1.0 to current: scored as their own version scores them, or refused; never wrong."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from tests.versions import table
from tests.versions.environments import CURRENT, VERSIONS
from tests.versions.golden import model_folder
from tests.versions.make_models import KINDS, LINEAR
from tests.versions.rows import rows
from tests.versions.scoring import EQUAL, require_equal, scored

from scoreline.errors import ModelOutdated
from scoreline.models.pair import read_pair

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # scikit-learn 1.0 is compiled, the first time
OLD = [version for version in VERSIONS if version != CURRENT]
PLAIN = [kind for kind in LINEAR if kind.startswith(("pair-", "dict-"))] + ["dict-logistic"]
"""Kinds whose parts can be checked one by one."""

every_version = pytest.mark.parametrize("version", VERSIONS)
every_old_version = pytest.mark.parametrize("version", OLD)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@every_version
def test_a_model_scores_as_its_version_did_or_is_refused(outcomes, version, kind):
    assert outcomes(version, kind) in {EQUAL, "ModelOutdated", "ModelInvalid"}


@every_kind
@every_version
def test_accepting_the_version_scores_as_it_did_or_is_refused(outcomes, version, kind):
    assert outcomes(version, kind, accept_version=True) in table.WORDS


@every_kind
@every_version
def test_joblibs_file_comes_to_the_same_as_the_pickle(outcomes, version, kind):
    joblib = outcomes(version, kind, accept_version=True, suffix="joblib")
    assert joblib == outcomes(version, kind, accept_version=True)


@pytest.mark.parametrize("kind", PLAIN)
@every_version
def test_a_dict_vectorizer_with_a_linear_model_is_scored_whatever_made_it(outcomes, version, kind):
    assert outcomes(version, kind) == EQUAL


@pytest.mark.parametrize("suffix", ["pkl", "joblib"])
@pytest.mark.parametrize("kind", PLAIN)
@every_version
def test_such_a_pair_is_read_by_structure_and_predicts_what_was_recorded(models, made_with, version, kind, suffix):
    file = models(version) / f"{kind}.{suffix}"
    pair = read_pair(file.read_bytes(), str(file))
    if pair is None:  # joblib keeps labels that are objects as a pickle of their own, which is not followed
        assert (kind, suffix) == ("dict-logistic", "joblib")
        return
    assert pair.version == made_with(version)["scikit-learn"]
    vectorizer, estimator = pair.filled()
    records = pl.DataFrame(rows()).select(KINDS[kind][1]).to_dicts()
    said = pl.Series(estimator.predict(vectorizer.transform(records)).tolist())
    require_equal(said, json.loads(file.with_suffix(".json").read_text()))


@every_kind
def test_a_model_of_the_running_version_is_scored(outcomes, kind):
    assert outcomes(CURRENT, kind) == EQUAL


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(PLAIN)))
@every_old_version
def test_nothing_else_of_another_version_is_scored_unasked(outcomes, version, kind):
    assert outcomes(version, kind) != EQUAL


@pytest.mark.parametrize("kind", ["one-hot-ridge", "k-neighbors-brute", "support-vector-classifier"])
@pytest.mark.parametrize("version", ["1.4", "1.7", "1.8"])
def test_golden_rows_that_agree_vouch_for_a_model(models, made_with, parquet, tmp_path, version, kind):
    folder, then = model_folder(tmp_path, models(version), kind, made_with(version))
    require_equal(scored(tmp_path, parquet, kind, folder), then)


@every_old_version
def test_golden_rows_vouch_for_a_transformed_target_of_every_version(models, made_with, parquet, tmp_path, version):
    folder, then = model_folder(tmp_path, models(version), "transformed-target", made_with(version))
    require_equal(scored(tmp_path, parquet, "transformed-target", folder), then)


@pytest.mark.parametrize("accept_version", [False, True])
@every_old_version
def test_one_golden_row_that_differs_refuses_a_model(models, made_with, parquet, tmp_path, version, accept_version):
    kind = "transformed-target"
    folder, _ = model_folder(tmp_path, models(version), kind, made_with(version), change=_a_millionth)
    with pytest.raises(ModelOutdated, match="1 of 400 golden rows differ"):
        scored(tmp_path, parquet, kind, folder, accept_version=accept_version)


@pytest.mark.parametrize("accept_version", [False, True])
@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("1.3", "random-forest-classifier"),
        ("1.3", "ada-boost-classifier"),
        ("1.5", "ada-boost-classifier"),
        ("1.4", "partial-least-squares"),
    ],
)
def test_golden_rows_show_what_a_new_version_reads_otherwise(
    models, made_with, parquet, tmp_path, version, kind, accept_version
):
    folder, _ = model_folder(tmp_path, models(version), kind, made_with(version))
    with pytest.raises(ModelOutdated, match="of 400 golden rows differ"):
        scored(tmp_path, parquet, kind, folder, accept_version=accept_version)


def test_the_reference_page_shows_what_is_measured(outcomes, made_with, show):
    cells = {
        (kind, version): table.cell(outcomes(version, kind), outcomes(version, kind, accept_version=True))
        for kind in KINDS
        for version in VERSIONS
    }
    measured = table.markdown(cells, {version: made_with(version) for version in VERSIONS}, f"{datetime.now(UTC):%F}")
    show(measured)
    assert table.same_as_documented(measured), "make test-versions ARGS=--write-table puts the new table there"


def _a_millionth(predicted):
    return predicted + pl.Series([1e-6 * abs(predicted[0])] + [0.0] * (len(predicted) - 1))
