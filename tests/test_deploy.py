"""A deployment: what is there afterwards, what a second one changes, and how it goes back."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

from aws import BUCKET, DEPLOY, LAKE, Account, add_account, deploy_lake, deployed_release, everything, job, script
from harness import DEADLINE, ROOT, TOKEN, environment, run, until


@pytest.fixture(scope="module")
def deployed(programs):
    """An account with a lake for one Wistia account, which these tests look at and change."""
    account = Account()
    deploy_lake(account, programs)
    add_account(account, "wistia")
    yield account
    account.stop()


def test_a_deployment_makes_what_it_promises(deployed):
    s3 = deployed.client
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    lifecycle = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]}
    assert lifecycle["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert lifecycle["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}

    found = everything(deployed)
    definition = found["job"]
    assert definition["Command"] == {
        "Name": "pythonshell",
        "PythonVersion": "3.9",
        "ScriptLocation": f"s3://{BUCKET}/releases/r1/nightly.py",
    }
    assert (definition["GlueVersion"], definition["MaxCapacity"], definition["MaxRetries"]) == ("3.0", 1.0, 0)
    assert definition["ExecutionProperty"] == {"MaxConcurrentRuns": 3}
    # Arguments are logged: no secret may be among them.
    assert TOKEN not in json.dumps(found["job"]) + json.dumps(found["trigger"])

    assert found["trigger"]["Schedule"] == "cron(17 3 * * ? *)" and found["trigger"]["State"] == "ACTIVATED"
    tables = ["dim_media", "fact_engagements", "fact_engagements_byday", "fact_engagement_graph"]
    assert {crawler["DatabaseName"]: paths(crawler) for crawler in found["crawlers"].values()} == {
        "wistia": [f"s3://{BUCKET}/lake/wistia/{table}/" for table in tables],
        "wistia__personal": [f"s3://{BUCKET}/lake/wistia/{table}/" for table in ("dim_visitors", "fact_events")],
    }
    assert [database["Name"] for database in found["databases"]] == ["wistia", "wistia__personal"]
    assert found["groups"][f"/{LAKE}/runs"] == found["groups"]["/aws-glue/python-jobs/output"] == 30
    assert found["secrets"] == [f"{LAKE}/wistia"]

    (topic,) = found["rights"]["topics"]
    (alarm,) = found["alarms"]
    assert alarm["AlarmActions"] == [topic] and alarm["TreatMissingData"] == "breaching"
    assert [target["Arn"] for target in found["targets"]] == [topic]
    pattern = json.loads(found["rules"][0]["EventPattern"])
    assert pattern["detail"] == {"jobName": [LAKE], "state": ["FAILED", "TIMEOUT", "STOPPED"]}


def paths(crawler):
    return [target["Path"] for target in crawler["Targets"]["S3Targets"]]


def test_what_is_deployed_again_stays_as_it_is(deployed, programs):
    before = everything(deployed)
    done = [
        deployed.lake(),
        deployed.deploy("account", "wistia"),
        deployed.deploy("release", *programs, "--id", "r1"),
    ]
    for each in done:
        assert "nothing to change" in each.succeeded().out
    assert everything(deployed) == before


@pytest.mark.parametrize(
    "words", [["lake", "-p", "LogRetentionDays=90"], ["account", "new"], ["account", "wistia", "-p", "Hour=5"]]
)
def test_a_dry_run_tells_and_changes_nothing(deployed, words):
    before = everything(deployed)
    told = deployed.deploy(*words, "--dry-run").succeeded().out
    assert "would be" in told and (words[-1] == "new" or words[-1].partition("=")[2] in told)
    assert everything(deployed) == before


def test_a_dry_run_of_a_release_uploads_nothing(deployed, programs):
    before = everything(deployed)
    assert "Release: r1 -> dry" in deployed.deploy("release", *programs, "--id", "dry", "--dry-run").succeeded().out
    assert everything(deployed) == before


def test_releases_go_forth_and_back(empty_account, programs):
    empty_account.deploy("lake").succeeded()
    empty_account.deploy("rollback").refused("there is no release before this one")
    empty_account.deploy("release", *programs, "--id", "r1").succeeded()
    first = job(empty_account)
    empty_account.deploy("rollback").refused("there is no release before this one")
    empty_account.deploy("release", *programs, "--id", "r2").succeeded()
    assert deployed_release(empty_account) == "r2"

    empty_account.deploy("rollback").succeeded()
    assert deployed_release(empty_account) == "r1"
    assert job(empty_account)["DefaultArguments"] == first["DefaultArguments"]
    assert "release   r1, before it r2" in empty_account.deploy("status").succeeded().out

    empty_account.deploy("rollback").succeeded()
    assert deployed_release(empty_account) == "r2"
    empty_account.deploy("rollback", "--to", "r1").succeeded()
    assert deployed_release(empty_account) == "r1"
    empty_account.deploy("rollback", "--to", "r9").refused("there is no release r9")


def test_a_release_is_written_once(deployed, programs, tmp_path):
    changed = script(tmp_path, "tap-wistia", "exit 1")
    before = deployed.read("releases/r1/tap-wistia")
    deployed.deploy("release", changed, programs[1], "--id", "r1").refused("is there with another content")
    # Not even by an administrator, and by no other way.
    with pytest.raises(deployed.client.exceptions.ClientError, match="AccessDenied|Forbidden"):
        deployed.write("releases/r1/tap-wistia", b"another")
    assert deployed.read("releases/r1/tap-wistia") == before


def test_a_release_may_come_as_wheels(deployed, programs, tmp_path):
    """The programs are the same; the names of wheels are pip's."""
    wheels = []
    for program in programs:
        name = program.name
        path = tmp_path / f"{name.replace('-', '_')}-0.1.0-py3-none-manylinux_2_17_x86_64.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.write(program, f"{name.replace('-', '_')}-0.1.0.data/scripts/{name}")
        wheels.append(path)
    deployed.deploy("release", *wheels, "--id", "wheels").succeeded()
    assert deployed.read("releases/wheels/manifest.json") == deployed.read("releases/r1/manifest.json")
    deployed.deploy("rollback").succeeded()


