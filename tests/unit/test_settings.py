import pickle
from pathlib import Path

import pytest

from scoreline.errors import UsageError
from scoreline.settings import BY_NAME, PREFIX, TABLE, Settings, masked, read_settings

JOB = Path("/job")


@pytest.fixture
def said(tmp_path):
    """Reads settings from a ``.env`` with this text and an environment."""

    def reading(text="", environment=None):
        file = tmp_path / ".env"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(environment or {}, file, tmp_path)

    return reading


# --- where a value comes from ---------------------------------------------------------------------------------------


def test_a_setting_that_nobody_sets_has_its_default(said):
    told = said().told("NUM_TRIPS_PER_BATCH")
    assert (told.value, told.origin, told.given) == (5000, "default", False)


def test_an_env_file_names_settings_plainly(said, tmp_path):
    told = said("MAX_WORKERS=3\n").told("MAX_WORKERS")
    assert (told.value, told.origin, told.given) == (3, f"{tmp_path}/.env, line 1", True)


def test_an_env_file_names_settings_with_the_prefix_too(said):
    assert said("SCORELINE_MAX_WORKERS=3\n")["MAX_WORKERS"] == 3


def test_in_an_env_file_the_prefix_wins_wherever_it_stands(said):
    assert said("SCORELINE_MAX_WORKERS=3\nMAX_WORKERS=4\n")["MAX_WORKERS"] == 3
    assert said("MAX_WORKERS=4\nSCORELINE_MAX_WORKERS=3\n")["MAX_WORKERS"] == 3


def test_a_plain_value_that_the_prefix_overrides_may_be_anything(said):
    assert said("LOG_LEVEL=verbose\nSCORELINE_LOG_LEVEL=debug\n")["LOG_LEVEL"] == "DEBUG"


def test_the_environment_wins_over_the_env_file(said):
    told = said("SCORELINE_MAX_WORKERS=3\n", {"SCORELINE_MAX_WORKERS": "2"}).told("MAX_WORKERS")
    assert (told.value, told.origin) == (2, "environment variable SCORELINE_MAX_WORKERS")


def test_a_plain_name_in_the_environment_does_not_count_and_a_note_says_so(said):
    settings = said("", {"MAX_WORKERS": "2"})
    assert not settings.given("MAX_WORKERS")
    assert "write SCORELINE_MAX_WORKERS" in settings.notes[0]


def test_the_address_of_prefect_counts_by_its_own_name_as_prefect_reads_it(said):
    settings = said("", {"PREFECT_API_URL": "http://127.0.0.1:4200/api"})
    assert settings["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert settings.notes == ()


@pytest.mark.parametrize(
    "text", ["MAX_WORKERS=\n", "MAX_WORKERS\n", "MAX_WORKERS=''\n", "# MAX_WORKERS=3\n", "MAX_WORKERS= # 3\n"]
)
def test_an_empty_value_sets_nothing(said, text):
    assert not said(text).given("MAX_WORKERS")


def test_an_empty_variable_leaves_the_env_file_its_say(said):
    assert said("MAX_WORKERS=3\n", {"SCORELINE_MAX_WORKERS": ""})["MAX_WORKERS"] == 3


def test_no_env_file_is_no_error(tmp_path):
    settings = read_settings({}, tmp_path / ".env", tmp_path)
    assert settings["LOG_LEVEL"] == "INFO"
    assert settings.notes == ()


@pytest.mark.parametrize("name", ["HOME", "LEASE_SECONDS", "LOG_MAX_MB"])
def test_names_that_are_too_common_need_the_prefix_everywhere(said, name):
    assert not said(f"{name}=7\n").given(name)
    assert said(f"SCORELINE_{name}=7\n").given(name)


def test_a_setting_that_does_not_exist_is_no_key():
    with pytest.raises(KeyError):
        Settings()["MAX_WORKER"]


# --- how an env file is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PREFECT_WORK_POOL=pool # the pool", "pool"),
        ("PREFECT_WORK_POOL='a b' # the pool", "a b"),
        ('PREFECT_WORK_POOL="a # b"', "a # b"),
        ("export PREFECT_WORK_POOL=pool", "pool"),
        ("  PREFECT_WORK_POOL = pool  ", "pool"),
        ("PREFECT_WORK_POOL=${HOME}", "${HOME}"),
        ("\ufeffPREFECT_WORK_POOL=pool", "pool"),
        ("PREFECT_WORK_POOL=first\nPREFECT_WORK_POOL=last", "last"),
        ("PREFECT_WORK_POOL=pool\r\n", "pool"),
    ],
)
def test_lines_are_read_as_everybody_writes_them(said, text, value):
    assert said(text)["PREFECT_WORK_POOL"] == value


