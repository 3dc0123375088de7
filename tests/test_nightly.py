"""Nights on AWS: the deployed job, run as Glue runs it, with the rights of its role."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aws import BUCKET, LAKE, LAUNCHER, Account, add_account, deploy_lake, night_summary, programs, script
from harness import DEADLINE, ROOT, TOKEN, Simulator, environment, run, until
from lake import TABLES, assert_equals
from recipes import blocks

SMALL = {"medias": 6, "events": 300, "days": 40}
NUMBERS = itertools.count(1)
PERSONAL = {"dim_visitors", "fact_events"}
BY_DATABASE = [set(TABLES) - PERSONAL, PERSONAL]
"""The tables of an account in the catalog: in the database for everyone, and in that for personal data."""


@pytest.fixture(scope="module")
def account():
    account = Account()
    deploy_lake(account, programs())
    yield account
    account.stop()


@pytest.fixture
def lake(simulator, account):
    """A Wistia account of its own for a test."""
    number = next(NUMBERS)
    server = simulator(seed=number, **SMALL)
    add_account(account, f"a{number}", api_url=server.url, requests_per_minute=1_000_000)
    return Lake(account, f"a{number}", server)


class Lake:
    """A Wistia account in the lake."""

    def __init__(self, account, name, simulator):
        self.account, self.name, self.simulator = account, name, simulator

    def night(self, *words):
        return self.account.deploy("run", self.name, *words)

    def succeeds(self):
        return night_summary(self.night().succeeded().out)

    def fails(self, *words):
        """A night that fails, with these words in its log, and tells so."""
        done = self.night().refused("is FAILED")
        summary = night_summary(done.out)
        assert summary["outcome"] == "failed"
        for word in words:
            assert word in done.out, f"{word!r} is not in\n{done.out[-4000:]}"
        return summary

    def is_equal_to_the_account(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        assert_equals(self.simulator, self.account.download_tables(self.name, folder))

    def day(self):
        return self.account.state(self.name)["bookmarks"]["fact_events"]["day"]

    def catalog(self):
        """The tables of both databases."""
        glue = self.account.glue
        return [
            {table["Name"] for table in glue.get_tables(DatabaseName=f"wistia__{self.name}{end}")["TableList"]}
            for end in ("", "__personal")
        ]

    def secret(self, text):
        self.account.service("secretsmanager").put_secret_value(SecretId=f"{LAKE}/{self.name}", SecretString=text)


def test_the_first_night_the_second_a_failing_one_and_the_one_after_it(lake, tmp_path):
    first = lake.succeeds()
    assert first["first_night"] and first["exit_codes"] == {"tap": 0, "target": 0} and first["lag_days"] == 0
    assert first["records"]["fact_events"] == 300 == first["rows"]["fact_events"]
    lake.is_equal_to_the_account(tmp_path / "1")

    lake.simulator.grow(new_events=80, late_events=10, risen_events=20, new_medias=1, restated_days=2)
    second = lake.succeeds()
    days = "fact_engagements_byday"
    assert not second["first_night"] and second["records"][days] < first["records"][days] / 2
    lake.is_equal_to_the_account(tmp_path / "2")
    state = lake.account.state(lake.name)

    # The token was taken back.
    lake.simulator.grow(new_events=50)
    lake.secret("another-token")
    third = lake.fails("401", "token")
    assert third["exit_codes"]["tap"] != 0 and "token" in third["errors"]["tap"]
    assert lake.account.state(lake.name) == state

    lake.secret(json.dumps({"api_token": TOKEN}))
    lake.simulator.grow(new_events=50)
    fourth = lake.succeeds()
    assert fourth["lag_days"] == 0
    lake.is_equal_to_the_account(tmp_path / "4")

    told = [document for document in lake.account.told() if document["Account"] == lake.name]
    assert [document["Failed"] for document in told] == [0, 0, 1, 0]
    for document in told:
        is_embedded_metric_format(document)
    assert told[0]["Records"] == sum(first["records"].values()) and told[0]["Requests"] == first["requests"]
    assert told[0]["Bytes"] > 10_000 and told[0]["LagDays"] == 0


def is_embedded_metric_format(document):
    """What CloudWatch asks of a log event that holds metrics."""
    (definition,) = document["_aws"]["CloudWatchMetrics"]
    assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < DEADLINE
    assert definition["Namespace"] == LAKE and definition["Dimensions"] == [["Account"]]
    assert isinstance(document["Account"], str)
    units = {"Count", "Bytes", "Seconds", "None"}
    for metric in definition["Metrics"]:
        assert isinstance(document[metric["Name"]], (int, float)) and metric["Unit"] in units


def test_verification_tells_what_is_not_as_it_should_be(lake):
    """`make verify-aws`, in an account whose CloudWatch finds no metrics and whose alerts nobody hears."""
    account = lake.account
    environment = {**account.environment(), "VERIFY_PATIENCE": "0"}
    done = run(sys.executable, ROOT / "deploy" / "verify.py", lake.name, env=environment)
    assert done.code == 1, done.err
    outcome = {
        line[8:].split(":")[0]: line[:8].strip()
        for line in done.out.splitlines()
        if line.startswith(("ok  ", "FAILED ", "-   "))
    }
    assert list(outcome.values()) == ["ok", "ok", "ok", "FAILED", "ok", "FAILED", "-"], done.out
    assert lake.catalog() == BY_DATABASE

    dimensions = [{"Name": "Account", "Value": lake.name}]
    account.service("cloudwatch").put_metric_data(
        Namespace=LAKE, MetricData=[{"MetricName": "LagDays", "Dimensions": dimensions, "Value": 0}]
    )
    account.lake("AlertEmail=you@example.com").succeeded()
    done = run(sys.executable, ROOT / "deploy" / "verify.py", lake.name, env=environment)
    assert done.code == 0 and "FAILED" not in done.out, done.out


def test_verification_tells_that_the_topic_takes_nothing_of_eventbridge(lake):
    """Somebody gave the topic another policy: the rule's target fails, and nobody hears of failed nights."""
    account, sns = lake.account, lake.account.service("sns")
    (topic,) = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    good = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    policy = json.loads(good)
    for statement in policy["Statement"]:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    verify = [sys.executable, ROOT / "deploy" / "verify.py", lake.name]
    done = run(*verify, env={**account.environment(), "VERIFY_PATIENCE": "0"})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=good)
    (line,) = [line for line in done.out.splitlines() if "EventBridge brings" in line]
    assert line.startswith("FAILED") and "FailedInvocations" in line and "events.amazonaws.com" in line