def begun(out):
    """The run that began, if one did."""
    found = re.search("job .*: run (.*) began", out)
    return found and found[1]


RELEASE_FILES = (
    "manifest.json",
    "merge.py",
    "nightly.py",
    "tap-wistia",
    "target-s3-parquet",
    "tap.json",
    "target.json",
)


def test_a_release_that_fails_its_try_never_becomes_the_jobs(deployed, programs, tmp_path):
    before = everything(deployed)
    broken = [script(tmp_path, "tap-wistia", "echo 'error: broken' >&2; exit 3"), programs[1]]
    done = deployed.deploy("release", *broken, "--id", "broken", "--check", "wistia", role=deployed.role("DeployRole"))
    done.refused("is FAILED", "The job stays at the release r1")
    # What the try said is there to read, its summary too.
    assert "error: broken" in done.out and '"exit_codes": {"tap": 3, "target": 0}' in done.out
    after = everything(deployed)
    assert after["job"] == before["job"]
    assert {key for key in after["objects"] if key not in before["objects"]} == {
        f"releases/broken/{file}" for file in RELEASE_FILES
    }


def test_a_first_release_is_tried_too(empty_account, programs):
    """When the job has none, and its own script is nowhere."""
    empty_account.deploy("lake").succeeded()
    add_account(empty_account, "wistia")
    empty_account.deploy("release", *programs, "--id", "r1", "--check", "wistia").succeeded()
    assert deployed_release(empty_account) == "r1"


def test_a_try_is_made_with_the_script_and_the_programs_of_the_release(deployed, programs, tmp_path):
    """And not with those that the job has."""
    own = [script(tmp_path, "tap-wistia", "echo 'error: I am new' >&2"), programs[1]]
    done = deployed.deploy("release", *own, "--id", "tried", "--check", "wistia").succeeded()
    assert '"release": "tried"' in done.out and "error: I am new" in done.out
    assert deployed_release(deployed) == "tried"
    tried = deployed.glue.get_job_run(JobName=LAKE, RunId=begun(done.out))["JobRun"]
    assert {tried["Arguments"][name] for name in ("--scriptLocation", "--release")} == {
        f"s3://{BUCKET}/releases/tried/nightly.py",
        f"s3://{BUCKET}/releases/tried",
    }
    deployed.deploy("rollback", "--to", "r1").succeeded()