def test_the_origin_is_the_line_that_the_name_stands_in(said):
    assert said("# a remark\n\n\nexport A=1\n\nMAX_WORKERS=3\n").told("MAX_WORKERS").origin.endswith("line 6")


def test_a_line_that_is_no_assignment_is_refused_without_its_password(said):
    with pytest.raises(UsageError) as caught:
        said("PREFECT_API_URL https://me:s3cret@prefect.example/api\n")
    assert "https://me:***@prefect.example/api" in caught.value.message


def test_a_line_that_is_no_assignment_is_refused_by_number(said):
    with pytest.raises(UsageError, match=r"\.env, line 3 is no NAME=value"):
        said("A=1\n\n{broken: yes}\n")


def test_an_env_file_that_is_no_text_is_refused(said):
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        said(b"MAX_WORKERS=\xff\xfe\n")


def test_names_of_other_programs_are_none_of_our_business(said):
    assert said("DATABASE_URL=x\nAWS_SECRET_ACCESS_KEY=y\n").notes == ()


def test_a_misspelt_name_is_noted_with_the_right_one(said):
    assert "did you mean SCORELINE_MAX_WORKERS?" in said("", {"SCORELINE_MAX_WORKER": "2"}).notes[0]
    assert "line 1" in said("SCORELINE_MAX_WORKER=2\n").notes[0]


# --- what a value may be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MAX_WORKERS", "1", 1),
        ("MEMORY_LIMIT_GB", "0.5", 0.5),
        ("CPU_LIMIT_PERCENT", "100", 100),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("ENABLE_METRICS", "Yes", True),
        ("ENABLE_METRICS", "off", False),
        ("METRICS_PORT", "65535", 65535),
        ("OUTPUT_RETENTION_DAYS", "0", 0),
        ("WAIT_SECONDS", "0", 0),
        ("BATCH_SCHEDULE_CRON", "*/15 0-6,18 * JAN-mar mon", "*/15 0-6,18 * JAN-mar mon"),
        ("PREFECT_API_URL", "https://u:p@prefect.example/api", "https://u:p@prefect.example/api"),
        ("MODEL_PATH", "models:/durations@champion", "models:/durations@champion"),
    ],
)
def test_values_have_the_type_of_their_setting(name, text, value):
    found = read_settings({PREFIX + name: text}, None, JOB)[name]
    assert (found, type(found) is bool) == (value, type(value) is bool)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_WORKERS", "0"),
        ("MAX_WORKERS", "-1"),
        ("MAX_WORKERS", "2.0"),
        ("MAX_WORKERS", "\u0662"),
        ("MAX_WORKERS", "9" * 5000),
        ("BATCH_SIZE", "many"),
        ("MEMORY_LIMIT_GB", "0"),
        ("MEMORY_LIMIT_GB", "nan"),
        ("MEMORY_LIMIT_GB", "inf"),
        ("CPU_LIMIT_PERCENT", "101"),
        ("CPU_LIMIT_PERCENT", "0"),
        ("LOG_LEVEL", "loud"),
        ("ENABLE_METRICS", "maybe"),
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "65536"),
        ("OUTPUT_RETENTION_DAYS", "-1"),
        ("LOG_FILE", "../batch.log"),
        ("LEASE_SECONDS", "0"),
        ("BATCH_SCHEDULE_CRON", "0 */2 * *"),
        ("BATCH_SCHEDULE_CRON", "60 * * * *"),
        ("BATCH_SCHEDULE_CRON", "0 */0 * * *"),
        ("BATCH_SCHEDULE_CRON", "0 5-1 * * *"),
        ("BATCH_SCHEDULE_CRON", "0 1-2-3 * * *"),
        ("CLEANUP_SCHEDULE_CRON", "every day at two"),
        ("PREFECT_API_URL", "prefect:4200"),
        ("PREFECT_API_URL", "ftp://prefect/api"),
    ],
)
def test_a_value_of_another_form_is_refused_with_name_origin_and_form(name, text):
    with pytest.raises(UsageError) as caught:
        read_settings({PREFIX + name: text}, None, JOB)
    assert name in caught.value.message
    assert f"environment variable SCORELINE_{name}" in caught.value.message
    assert f"is not {BY_NAME[name].kind.form}" in caught.value.message


