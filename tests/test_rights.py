"""Who may do what in AWS: what the role of GitHub could leave for an administrator, and one lake do to another."""

import itertools
import re

import boto3
import pytest
from botocore.exceptions import ClientError

from aws import LAKE, Account, add_account, deploy_lake, deployed_release, everything, rights
from harness import ROOT, TOKEN

JOB = f"{LAKE}-job"
TAGS = itertools.count(1)


@pytest.fixture(scope="module")
def deployed(programs):
    """A lake that GitHub deploys to, with an account whose night is a Fargate task."""
    account = Account()
    deploy_lake(account, programs)
    add_account(account, "wistia")
    fargate(account, "create_stack")
    yield account
    account.stop()


@pytest.fixture
def lake(deployed):
    """After each attack an administrator deploys everything anew, and by that nobody gains a right."""
    before = rights(deployed)
    yield deployed
    assert rights(deployed) == before
    deployed.lake("LogRetentionDays=60").succeeded()
    deployed.deploy("account", "wistia").succeeded()
    deployed.deploy("rollback", "--to", "r1").succeeded()
    fargate(deployed, "update_stack")
    assert rights(deployed) == before


def fargate(account, action, lake=LAKE):
    """The administrator deploys the night as a Fargate task."""
    cloudformation = account.service("cloudformation")
    parameters = {"Lake": lake, "SubnetIds": "subnet-1,subnet-2", "ImageTag": str(next(TAGS))}
    getattr(cloudformation, action)(
        StackName=f"night-{lake}",
        TemplateBody=template("fargate"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    (stack,) = cloudformation.describe_stacks(StackName=f"night-{lake}")["Stacks"]
    events = cloudformation.describe_stack_events(StackName=f"night-{lake}")["StackEvents"]
    assert stack["StackStatus"] == f"{action.removesuffix('_stack').upper()}_COMPLETE", events


def template(kind):
    return (ROOT / "deploy" / "cloudformation" / f"{kind}.yaml").read_text()


def with_more(kind, **sections):
    """A template with more in its sections."""
    text = template(kind)
    for name, more in sections.items():
        head = f"\n{name}:\n"
        text = text.replace(head, head + more) if head in text else f"{text}{head}{more}"
    return text


def as_github(account):
    """CloudFormation, by the role of GitHub."""
    return boto3.client(
        "cloudformation",
        endpoint_url=account.url,
        aws_access_key_id=f"role:{account.role('DeployRole')}",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )


def plant(account, text, **parameters):
    """GitHub's role gives the job's stack this template and these parameters. What became of it."""
    cloudformation = as_github(account)
    cloudformation.update_stack(
        StackName=JOB,
        TemplateBody=text,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    (stack,) = cloudformation.describe_stacks(StackName=JOB)["Stacks"]
    return stack["StackStatus"]


def test_the_role_of_github_deploys_and_does_nothing_else(lake, programs):
    role = lake.role("DeployRole")
    done = lake.deploy("release", *programs, "--id", "by-github", "--check", "wistia", role=role).succeeded()
    assert deployed_release(lake) == "by-github"
    # What the try found comes from the lake's own log group: Glue's are those of all jobs of the AWS account.
    assert '{"check": {"event": "check"' in done.out and "/aws-glue/python-jobs/error: is not for you" in done.out
    lake.deploy("rollback", role=role).succeeded()
    assert deployed_release(lake) == "r1"

    before = everything(lake)
    lake.lake("LogRetentionDays=90", role=role).refused("not authorized")
    lake.deploy("account", "other", role=role).refused("not authorized")
    lake.deploy("token", "wistia", role=role, stdin=f"{TOKEN}\n").refused("not authorized")
    assert everything(lake) == before


@pytest.mark.parametrize("stack", [LAKE, f"{LAKE}-wistia", f"night-{LAKE}"])
@pytest.mark.parametrize("action", ["update_stack", "delete_stack"])
def test_github_changes_no_stack_but_the_jobs(lake, stack, action):
    more = {"UsePreviousTemplate": True} if action == "update_stack" else {}
    with pytest.raises(ClientError, match="not authorized"):
        getattr(as_github(lake), action)(StackName=stack, **more)


def test_what_github_leaves_in_the_stack_of_the_job_is_given_to_nobody(lake):
    """Parameters and exports need no rights. The lake has parameters of these names, and templates took such exports
    for policies."""
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    exports = "".join(
        f"  Mine{name}: {{Value: '{arn}', Export: {{Name: {LAKE}-{name}}}}}\n"
        for name in ("SyncPolicy", "JobRole", "DeployRole")
    )
    parameters = "  GitHubRepository: {Type: String}\n  DatabasePrefix: {Type: String}\n"
    text = with_more("job", Parameters=parameters, Outputs=exports)
    assert plant(lake, text, GitHubRepository="evil/repository", DatabasePrefix="other") == "UPDATE_COMPLETE"


def test_github_cannot_take_the_place_of_an_export_of_the_lake(lake):
    export = f"  Mine: {{Value: 'arn:aws:iam::1:role/mine', Export: {{Name: {LAKE}-CrawlerRole}}}}\n"
    assert plant(lake, with_more("job", Outputs=export)) == "UPDATE_ROLLBACK_COMPLETE"


ROLE = """  Mine:
    Type: AWS::IAM::Role{condition}
    Properties:
      RoleName: mine
      ManagedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"]
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Principal: {{AWS: "999999999999"}}, Action: sts:AssumeRole}}]
"""
POLICY = f"""  Mine:
    Type: AWS::S3::BucketPolicy{{condition}}
    Properties:
      Bucket: {LAKE}-123456789012-us-east-1
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{{{{Effect: Allow, Principal: "*", Action: "s3:*", Resource: "*"}}}}]
"""


@pytest.mark.parametrize("resource", [ROLE, POLICY])
def test_github_makes_no_role_and_no_policy(lake, resource):
    text = with_more("job", Resources=resource.format(condition=""))
    assert plant(lake, text) == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize("resource", [ROLE, POLICY])
def test_what_sleeps_in_the_template_of_the_job_is_not_woken_by_an_administrator(lake, resource):
    """A role whose condition does not hold yet: with this release it is not made, and needs no rights."""
    conditions = "  Awake: !Not [!Equals [!Ref Release, asleep]]\n"
    text = with_more("job", Resources=resource.format(condition="\n    Condition: Awake"), Conditions=conditions)
    assert plant(lake, text, Release="asleep") == "UPDATE_COMPLETE"


def test_no_secret_is_read_by_an_administrator_for_github(lake):
    """CloudFormation puts the value of a secret where a parameter refers to it, with the rights of who asks, and the
    deploy role reads the job. The template of the job takes none, also where another has let it in."""
    text = template("job").replace('    AllowedPattern: "[A-Za-z0-9._-]+"\n', "")
    secret = "{{resolve:secretsmanager:wistia-lake/wistia}}"
    assert plant(lake, text, Release="r1", PreviousRelease=secret) == "UPDATE_COMPLETE"
    done = lake.lake("LogRetentionDays=90")
    done.refused("PreviousRelease")
    assert f"stack {JOB}: PreviousRelease={secret} (kept)" in done.out
    lake.lake("PreviousRelease=none").succeeded()


# Two lakes in one AWS account.

LAKES = {"wistia": ("wistia", "acme", "acme2"), "wistia-lake": ("wistia", "acme"), "wistia-lake2": ("wistia", "acme")}
"""Lakes and their accounts, with names that are the beginnings of others."""
PREFIXES = {"wistia": "wistia", "wistia-lake": "wistia_lake", "wistia-lake2": "wistia_lake2"}


@pytest.fixture(scope="module")
def lakes():
    account = Account()
    for number, (lake, accounts) in enumerate(LAKES.items()):
        parameters = {
            "GitHubRepository": f"acme/{lake}",
            "GitHubNightlyEnvironment": "nightly",
            "Redshift": "role",
            "DatabasePrefix": PREFIXES[lake],
            # An AWS account has one of each.
            "CreateOidcProvider": str(number == 0).lower(),
            "ManageGlueLogGroups": str(number == 0).lower(),
        }
        words = [word for key, value in parameters.items() for word in ("-p", f"{key}={value}")]
        account.deploy("--name", lake, "lake", *words).succeeded()
        for name in accounts:
            account.deploy("--name", lake, "account", name).succeeded()
        fargate(account, "create_stack", lake)
    yield account
    account.stop()


ARNS = {
    "secret": "secretsmanager:us-east-1:123456789012:secret:{}-AbCdEf",
    "crawler": "glue:us-east-1:123456789012:crawler/{}",
    "trigger": "glue:us-east-1:123456789012:trigger/{}",
    "job": "glue:us-east-1:123456789012:job/{}",
    "database": "glue:us-east-1:123456789012:database/{}",
    "table": "glue:us-east-1:123456789012:table/{}/fact_events",
    "bucket": "s3:::{}",
    "data": "s3:::{}/lake/acme/fact_events/part-00000.parquet",
    "release": "s3:::{}/releases/r1/manifest.json",
    "log": "logs:us-east-1:123456789012:log-group:{}:log-stream:acme/1",
    "stack": "cloudformation:us-east-1:123456789012:stack/{}/1",
    "role": "iam::123456789012:role/{}",
}


def names(lake):
    """What is a lake's, by kind."""
    accounts, prefix, bucket = LAKES[lake], PREFIXES[lake], f"{lake}-123456789012-us-east-1"
    databases = [prefix if name == "wistia" else f"{prefix}__{name}" for name in accounts]
    databases += [f"{name}__personal" for name in databases]
    night = [f"{lake}.{name}" for name in accounts]
    return {
        "secret": [f"{lake}/{name}" for name in accounts],
        "crawler": night + [f"{name}.personal" for name in night],
        "trigger": night,
        "job": [lake],
        "database": databases,
        "table": databases,
        "bucket": [bucket],
        "data": [bucket],
        "release": [bucket],
        "log": [f"/{lake}/runs"],
        "stack": [lake, f"{lake}-job"],
        "role": [f"{lake}-job"],
    }


def arns(lake):
    """The same, as IAM is asked for it."""
    return {kind: [f"arn:aws:{ARNS[kind]}".format(name) for name in found] for kind, found in names(lake).items()}


def statements(account, lake):
    """What the roles of a lake, and of its Fargate task, may do."""
    found = rights(account)
    for role in found["trusts"]:
        if not re.fullmatch(f"(night-)?{lake}-(job|[A-Z].*)", role):
            continue
        documents = [document for name, document in found["inline"].items() if name.split()[0] == role]
        documents += [found["policies"][policy["PolicyArn"]] for policy in found["attached"][role]]
        for document in documents:
            for statement in document["Statement"]:
                patterns = statement["Resource"]
                yield role, statement, patterns if isinstance(patterns, list) else [patterns]


def covers(pattern, arn):
    """As IAM compares: a star is anything, slashes and colons too."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), arn)


@pytest.mark.parametrize("lake", LAKES)
def test_no_role_of_a_lake_reaches_anything_of_another(lakes, lake):
    """Whatever the conditions of a statement: they could only take away."""
    own = {kind: [] for kind in ARNS}
    others = [arn for other in LAKES if other != lake for each in arns(other).values() for arn in each]
    roles = set()
    for role, statement, patterns in statements(lakes, lake):
        roles.add(role)
        assert statement["Effect"] == "Allow"
        if patterns == ["*"]:
            assert statement["Action"] == "ecr:GetAuthorizationToken"
            continue
        if any(":log-group:/aws-glue/" in pattern for pattern in patterns):
            # Glue's groups are those of the AWS account: there a role may write, and read nothing.
            assert set(statement["Action"]) == {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}
        for pattern in patterns:
            assert not [arn for arn in others if covers(pattern, arn)], f"{role} reaches another lake by {pattern}"
            for kind, mine in arns(lake).items():
                own[kind] += [arn for arn in mine if covers(pattern, arn)]
    # These are the names that count: each kind is somebody's to use.
    assert all(own.values()), own
    assert len(roles) == 8, roles


def test_the_lakes_have_what_they_are_said_to_have(lakes):
    """The names above are those that are there."""
    glue = lakes.glue
    there = {
        "secret": [each["Name"] for each in lakes.service("secretsmanager").list_secrets()["SecretList"]],
        "crawler": glue.list_crawlers()["CrawlerNames"],
        "trigger": glue.list_triggers()["TriggerNames"],
        "job": glue.list_jobs()["JobNames"],
        "database": [each["Name"] for each in glue.get_databases()["DatabaseList"]],
        "bucket": [each["Name"] for each in lakes.client.list_buckets()["Buckets"]],
    }
    for kind, found in there.items():
        assert sorted(found) == sorted(name for lake in LAKES for name in names(lake)[kind]), kind


def test_two_lakes_cannot_have_the_databases_of_one(lakes):
    """By default `other-lake` and `other` would."""
    lakes.deploy("--name", "wistia-lake3", "lake", "-p", "DatabasePrefix=wistia_lake").refused(
        "the databases wistia_lake and wistia_lake__… are those of the lake wistia-lake"
    )
    # Nor by hand.
    cloudformation = lakes.service("cloudformation")
    parameters = {"Name": "wistia-lake3", "DatabasePrefix": "wistia_lake", "ManageGlueLogGroups": "false"}
    cloudformation.create_stack(
        StackName="wistia-lake3",
        TemplateBody=template("lake"),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    (stack,) = cloudformation.describe_stacks(StackName="wistia-lake3")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    cloudformation.delete_stack(StackName="wistia-lake3")


@pytest.mark.parametrize(
    ("lake", "account", "is_of"),
    [
        ("wistia", "lake", "lake Name=wistia-lake"),
        ("wistia", "lake2", "lake Name=wistia-lake2"),
        ("wistia", "lake_acme", "account Lake=wistia-lake Account=acme"),
    ],
)
def test_an_account_never_takes_the_stack_of_another_lake(lakes, lake, account, is_of):
    lakes.deploy("--name", lake, "account", account).refused(f"is not that of account Lake={lake}", f"but of {is_of}")


@pytest.mark.parametrize(
    ("lake", "prefix"),
    [("wistia-lake", "wistia"), ("other-lake", "other"), ("lake", "lake"), ("a-b-c", "a_b_c"), ("lakes", "lakes")],
)
def test_the_databases_of_a_lake_begin_with_its_name(empty_account, lake, prefix):
    told = empty_account.deploy("--name", lake, "lake", "--dry-run").succeeded().out
    assert f"'DatabasePrefix': '{prefix}'" in told