def test_nights_register_their_tables_without_a_crawler_too(lake):
    lake.account.deploy("account", lake.name, "-p", "Catalog=glue").succeeded()
    assert not [name for name in lake.account.glue.list_crawlers()["CrawlerNames"] if f".{lake.name}" in name]
    summary = lake.succeeds()
    assert {entry["event"] for entry in summary["catalog"]} == {"registration"}
    assert lake.catalog() == BY_DATABASE


def break_secret(lake):
    lake.secret(json.dumps({"token": TOKEN}))
    return "it may hold api_token and personal_data_salt", lambda: lake.secret(TOKEN)


def break_state(lake):
    key = f"lake/{lake.name}/_lake/state.json"
    good = lake.account.read(key)
    lake.account.write(key, good[: len(good) // 2])
    return "state", lambda: lake.account.write(key, good)


def break_release(lake):
    """Someone gets around the bucket's policy."""
    key = "releases/r1/tap-wistia"
    good, s3 = lake.account.read(key), lake.account.service("s3")
    policy = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    lake.account.write(key, b"#!/bin/sh\nexit 0\n")

    def heal():
        lake.account.write(key, good)
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)

    return "was changed after it was deployed", heal


def break_wistia(lake):
    lake.simulator.fault(path="stats/events", kind="scope")
    return "fact_events", lake.simulator.heal


def break_target(lake):
    """A column that cannot be read back: the table's own file is no Parquet any more."""
    (key,) = lake.account.objects(f"lake/{lake.name}/dim_media/part")
    good = lake.account.read(key)
    lake.account.write(key, b"rubbish")
    return "dim_media", lambda: lake.account.write(key, good)


def break_crawler(lake):
    lake.account.steer("crawls", name=f"{LAKE}.{lake.name}", fail="The crawler stumbled")
    return "The crawler stumbled", lambda: lake.account.steer("crawls", name=f"{LAKE}.{lake.name}", fail=None)


@pytest.fixture(scope="module")
def old(account):
    """A Wistia account that has had its first night."""
    server = Simulator(seed=98, **SMALL)
    add_account(account, "old", api_url=server.url, requests_per_minute=1_000_000)
    lake = Lake(account, "old", server)
    lake.succeeds()
    yield lake
    server.stop()


@pytest.mark.parametrize("step", [break_secret, break_release, break_state, break_wistia, break_target, break_crawler])
def test_a_night_that_fails_at_any_step_leaves_what_the_next_one_goes_on_from(old, tmp_path, step):
    lake = old
    lake.simulator.grow(new_events=60, late_events=5, new_medias=1)
    said, heal = step(lake)
    lake.fails(said)
    heal()
    lake.succeeds()
    lake.is_equal_to_the_account(tmp_path / "lake")


def test_a_night_whose_metrics_are_lost_is_a_night(lake, tmp_path):
    lake.account.steer("faults", action="PutLogEvents", code="InvalidParameterException", message="No", times=1)
    assert "the metrics of this night are lost" in lake.night().succeeded().out
    lake.account.heal()
    lake.is_equal_to_the_account(tmp_path / "lake")


def test_a_check_tries_everything_and_changes_nothing(lake):
    before = lake.account.objects()
    summary = night_summary(lake.night("--check").succeeded().out)
    assert summary["event"] == "check" and summary["exit_codes"] == {"tap": 0, "target": 0}
    assert lake.account.objects() == before
    lake.secret("another-token")
    lake.night("--check").refused("is FAILED")


def test_two_accounts_have_lakes_of_their_own(lake, simulator, account, tmp_path):
    """Their nights run at once."""
    server = simulator(seed=99, **SMALL)
    add_account(account, "other", api_url=server.url, requests_per_minute=1_000_000)
    other = Lake(account, "other", server)
    with ThreadPoolExecutor() as pool:
        for summary in pool.map(Lake.succeeds, [lake, other]):
            assert summary["first_night"]
    lake.is_equal_to_the_account(tmp_path / "lake")
    other.is_equal_to_the_account(tmp_path / "other")

    def held():
        """All of it, but for what is remembered of the last runs."""
        keys = account.objects("lake/other/")
        return {key: account.read(key) for key in keys if not key.startswith("lake/other/_lake/runs/")}

    # What happens to one is nothing to the other.
    before = held()
    other.secret("another-token")
    lake.simulator.grow(new_events=40)
    other.fails("401")
    lake.succeeds()
    lake.is_equal_to_the_account(tmp_path / "lake")
    assert held() == before


def commands_of_the_guide():
    """What `docs/aws.md` tells a newcomer to type, from the empty account to the nights of two."""
    here = [block for block in blocks("docs/aws.md") if block.marks.get("run by") == "tests/test_nightly.py"]
    return [command for block in here for command, _ in block.commands()]


def test_a_newcomer_who_follows_the_guide_has_a_lake(simulator, empty_account, tmp_path):
    server, account = simulator(seed=55, **SMALL), empty_account
    # The guide begins in this repository; its wheels are these programs.
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "dist").mkdir()
    for program in programs():
        with zipfile.ZipFile(tmp_path / "dist" / f"{program.name}.whl", "w") as wheel:
            wheel.write(program, f"{program.name}.data/scripts/{program.name}")
    settings = json.dumps({"api_url": server.url, "requests_per_minute": 1_000_000})
    typed = []
    for command in commands_of_the_guide():
        if not command.startswith("python deploy/deploy.py"):
            assert command.split()[0] == "make"
            continue
        typed.append(command.split()[2])
        command = command.replace("python ", f"{sys.executable} ", 1)
        if typed[-1] == "lake" and "lake" in typed[:-1]:
            # It shows what is kept of the first time, and asks.
            command = f"{command.rstrip()} --yes"
        if typed[-1] == "account":
            command = f"{command.rstrip()} -p 'TapSettings={settings}'"
        run("bash", "-c", command, stdin=f"{TOKEN}\n", cwd=tmp_path, env=account.environment()).succeeded()
    assert typed == ["lake", "account", "token", "release", "run", "lake", "account", "token", "run"]
    for name in ("wistia", "acme"):
        Lake(account, name, server).is_equal_to_the_account(tmp_path / name)