@pytest.mark.parametrize("kind", ["TRIP_DISTANCE", "LOCATION_ID"])
def test_a_lowest_value_above_the_highest_is_refused_with_both_origins(said, kind):
    with pytest.raises(UsageError, match=rf"MIN_{kind}=9 .*line 1.* is above MAX_{kind}=8 .*environment variable"):
        said(f"MIN_{kind}=9\n", {f"SCORELINE_MAX_{kind}": "8"}).require_ordered()


def test_a_lowest_value_above_the_default_of_the_highest_is_refused(said):
    with pytest.raises(UsageError, match=r"is above MAX_TRIP_DISTANCE=50 \(default\)"):
        said("MIN_TRIP_DISTANCE=51\n").require_ordered()


def test_bounds_are_compared_when_the_job_has_had_its_say(said):
    both = {"MIN_TRIP_DISTANCE": 60, "MAX_TRIP_DISTANCE": 100}
    said("MIN_TRIP_DISTANCE=70\n").with_defaults(both, "the job", JOB).require_ordered()


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.name)
def test_each_default_is_of_its_own_form(one):
    if one.default:
        assert Settings()[one.name] == read_settings({PREFIX + one.name: one.default}, None, JOB, Path())[one.name]


# --- paths ----------------------------------------------------------------------------------------------------------


def test_paths_in_an_env_file_begin_in_the_folder_of_the_job(said, tmp_path):
    assert said("LOGS_DIR=logs/../deep\n")["LOGS_DIR"] == tmp_path / "deep"


def test_paths_in_the_environment_begin_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_settings({"SCORELINE_LOGS_DIR": "logs"}, None, JOB)["LOGS_DIR"] == tmp_path / "logs"


def test_absolute_paths_stay_as_they_are(said):
    assert said("DATA_INPUT_DIR=/lake/in\n")["DATA_INPUT_DIR"] == Path("/lake/in")


def test_default_paths_are_relative_to_the_job():
    assert Settings()["DATA_INPUT_DIR"] == Path("data/input")


# --- a job's own defaults -------------------------------------------------------------------------------------------


def test_a_job_s_own_default_is_taken_where_nobody_else_says_anything(said):
    settings = said("MAX_WORKERS=3\n").with_defaults({"MAX_WORKERS": 1, "MEMORY_LIMIT_GB": 4}, "the job", JOB)
    assert (settings["MAX_WORKERS"], settings["MEMORY_LIMIT_GB"]) == (3, 4.0)
    assert settings.told("MEMORY_LIMIT_GB").origin == "the job"


def test_a_job_s_own_path_begins_in_its_folder():
    assert Settings().with_defaults({"LOGS_DIR": "logs"}, "the job", JOB)["LOGS_DIR"] == JOB / "logs"


@pytest.mark.parametrize("name", ["MEMORY_LIMIT", "HOME"])
def test_a_job_may_not_set_what_is_no_setting_of_it(name):
    with pytest.raises(UsageError, match=f"the job: '{name}' is no setting"):
        Settings().with_defaults({name: 4}, "the job", JOB)


def test_a_job_s_own_default_must_be_of_the_form_too():
    with pytest.raises(UsageError, match=r"MAX_WORKERS='0' \(the job\)"):
        Settings().with_defaults({"MAX_WORKERS": 0}, "the job", JOB)


# --- people ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:4200/api", "http://user:***@host:4200/api"),
        ("https://host/api?token=abc&page=2#top", "https://host/api?token=***&page=***#top"),
        ("what?a=b", "what?a=b"),
        ("see postgresql://u:p%40ss@db/x and https://a:b@c", "see postgresql://u:***@db/x and https://a:***@c"),
        ("http://host:4200/api", "http://host:4200/api"),
        ("http://user@host", "http://user@host"),
    ],
)
def test_passwords_in_addresses_are_masked(text, shown):
    assert masked(text) == shown


def test_an_error_does_not_repeat_a_password():
    with pytest.raises(UsageError) as caught:
        read_settings({"SCORELINE_PREFECT_API_URL": "amqp://user:secret@host"}, None, JOB)
    assert "secret" not in str(caught.value)


def test_settings_are_plain_values():
    settings = read_settings({"SCORELINE_MAX_WORKERS": "2"}, None, JOB)
    assert pickle.loads(pickle.dumps(settings)) == settings
