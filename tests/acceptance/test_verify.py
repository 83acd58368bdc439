"""`scoreline verify` and `scoreline models list`, as a user calls them."""

import re
import shutil

from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted
from tests.flips import flip_unnoticed


def test_verify_of_whole_files(cli, published):
    header, output, model = cli("verify", published.job).stdout.splitlines()
    assert header.split() == ["partition", "kind", "state", "found", "file"]
    assert output.split()[:3] == [MONTH, "output", "ok"]
    assert output.endswith(str(published.output))
    assert model.split()[:3] == ["-", "model", "ok"]


def test_verify_before_any_run(cli, job):
    assert cli("verify", job.job).stdout == "nothing is published yet\n"
    assert not job.home.exists()


def test_verify_of_a_partition_that_was_never_published(cli, published):
    told = cli.refuses("verify", published.job, "2021-03")
    assert f"Hint: scoreline run {published.job} 2021-03" in told


def test_verify_finds_a_flipped_byte_that_readers_do_not_notice_and_the_command_mends_it(cli, published):
    before = published.digest()
    shutil.copy(published.model("a"), published.model("lin_reg"))  # where the job file looks for it
    flip_unnoticed(published.output)
    assert published.digest() != before
    process = cli("verify", published.job, code=1)
    assert re.search(rf"^{MONTH} +output +flipped ", process.stdout, re.MULTILINE)
    assert "error: 1 of 2 files are not as Scoreline wrote them" in process.stderr
    command = re.search(r"Next: (scoreline run .*)", process.stdout)[1]
    assert f"Hint: {command}" in process.stderr
    done = pasted(command, published.root.parent)
    assert done.returncode == 0, done.stderr
    assert cli("verify", published.job, MONTH).code == 0
    assert published.digest() == before


def test_verify_finds_another_months_file(cli, published):
    shutil.copy2(published.input, published.input.with_name("green_tripdata_2021-03.parquet"))
    cli("run", published.job, "2021-03", "--model", published.model("a"))
    shutil.copy(published.output.with_name("3-2021.parquet"), published.output)
    forms = cli.json("verify", published.job, code=1)
    assert [(form["partition"], form["state"]) for form in forms if form["kind"] == "output"] == [
        (MONTH, "foreign"),
        ("2021-03", "ok"),
    ]


def test_verify_as_json_with_content_digests(cli, published):
    output, model = cli.json("verify", published.job, "--content")
    assert set(output) == {"partition", "kind", "path", "state", "detail", "next", "run_id", "content", "damaged"}
    assert (output["content"], model["content"]) == (published.digest(), None)


def test_verify_as_json_of_a_missing_file_exits_1_with_the_table_alone(cli, published):
    published.output.unlink()
    output, _ = cli.json("verify", published.job, code=1)
    assert (output["state"], output["damaged"]) == ("missing", True)
    assert output["next"] == f"scoreline run {published.job} {MONTH} --force --model {published.model('a')}"


def test_models_list_of_a_job(cli, published):
    cli(*published.run("b"))
    header, newer, older = cli("models", "list", "--job", published.job).stdout.splitlines()
    assert header.split()[:4] == ["version", "digest", "kind", "partitions"]
    assert newer.endswith(str(published.model("b")))
    assert older.endswith(str(published.model("a")))
    assert "which the job trusts" in newer


def test_models_list_of_a_home(cli, published):
    (model,) = cli.json("models", "list", environment={"SCORELINE_HOME": str(published.home)})
    assert model["partitions"] == [f"nyc_green[taxi_type=green] {MONTH}"]
    assert model["trusted"].startswith("not by digest")
    assert model["kept_bytes"] == published.model("a").stat().st_size


def test_models_list_says_who_trusted_a_digest(cli, published):
    cli("models", "trust", published.model("a"), "--job", published.job)
    (model,) = cli.json("models", "list", environment={"SCORELINE_HOME": str(published.home)})
    assert model["trusted"].startswith("digest trusted by ")


def test_models_list_before_any_run(cli, job):
    assert cli("models", "list", "--job", job.job).stdout == f"no models used yet in {job.home}\n"
    assert not job.home.exists()