@pytest.mark.parametrize("name", ["../lake", "v1/2", "{{resolve:ssm:x}}", "a b"])
def test_a_release_has_a_name_that_is_one_folder(deployed, programs, name):
    before = deployed.objects()
    deployed.deploy("release", *programs, "--id", name).refused("Release cannot be")
    assert deployed.objects() == before


def test_a_release_without_a_try_says_so(deployed, programs):
    done = deployed.deploy("release", *programs, "--id", "r1").succeeded()
    assert "release r1: was not tried" in done.out


def a_night_runs(account):
    account.steer(
        "faults", action="StartJobRun", code="ConcurrentRunsExceededException", message="Concurrent runs exceeded"
    )
    return ["--check", "wistia"], {}, "Concurrent runs exceeded"


def the_account_is_mistyped(_account):
    return ["--check", "wistai"], {}, f"the lake {LAKE} has no account wistai"


def the_run_cannot_be_looked_at(account):
    account.steer("faults", action="GetJobRun", code="ThrottlingException", message="Rate exceeded", times=-1)
    return ["--check", "wistia"], {"AWS_MAX_ATTEMPTS": "1"}, "Rate exceeded"


@pytest.mark.parametrize("interrupt", [a_night_runs, the_account_is_mistyped, the_run_cannot_be_looked_at])
def test_what_interrupts_a_release_leaves_the_job_as_it_is(deployed, programs, tmp_path, interrupt):
    before = everything(deployed)
    words, environment, said = interrupt(deployed)
    name = interrupt.__name__
    done = deployed.deploy("release", *programs, "--id", name, *words, **environment)
    deployed.heal()
    done.refused(said)
    after = everything(deployed)
    assert after["job"] == before["job"]
    if interrupt is the_account_is_mistyped:
        assert after == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_release_that_is_stopped_in_its_try_never_becomes_the_jobs(deployed, programs, tmp_path, number):
    """By a person, by GitHub's timeout, by the end of the machine."""
    before, name = everything(deployed)["job"], f"stopped-{number}"
    slow = [script(tmp_path, "tap-wistia", "exec sleep 60"), programs[1]]
    command = [sys.executable, DEPLOY, "release", *slow, "--id", name, "--check", "wistia"]
    # The runner of the tests may leave SIGINT to its children as ignored.
    release = subprocess.Popen(
        [str(word) for word in command],
        env=environment(deployed.environment()),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    line = ""
    while not begun(line):
        line = release.stdout.readline()
        assert line, release.communicate()
    release.send_signal(number)
    _, err = release.communicate(timeout=DEADLINE)
    deployed.glue.batch_stop_job_run(JobName=LAKE, JobRunIds=[begun(line)])
    assert release.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in err
    assert everything(deployed)["job"] == before


@pytest.mark.parametrize("program", ["exit 0", "exit 3"])
def test_a_log_that_cannot_be_read_is_a_warning(deployed, programs, tmp_path, program):
    """How the try ended decides, and not what can be read of it."""
    own = [script(tmp_path, "tap-wistia", program), programs[1]]
    name = f"unread-{program[-1]}"
    deployed.steer("faults", action="FilterLogEvents", code="ThrottlingException", message="Rate exceeded", times=-1)
    done = deployed.deploy("release", *own, "--id", name, "--check", "wistia", AWS_MAX_ATTEMPTS="1")
    deployed.heal()
    assert "warning: the log " in done.err and "Rate exceeded" in done.err
    if program == "exit 0":
        done.succeeded()
        assert deployed_release(deployed) == name
        deployed.deploy("rollback", "--to", "r1").succeeded()
    else:
        done.refused("is FAILED", "The job stays at the release r1")
        assert deployed_release(deployed) == "r1"


@pytest.mark.parametrize(("stack", "action"), [(LAKE, "PutRule"), (f"{LAKE}-job", "CreateJob")])
def test_a_stack_whose_first_creation_failed_can_be_made_again(empty_account, stack, action):
    empty_account.steer("faults", action=action, code="InvalidInputException", message="Not today", times=-1)
    empty_account.deploy("lake").refused("what was done is taken back", "Not today")
    empty_account.heal()
    empty_account.deploy("lake").refused("was never completed", f"delete-stack --stack-name {stack}")
    cloudformation = empty_account.service("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    empty_account.deploy("lake").succeeded()


def test_a_lake_that_is_deleted_leaves_its_data(empty_account, programs):
    deploy_lake(empty_account, programs)
    add_account(empty_account, "wistia")
    cloudformation = empty_account.service("cloudformation")
    # As long as an account stands on it, the lake stays.
    cloudformation.delete_stack(StackName=LAKE)
    (stack,) = cloudformation.describe_stacks(StackName=LAKE)["Stacks"]
    (event, *_) = cloudformation.describe_stack_events(StackName=LAKE)["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE" and "Delete canceled" in event["ResourceStatusReason"]
    for name in (f"{LAKE}-wistia", f"{LAKE}-job", LAKE):
        cloudformation.delete_stack(StackName=name)
        with pytest.raises(cloudformation.exceptions.ClientError, match="does not exist"):
            cloudformation.describe_stacks(StackName=name)
    assert empty_account.objects("releases/r1/")
    assert not empty_account.service("iam").list_roles()["Roles"]
    assert not empty_account.service("events").list_rules()["Rules"]
    groups = [group["logGroupName"] for group in empty_account.service("logs").describe_log_groups()["logGroups"]]
    assert groups == ["/aws-glue/crawlers", "/aws-glue/python-jobs/error", "/aws-glue/python-jobs/output"]
    assert [each["Name"] for each in empty_account.service("secretsmanager").list_secrets()["SecretList"]] == [
        f"{LAKE}/wistia"
    ]


def test_who_listens_hears_of_a_run_that_fails(deployed):
    sqs, sns = deployed.service("sqs"), deployed.service("sns")
    queue = sqs.create_queue(QueueName="mails")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (topic,) = sns.list_topics()["Topics"]
    sns.subscribe(TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn)
    # Without the arguments of an account it knows no destination.
    number = deployed.glue.start_job_run(JobName=LAKE)["JobRunId"]
    until(lambda: deployed.glue.get_job_run(JobName=LAKE, RunId=number)["JobRun"]["JobRunState"] == "FAILED")
    (mail,) = sqs.receive_message(QueueUrl=queue).get("Messages", [])
    assert f"Job {LAKE}, run {number}: FAILED." in json.loads(mail["Body"])["Message"]


def test_github_may_come_with_either_form_of_its_name(empty_account):
    empty_account.lake("GitHubRepository=acme/lake", "GitHubRepositoryIds=11/22").succeeded()
    (statement,) = empty_account.service("iam").get_role(RoleName=empty_account.role("DeployRole"))["Role"][
        "AssumeRolePolicyDocument"
    ]["Statement"]
    assert statement["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": [
            "repo:acme/lake:environment:production",
            "repo:acme@11/lake@22:environment:production",
        ],
    }


def test_a_stack_that_is_something_else_is_never_touched(empty_account):
    """Lake `wistia` with an account `lake` asks for the stack of lake `wistia-lake`."""
    empty_account.deploy("lake").succeeded()
    other = ["--name", "wistia", "lake", "-p", "DatabasePrefix=other", "-p", "ManageGlueLogGroups=false"]
    empty_account.deploy(*other).succeeded()
    cloudformation = empty_account.service("cloudformation")
    before = cloudformation.get_template(StackName=LAKE)["TemplateBody"]
    empty_account.deploy("--name", "wistia", "account", "lake").refused(
        "the stack wistia-lake is not that of account Lake=wistia Account=lake, but of lake Name=wistia-lake"
    )
    assert cloudformation.get_template(StackName=LAKE)["TemplateBody"] == before


def test_what_is_kept_is_shown_and_asked_for(deployed):
    before = everything(deployed)
    words = ["lake", "-p", "TimeoutMinutes=100"]
    done = deployed.deploy(*words)
    done.refused("say --yes")
    shown = {line for line in done.out.splitlines() if line.startswith("stack ")}
    assert shown > {
        f"stack {LAKE}: GitHubRepository=acme/lake (kept)",
        f"stack {LAKE}-job: MaxConcurrentRuns=3 (kept)",
        f"stack {LAKE}-job: Release=r1 (kept)",
        f"stack {LAKE}-job: TimeoutMinutes=100 (given now)",
    }
    assert everything(deployed) == before
    assert "nothing was changed" in at_a_terminal(deployed, words, "n\n")
    assert everything(deployed) == before
    assert f"stack {LAKE}-job: updated" in at_a_terminal(deployed, words, "y\n")
    deployed.lake("TimeoutMinutes=240").succeeded()


def at_a_terminal(account, words, typed):
    """What deploy.py says to a person."""
    ours, its = os.openpty()
    command = [sys.executable, DEPLOY, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environment(account.environment()), text=True, stdin=its, **pipes) as process:
        os.write(ours, typed.encode())
        out, _ = process.communicate(timeout=DEADLINE)
    os.close(ours)
    os.close(its)
    return out


def test_a_night_can_be_moved_and_stopped(deployed):
    deployed.deploy("account", "wistia", "-p", "Hour=5", "-p", "Schedule=off").succeeded()
    trigger = deployed.glue.get_trigger(Name=f"{LAKE}.wistia")["Trigger"]
    assert trigger["Schedule"] == "cron(17 5 * * ? *)" and trigger["State"] == "DEACTIVATED"
    deployed.deploy("account", "wistia", "-p", "Hour=3", "-p", "Schedule=on").succeeded()


def test_a_change_that_fails_is_taken_back_and_says_why(deployed):
    before = everything(deployed)
    deployed.steer("faults", action="UpdateJob", code="InvalidInputException", message="The job does not like it")
    deployed.lake("TimeoutMinutes=10").refused("what was done is taken back", "Job: ", "The job does not like it")
    assert everything(deployed) == before
    deployed.heal()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rollback"], ["there is no stack wistia-lake", "deploy.py lake"]),
        (["release", str(ROOT / "README.md")], ["is neither a wheel nor tap-wistia"]),
        (["release", "no/such/tap-wistia"], ["No such file"]),
        (["lake", "-p", "Redshift=yes"], ["Redshift"]),
        (["account", "Big Corp"], ["Account"]),
        (["account", "wistia"], ["there is no stack wistia-lake; make it: deploy.py lake"]),
        (["account", "personal"], ["Account cannot be 'personal'"]),
        (["account", "up_job"], ["Account cannot be 'up_job'"]),
        (["--name", "wistia-job", "lake"], ["Name cannot be 'wistia-job'"]),
        (["lake", "-p", "Name=other"], ["Name is no parameter to give"]),
        (["lake", "-p", "TimeoutMinute=5"], ["a lake has no parameter TimeoutMinute; did you mean TimeoutMinutes?"]),
    ],
)
def test_mistakes_are_told(empty_account, words, said):
    empty_account.deploy(*words).refused(*said)


def test_a_token_keeps_the_salt_and_is_never_shown(deployed):
    secrets = deployed.service("secretsmanager")
    secrets.put_secret_value(
        SecretId=f"{LAKE}/wistia", SecretString=json.dumps({"api_token": "old", "personal_data_salt": "s"})
    )
    done = deployed.deploy("token", "wistia", stdin=f"{TOKEN}\n").succeeded()
    assert TOKEN not in done.out + done.err
    held = json.loads(secrets.get_secret_value(SecretId=f"{LAKE}/wistia")["SecretString"])
    assert held == {"api_token": TOKEN, "personal_data_salt": "s"}
    deployed.deploy("token", "wistia").refused("no token was given")


@pytest.mark.parametrize("held", ["old-token", '"old-token"', "12345", '["old-token"]', "true"])
def test_a_token_takes_the_place_of_one_that_is_the_whole_secret(deployed, held):
    """As the launcher reads them: what is no object of settings is the token."""
    secrets = deployed.service("secretsmanager")
    secrets.put_secret_value(SecretId=f"{LAKE}/wistia", SecretString=held)
    deployed.deploy("token", "wistia", stdin=f"{TOKEN}\n").succeeded()
    assert json.loads(secrets.get_secret_value(SecretId=f"{LAKE}/wistia")["SecretString"]) == {"api_token": TOKEN}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"SecretString": '{"personal_data_salt": "s"'}, "begins as JSON and is none"),
        ({"SecretBinary": b"x"}, "binary"),
    ],
)
def test_a_secret_that_a_token_would_destroy_stays(deployed, held, said):
    secrets = deployed.service("secretsmanager")
    secrets.put_secret_value(SecretId=f"{LAKE}/wistia", **held)
    deployed.deploy("token", "wistia", stdin=f"{TOKEN}\n").refused(said, "stays as it is")
    assert secrets.get_secret_value(SecretId=f"{LAKE}/wistia").items() >= held.items()
    secrets.put_secret_value(SecretId=f"{LAKE}/wistia", SecretString="old-token")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('{"api_token": "t"}', "TapSettings has api_token; that belongs into the secret"),
        ('{"start_date": "2026-01-01", "personal_data_salt": "s"}', "TapSettings has personal_data_salt"),
        ("{", "TapSettings is no JSON"),
        ("[]", "TapSettings is no JSON object"),
    ],
)
def test_secrets_are_no_settings_of_a_stack(deployed, settings, said):
    deployed.deploy("account", "wistia", "-p", f"TapSettings={settings}").refused(said)


