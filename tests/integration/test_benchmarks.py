"""What is raced gives Scoreline's answers, and the tables say who reached what."""

import sys

import polars as pl
import pytest
from benchmarks import answers, boosters, commands, data, pyfuncs, report, scaling
from benchmarks.__main__ import merged
from benchmarks.bench import Bench, polars_copy
from benchmarks.measure import measure
from benchmarks.race import Contender, Result, race, told

ROWS = 1_000


def done(contender):
    measured = measure(contender.command(), cwd=commands.ROOT, env=contender.env)
    assert measured.exit_code == 0, measured.stderr_tail
    return contender.rows()


@pytest.mark.slow
def test_contenders_of_the_main_job_give_its_answers(tmp_path):
    bench = Bench(tmp_path, 1, training_rows=ROWS)
    work, month = tmp_path / "work", data.large_month(tmp_path, ROWS)
    done(bench.scoreline(work, month, ROWS))
    published = commands.published(work / "output")

    done(polars_copy()(work))
    assert pl.read_parquet(work / "copy.parquet").equals(pl.read_parquet(published))

    for ids, columns in (("row", 8), ("uuid", 8), ("none", 7)):
        done(bench.plain_pandas(month, ROWS, ids)(work))
        output = work / f"pandas-{ids}.parquet"
        assert answers.require_same(output, published) == commands.published_rows(work / "output")
        assert pl.read_parquet(output).width == columns

    other = pl.read_parquet(output).with_columns(pl.col("predicted_duration") + 1e-6)
    other.write_parquet(output)
    with pytest.raises(commands.UnfitError, match="predictions differ"):
        answers.require_same(output, published)
    other.head(10).write_parquet(output)
    with pytest.raises(commands.UnfitError, match="10 rows"):
        answers.require_same(output, published)


def test_a_month_in_files_has_its_rows_in_order(tmp_path):
    files = sorted(data.month_in_files(tmp_path, ROWS, 8).iterdir())
    assert len(files) == 8
    assert pl.read_parquet(files).equals(pl.read_parquet(data.large_month(tmp_path, ROWS)))


@pytest.mark.slow
def test_xgboost_alone_gives_the_answers_of_the_job(tmp_path):
    ours, bare, _ = boosters.contenders(tmp_path, tmp_path / "work", ROWS)
    done(ours)
    assert done(bare) == ROWS

    path = tmp_path / "work" / "bare.parquet"
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(commands.UnfitError, match="not those of inplace_predict"):
        bare.rows()


@pytest.mark.slow
def test_one_call_of_a_pyfunc_gives_the_answers_of_the_job(tmp_path):
    ours, once = pyfuncs.contenders(Bench(tmp_path, 1, training_rows=ROWS), tmp_path / "work", ROWS)
    done(ours)
    assert done(once) == ROWS


def test_a_program_that_tells_its_seconds_is_taken_at_its_word():
    words = [sys.executable, "-c", "print('ready'); print('{\"seconds\": [3.0, 1.0, 2.0]}')"]
    (result,) = race("a case", [Contender("told", lambda: words, lambda: 6, seconds=told)], 1, commands.ROOT)
    assert (result.error, result.seconds, result.rows_per_second) == (None, [2.0], 3.0)


def test_tables_say_whether_targets_are_reached():
    ours = Result("a case", "scoreline run", 100, [1.0], 650.0, "own MB", 700)
    slow = Result("a case", "slow", 10, [2.0], 80.0, "rows/s", 25)
    near = Result("a case", "copy", 100, [0.8], 80.0, "seconds", 1.2)
    later = Result("a case", "nothing", 0, [0.25], None, "ms", 500)
    lines = report.tables([ours, slow, near, later]).splitlines()[4:]
    ends = [[cell.strip() for cell in line.split("|")[-3:-1]] for line in lines]
    assert ends == [
        ["650 MB", "at most 700: reached"],
        ["20.0 times its rows/s", "at least 25: missed"],
        ["1.25 times its seconds", "at most 1.2: missed"],
        ["+750 ms", "at most 500: missed"],
    ]


def test_a_case_that_is_measured_again_takes_its_own_place():
    earlier = [Result("a", "x", 1), Result("a", "y", 1), Result("b", "x", 1)]
    now = [Result("a", "z", 2), Result("c", "x", 2)]
    assert [(one.case, one.name) for one in merged(earlier, now)] == [("a", "z"), ("b", "x"), ("c", "x")]


def test_the_line_is_told_and_drawn_alike_each_time(tmp_path):
    results = [
        Result("", "", n, [0.5 + n / 1e6], peak) for n, peak in ((10_000, 200.0), (10**7, 500.0), (10**8, 520.0))
    ]
    assert scaling.line(results) == pytest.approx((0.5, 1e-6))
    assert "500 to 520 MB, within 4%" in scaling.told_in_words(results)
    for name in ("a.svg", "b.svg"):
        scaling.plot(results, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
