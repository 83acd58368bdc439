"""From somebody's own model and data to published predictions, in two commands."""

import pickle
import re
import shutil

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from tests.acceptance.shell import pasted
from tests.acceptance.test_trust import Tattler

ROWS = 600


@pytest.fixture
def orders():
    rng = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "order": [f"o{number}" for number in range(ROWS)],
            "from": rng.integers(1, 9, ROWS),
            "to": rng.integers(1, 9, ROWS),
            "km": rng.lognormal(1, 0.5, ROWS).round(2),
            "fragile": rng.random(ROWS) < 0.3,
        }
    )


@pytest.fixture
def folder(tmp_path, orders):
    """What a user has: a file of data and two pickles."""
    orders.write_parquet(tmp_path / "orders_2024-06.parquet")
    minutes = 4 + 3 * orders["km"].to_numpy()
    vectorizer = DictVectorizer()
    records = [
        {"route": f"{row['from']}_{row['to']}", "km": row["km"]} for row in orders.select("from", "to", "km").to_dicts()
    ]
    pair = vectorizer, LinearRegression().fit(vectorizer.fit_transform(records), minutes)
    (tmp_path / "pair.bin").write_bytes(pickle.dumps(pair))
    forest = RandomForestClassifier(5, max_depth=4, random_state=0)
    forest.fit(orders.select("km", "from").to_numpy(), np.where(minutes > 15, "slow", "fast"))
    (tmp_path / "forest.pkl").write_bytes(pickle.dumps(forest))
    (tmp_path / "expected.npy").write_bytes(b"")
    np.save(tmp_path / "expected.npy", pair[1].predict(vectorizer.transform(records)))
    return tmp_path


ROUTE = ("--feature", "route=from,to")


def made(cli, folder, *more, data="orders_2024-06.parquet", model="pair.bin", code=0):
    more = (*more, *ROUTE) if model == "pair.bin" and code == 0 else more
    return cli("init", "trips", "--data", folder / data, "--model", folder / model, *more, code=code)


def test_the_job_scores_what_the_model_itself_predicts(cli, folder):
    made(cli, folder, "--trust", "--id", "order")
    cli("run", "trips", "2024-06")
    published = pl.read_parquet(folder / "trips/predictions/2024-06.parquet")
    np.testing.assert_allclose(published["prediction"], np.load(folder / "expected.npy"), rtol=1e-12)
    assert published["row_id"].to_list() == [f"o{number}" for number in range(ROWS)]