# The launcher itself, where there is no Glue: as on Fargate and on a GitHub runner.


@pytest.fixture
def runner(simulator, account, tmp_path):
    """A folder with programs and settings, a simulator, and an account with a bucket."""
    server = simulator(seed=77, **SMALL)
    folder = tmp_path / "programs"
    folder.mkdir()
    for path in [*programs(), *(ROOT / "deploy" / "config").glob("*.json")]:
        shutil.copy(path, folder)
    return Runner(account, server, folder, f"r{next(NUMBERS)}")


class Runner(Lake):
    """Runs the launcher."""

    def __init__(self, account, simulator, folder, name):
        super().__init__(account, name, simulator)
        self.folder, self.python = folder, sys.executable

    def command(self, *words):
        settings = json.dumps({"api_url": self.simulator.url, "requests_per_minute": 1_000_000})
        destination = f"s3://{BUCKET}/lake/{self.name}"
        command = [
            self.python,
            LAUNCHER,
            "--account",
            self.name,
            "--destination",
            destination,
            "--programs",
            self.folder,
        ]
        return [str(word) for word in [*command, "--tap-settings", settings, *words]]

    @property
    def environment(self):
        return {**self.account.environment(), "TAP_WISTIA_API_TOKEN": TOKEN}

    def night(self, *words):
        return run(*self.command(*words), env=self.environment)

    def start(self, *words):
        """Its process, whose log is that of the launcher and both programs."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            self.command(*words), env=environment(self.environment), text=True, start_new_session=True, **pipes
        )


def test_without_a_log_group_the_metrics_are_a_line_of_the_log(runner, tmp_path):
    done = runner.night().succeeded()
    summary, document = map(json.loads, done.out.splitlines())
    assert summary["outcome"] == "succeeded" and document["summary"] == summary
    is_embedded_metric_format(document)
    assert TOKEN not in done.out + done.err
    runner.is_equal_to_the_account(tmp_path / "lake")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_night_that_is_stopped_is_no_loss(runner, tmp_path, number):
    """By Glue at its timeout, or by the end of its machine: then all its processes end at once."""
    runner.simulator.fault(path="stats/events", kind="stall", seconds=30, after=1)
    night = runner.start("--target-settings", json.dumps({"commit_interval_seconds": 0}))
    # In the middle: some tables are there, and events are to come.
    until(lambda: (runner.account.state(runner.name) or {}).get("bookmarks"), night)
    (os.kill if number == signal.SIGTERM else os.killpg)(night.pid, number)
    out, err = night.communicate(timeout=DEADLINE)
    assert night.returncode == (143 if number == signal.SIGTERM else -number), err[-3000:]
    if number == signal.SIGTERM:
        summary = json.loads(out.splitlines()[0])
        assert summary["exit_codes"]["target"] == 143 and summary["outcome"] == "failed"
    runner.simulator.heal()
    summary = json.loads(runner.night().succeeded().out.splitlines()[0])
    assert not summary["first_night"]
    runner.is_equal_to_the_account(tmp_path / "lake")


@pytest.mark.parametrize("program", ["tap-wistia", "target-s3-parquet"])
def test_a_program_that_cannot_be_started_fails_the_night(runner, tmp_path, program):
    (runner.folder / program).chmod(0o644)
    done = runner.night()
    assert done.code == 1 and f"Permission denied: '{runner.folder / program}'" in done.err
    assert json.loads(done.out.splitlines()[0])["outcome"] == "failed"
    (runner.folder / program).chmod(0o755)
    runner.night().succeeded()
    runner.is_equal_to_the_account(tmp_path / "lake")


def test_the_exit_codes_of_both_programs_are_handed_on(runner):
    fake = runner.folder / "tap-wistia"
    fake.write_text("#!/bin/sh\necho 'error: no luck' >&2\nexit 7\n")
    done = runner.night()
    summary = json.loads(done.out.splitlines()[0])
    assert done.code == 7 and summary["exit_codes"] == {"tap": 7, "target": 0}
    assert summary["errors"] == {"tap": "error: no luck"}


CREDENTIALS = {
    "AWS_SESSION_TOKEN": "a",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/a",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/a",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a",
    "ACTIONS_RUNTIME_TOKEN": "a",
    "GITHUB_TOKEN": "a",
    "GOOGLE_APPLICATION_CREDENTIALS": "/a",
    "AZURE_CLIENT_SECRET": "a",
}


@pytest.mark.parametrize("words", [[], ["--only", "check"]])
def test_the_tap_is_given_its_token_and_no_other_credentials(runner, tmp_path, words):
    """It reads what Wistia answers, and needs nobody's rights for that."""
    seen = tmp_path / "seen"
    script(runner.folder, "tap-wistia", f"env > {seen}")
    script(runner.folder, "target-s3-parquet", "cat > /dev/null")
    needed = {
        "HTTPS_PROXY": "http://p:1",
        "no_proxy": "127.0.0.1",
        "SSL_CERT_FILE": "/c.pem",
        "LC_ALL": "C",
        "TZ": "UTC",
    }
    run(*runner.command(*words), env={**runner.environment, **CREDENTIALS, **needed}).succeeded()
    handed = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert handed["TAP_WISTIA_API_TOKEN"] == TOKEN and handed.items() >= needed.items()
    assert not [name for name in handed if re.match("AWS_|ACTIONS_|GITHUB_|GOOGLE_|AZURE_", name)]
    # What a shell itself sets.
    assert set(handed) - {"PWD", "SHLVL", "_"} <= {*needed, "PATH", "HOME", "TMPDIR", "LANG", "TAP_WISTIA_API_TOKEN"}


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ('{"api_token": 5}', "has api_token, but not as text"),
        ('{"api_token": "t", "personal_data_salt": null}', "has personal_data_salt, but not as text"),
        ('{"api_token": ""}', "has no api_token"),
        ("{}", "has no api_token"),
    ],
)
def test_a_secret_that_holds_no_token_fails_the_night_and_says_why(runner, secret, said):
    runner.account.service("secretsmanager").create_secret(Name=f"{LAKE}/{runner.name}", SecretString=secret)
    done = runner.night("--secret", f"{LAKE}/{runner.name}")
    done.refused(said)
    summary = json.loads(done.out.splitlines()[0])
    assert summary["outcome"] == "failed" and said in summary["errors"]["night"]