def test_a_release_of_a_changed_checkout_is_named_so(deployed, programs, tmp_path):
    """And another change otherwise: a release never changes."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    shutil.rmtree(tmp_path / "deploy" / "__pycache__", ignore_errors=True)
    git = ["git", "-C", tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "All"]):
        run(*git, *words).succeeded()
    commit = run(*git, "rev-parse", "HEAD").out.strip()

    def name():
        command = [sys.executable, "-B", tmp_path / "deploy" / "deploy.py", "release", *programs, "--dry-run"]
        told = run(*command, env=deployed.environment()).succeeded().out
        return re.search("Release: r1 -> (.*)", told)[1]

    assert name() == commit
    names = set()
    for settings in ('{"lookback_days": 4}', '{"lookback_days": 5}'):
        (tmp_path / "deploy" / "config" / "tap.json").write_text(settings)
        names.add(name())
    run(*git, "checkout", "-q", ".").succeeded()
    # What git does not know yet is deployed too.
    (tmp_path / "deploy" / "config" / "catalog.json").write_text("{}")
    names.add(name())
    assert len(names) == 3 and all(re.fullmatch(f"{commit}-dirty-[0-9a-f]{{8}}", each) for each in names), names


def test_the_night_may_be_a_fargate_task(deployed):
    """The template is deployed by hand, as docs/aws.md says."""
    template = ROOT / "deploy" / "cloudformation" / "fargate.yaml"
    cloudformation = deployed.service("cloudformation")
    cloudformation.create_stack(
        StackName="wistia-night",
        TemplateBody=template.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": "SubnetIds", "ParameterValue": "subnet-1,subnet-2"}],
    )
    (stack,) = cloudformation.describe_stacks(StackName="wistia-night")["Stacks"]
    events = cloudformation.describe_stack_events(StackName="wistia-night")["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", events
    ecs = deployed.service("ecs")
    task = ecs.describe_task_definition(taskDefinition="wistia-night")["taskDefinition"]
    (container,) = task["containerDefinitions"]
    words = dict(zip(container["command"][::2], container["command"][1::2], strict=True))
    assert words["--destination"] == f"s3://{BUCKET}/lake/wistia" and words["--secret"] == f"{LAKE}/wistia"
    catalog = {"type": "glue", "database": "wistia", "personal_database": "wistia__personal"}
    assert json.loads(words["--target-settings"]) == {"catalog": catalog}
    target = deployed.service("scheduler").get_schedule(Name="wistia-night")["Target"]
    assert target["EcsParameters"]["TaskDefinitionArn"] == task["taskDefinitionArn"]
