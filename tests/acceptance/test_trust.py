"""Which pickles are loaded: none that nobody has trusted; and the command that a refusal names is one that helps."""

import json
import pickle
import re
import shutil

import pytest
from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted


class Tattler:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def stranger(job):
    """A good model outside of the trusted folder."""
    return shutil.copy(job.model("a"), job.root / "stranger model.bin")


def run_with(job, model):
    return ["run", job.job, MONTH, "--model", model]


def test_an_untrusted_model_is_refused_with_the_command_that_trusts_it(cli, job, stranger):
    told = cli.refuses(*run_with(job, stranger))
    assert "is a pickle, and loading it runs its code; nobody has trusted it" in told
    command = re.search(r"Hint: .*?(scoreline models trust .*)", told)[1]
    done = pasted(command, job.root.parent)
    assert done.returncode == 0, done.stderr
    cli(*run_with(job, stranger))
    assert job.output.exists()


def test_the_command_is_as_good_where_check_or_preview_refuse(cli, job, stranger):
    found = {row["name"]: row for row in cli.json("check", job.job, "--model", stranger, code=1)}
    assert "scoreline models trust" in found["model"]["hint"]
    assert "scoreline models trust" in cli.refuses(*run_with(job, stranger), "--preview")


def test_an_untrusted_model_is_never_unpickled(cli, job, tmp_path):
    model, trace = job.root / "tattler.bin", tmp_path / "it ran"
    model.write_bytes(pickle.dumps(Tattler(trace)))
    cli.refuses(*run_with(job, model))
    cli.refuses(*run_with(job, model), "--preview")
    cli("check", job.job, "--model", model, code=1)
    cli("models", "inspect", model, "--job", job.job)
    assert not trace.exists()


def test_trust_is_for_the_content_not_for_the_name(cli, job, stranger):
    cli("models", "trust", stranger, "--job", job.job)
    shutil.copy(job.model("b"), stranger)
    assert "nobody has trusted it" in cli.refuses(*run_with(job, stranger))
    shutil.copy(job.model("a"), job.root / "moved.bin")
    cli(*run_with(job, job.root / "moved.bin"))


def test_who_trusted_what_and_when_is_on_record(cli, job, stranger):
    entry = cli.json("models", "trust", stranger, "--job", job.job)
    assert set(entry) == {"digest", "path", "by", "host", "at"}
    assert entry["path"] == str(stranger)
    assert [json.loads(line) for line in (job.home / "trusted.jsonl").read_text().splitlines()] == [entry]


def test_the_home_may_be_named_by_the_environment_instead_of_the_job(cli, job, stranger):
    environment = {"SCORELINE_HOME": str(job.home)}
    assert "trusted " in cli("models", "trust", stranger, environment=environment).stdout
    cli(*run_with(job, stranger))


@pytest.mark.parametrize("what", ["models", "models/a.bin"])
def test_a_trusted_folder_that_others_can_write_to_is_none(cli, job, what):
    (job.root / what).chmod(0o777)
    told = cli.refuses(*job.run())
    assert f"others can write to {job.root / what}" in told
    (job.root / what).chmod(0o755)
    cli(*job.run())


def test_a_link_in_the_trusted_folder_is_trusted_for_where_it_leads(cli, job, stranger):
    link = job.root / "models/link.bin"
    link.symlink_to(stranger)
    assert "nobody has trusted it" in cli.refuses(*run_with(job, link))


def test_a_record_of_trust_that_others_can_write_to_is_none(cli, job, stranger):
    cli("models", "trust", stranger, "--job", job.job)
    job.home.chmod(0o777)
    assert f"others can write to {job.home}" in cli.refuses(*run_with(job, stranger))
    told = cli.refuses("models", "trust", stranger, "--job", job.job)
    command = re.search(r"Hint: (chmod .*)", told)[1]
    assert pasted(command, job.root).returncode == 0
    cli(*run_with(job, stranger))


def test_inspect_of_an_untrusted_model_reads_names_only(cli, job, stranger):
    facts = cli.json("models", "inspect", stranger, "--job", job.job)
    assert set(facts) == {"path", "bytes", "digest", "trusted", "imports", "compiled"}
    assert (facts["compiled"]["form"], facts["compiled"]["kept"]) == (None, [])
    assert facts["trusted"] == "no"
    assert any(name.endswith("DictVectorizer") for name in facts["imports"])


def test_inspect_of_a_trusted_model_says_what_it_is(cli, job):
    facts = cli.json("models", "inspect", job.model("a"), "--job", job.job)
    assert facts["trusted"].endswith("which the job trusts")
    assert facts["kind"] == "DictVectorizer + LinearRegression"
    assert sorted(facts["inputs"]) == ["PU_DO", "trip_distance"]
    shown = cli("models", "inspect", job.model("a"), "--job", job.job).stdout
    assert "kind       DictVectorizer + LinearRegression\n" in shown


@pytest.mark.parametrize("model", [(), None, {"a": 1}, [1, 2], "text"], ids=repr)
def test_inspect_of_a_trusted_pickle_that_is_no_model(cli, job, model):
    job.model("odd").write_bytes(pickle.dumps(model))
    assert cli.json("models", "inspect", job.model("odd"), "--job", job.job)["trusted"] != "no"


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04", b"\x80\x05\x95\xff\xff"], ids=repr)
@pytest.mark.parametrize("folder", ["models", "."], ids=["trusted", "untrusted"])
def test_inspect_of_a_file_that_is_no_pickle(cli, job, content, folder):
    model = job.root / folder / "odd.bin"
    model.write_bytes(content)
    if folder == "models":
        assert "cannot be unpickled" in cli.refuses("models", "inspect", model, "--job", job.job)
    else:
        facts = cli.json("models", "inspect", model, "--job", job.job)
        assert facts["imports"][-1].startswith("...")


def test_models_need_to_know_whose_record(cli, job):
    assert "--job JOB" in cli("models", "trust", job.model("a"), code=2).stderr