@pytest.mark.parametrize("secret", [TOKEN, f'"{TOKEN}"', f" {TOKEN}\n"])
def test_a_secret_may_be_the_token_alone(runner, secret):
    runner.account.service("secretsmanager").create_secret(Name=f"{LAKE}/{runner.name}", SecretString=secret)
    runner.night("--only", "check", "--secret", f"{LAKE}/{runner.name}").succeeded()


@pytest.mark.parametrize("setting", ["api_token", "personal_data_salt"])
def test_secrets_are_no_arguments_of_a_night(runner, setting):
    done = runner.night("--tap-settings", json.dumps({setting: "x" * 20}))
    done.refused(f"--tap-settings has {setting}")
    assert json.loads(done.out.splitlines()[0])["outcome"] == "failed"
    assert "x" * 20 not in done.out + done.err


def test_a_night_runs_on_the_python_and_the_boto3_of_glue(runner, tmp_path):
    installed = Path("~/.pyenv/versions").expanduser().glob("3.9.*/bin/python")
    python = next(installed, shutil.which("python3.9"))
    if not python:
        pytest.skip("there is no Python 3.9")
    venv = ROOT / "target" / "python39"
    if not (venv / ".ready").exists():
        subprocess.run([python, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "boto3==1.21.21"], check=True)
        (venv / ".ready").touch()
    # So old a boto3 does not know AWS_ENDPOINT_URL.
    (tmp_path / "sitecustomize.py").write_text(
        "import boto3, os\n"
        "made = boto3.client\n"
        "boto3.client = lambda service, **more: made(service, endpoint_url=os.environ['AWS_ENDPOINT_URL'], **more)\n"
    )
    runner.python = venv / "bin" / "python"
    done = run(
        *runner.command("--metrics-log-group", f"/{LAKE}/runs"), env={**runner.environment, "PYTHONPATH": str(tmp_path)}
    )
    assert json.loads(done.succeeded().out)["outcome"] == "succeeded"
    assert [document["Failed"] for document in runner.account.told() if document["Account"] == runner.name] == [0]
    runner.is_equal_to_the_account(tmp_path / "lake")