def test_it_shows_the_contract_the_check_and_the_next_commands_which_work(cli, folder):
    told = made(cli, folder, "--trust").stdout
    assert re.search(r"^from +Int64 +no +1 to 8 +feature route$", told, re.MULTILINE)
    assert re.search(r"^ok +rows +first rows of 2024-06", told, re.MULTILINE)
    commands = re.findall(r"^  (scoreline .*)$", told, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = pasted(command, folder)
        assert done.returncode == 0, done.stderr
    assert (folder / "trips/predictions/2024-06.parquet").exists()


def test_what_the_data_does_not_decide_is_asked_and_the_answer_can_be_pasted(cli, folder):
    told = made(cli, folder, "--trust", code=1).stdout
    assert "The model's route may come from several columns" in told
    answers = re.findall(r"^  (--feature .*)$", told, re.MULTILINE)
    assert answers == ["--feature route=from,to", "--feature route=to,from"]
    made(cli, folder, "--force", *answers[0].split(), code=0)


def test_labels_of_a_classifier_without_names_of_inputs(cli, folder):
    told = cli.refuses(
        "init",
        "trips",
        "--data",
        folder / "orders_2024-06.parquet",
        "--model",
        folder / "forest.pkl",
        "--trust",
        code=2,
    )
    assert "--features" in told
    made(cli, folder, "--features", "km,from", model="forest.pkl")
    cli("run", "trips", "2024-06")
    assert set(pl.read_parquet(folder / "trips/predictions/2024-06.parquet")["prediction"]) <= {"slow", "fast"}


def test_an_untrusted_pickle_is_not_loaded_and_nothing_is_written(cli, folder):
    trace = folder / "it ran"
    (folder / "bad.pkl").write_bytes(pickle.dumps(Tattler(trace)))
    told = cli.refuses("init", "trips", "--data", folder / "orders_2024-06.parquet", "--model", folder / "bad.pkl")
    assert "--trust" in told
    assert not trace.exists()
    assert not (folder / "trips/job.py").exists()


def test_data_that_is_not_there_is_a_mistake_of_the_command(cli, folder):
    told = cli.refuses("init", "trips", "--data", folder / "nowhere.csv", "--model", folder / "pair.bin", code=2)
    assert f"there is no data file at {folder / 'nowhere.csv'}" in told
    assert not (folder / "trips").exists()


def test_a_job_file_that_is_there_stays_unless_forced(cli, folder):
    made(cli, folder, "--trust")
    mine = (folder / "trips/job.py").read_text() + "\n# mine\n"
    (folder / "trips/job.py").write_text(mine)
    assert "--force" in made(cli, folder, code=2).stderr
    assert (folder / "trips/job.py").read_text() == mine
    made(cli, folder, "--force")
    assert "# mine" not in (folder / "trips/job.py").read_text()


def test_an_input_that_no_column_gives_is_named_and_the_file_is_there_to_go_on_with(cli, folder, orders):
    orders.drop("to").write_parquet(folder / "short_2024-06.parquet")
    told = made(cli, folder, "--trust", data="short_2024-06.parquet", code=1).stdout
    assert "No column gives the model's route" in told
    assert "sl.number" in (folder / "trips/job.py").read_text()
    found = cli.json(
        "init", "other", "--data", folder / "short_2024-06.parquet", "--model", folder / "pair.bin", "--trust", code=1
    )
    assert (found["missing"], found["ready"]) == ([{"name": "route", "options": []}], False)


def test_files_that_come_later_are_partitions_too(cli, folder, orders):
    made(cli, folder, "--trust")
    shutil.copy(folder / "orders_2024-06.parquet", folder / "orders_2024-07.parquet")
    rows = cli.json("backfill", "trips", "2024-06..2024-07")["partitions"]
    assert [row["outcome"] for row in rows] == ["published", "published"]


def test_a_feature_none_of_whose_values_the_model_has_learned_is_refused_before_anything_is_scored(cli, folder, orders):
    vectorizer = DictVectorizer()
    records = [{"from": f"00{one}", "km": km} for one, km in orders.select("from", "km").iter_rows()]
    pair = vectorizer, LinearRegression().fit(vectorizer.fit_transform(records), orders["km"].to_numpy())
    (folder / "padded.pkl").write_bytes(pickle.dumps(pair))
    told = made(cli, folder, "--trust", model="padded.pkl", code=1).stdout
    assert "'from' of the first 600 rows of 2024-06: not one value is among the categories" in told


def test_padded_codes_of_a_csv_file_reach_the_model_as_they_are_written(cli, folder, orders):
    padded = orders.with_columns(pl.format("00{}", "from").alias("from"))
    padded.write_csv(folder / "orders_2024-06.csv")
    records = padded.select("from", "km").to_dicts()
    vectorizer = DictVectorizer()
    pair = vectorizer, LinearRegression().fit(vectorizer.fit_transform(records), orders["to"].to_numpy())
    (folder / "padded.pkl").write_bytes(pickle.dumps(pair))
    made(cli, folder, "--trust", data="orders_2024-06.csv", model="padded.pkl")
    cli("run", "trips", "2024-06")
    scored = pl.read_csv(folder / "trips" / "predictions" / "2024-06.csv")
    assert np.allclose(scored["prediction"], pair[1].predict(vectorizer.transform(records)), rtol=0, atol=1e-12)


def test_numbers_as_germans_write_them_are_scored_as_the_model_has_learned_them(cli, folder, orders):
    forest = RandomForestClassifier(5, max_depth=4, random_state=0)
    known = orders.select("km", "from").to_pandas()
    forest.fit(known, np.where(known["km"] > 3, "weit", "nah"))
    (folder / "weit.pkl").write_bytes(pickle.dumps(forest))
    lines = [f"{str(km).replace('.', ',')};{one}" for km, one in orders.select("km", "from").iter_rows()]
    (folder / "fahrten.csv").write_text("\n".join(["km;from", *lines, "3 km;1", "4,5", "NA;2", ""]))
    made(cli, folder, "--trust", data="fahrten.csv", model="weit.pkl")
    counts = cli.json("run", "trips", "fahrten")["counts"]
    assert counts["reasons"] == {"rule:km is a number": 2, "record:too few fields": 1}
    scored = pl.read_csv(folder / "trips" / "predictions" / "fahrten.csv")
    assert scored["prediction"].to_list() == forest.predict(known).tolist()
