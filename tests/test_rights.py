"""Who may do what in AWS, tried by attacks: of the role of GitHub on what an administrator deploys next."""

import itertools

import boto3
import pytest
from botocore.exceptions import ClientError

from aws import LAKE, Account, add_account, deploy_lake, deployed_release, everything, rights, script
from harness import ROOT, TOKEN

JOB = f"{LAKE}-job"
TAGS = itertools.count(1)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    return [script(folder, name, "exit 0") for name in ("tap-wistia", "target-s3-parquet")]


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


def fargate(account, action):
    """The administrator deploys the night as a Fargate task."""
    cloudformation = account.service("cloudformation")
    parameters = {"SubnetIds": "subnet-1,subnet-2", "ImageTag": str(next(TAGS))}
    getattr(cloudformation, action)(
        StackName="wistia-night",
        TemplateBody=template("fargate"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    (stack,) = cloudformation.describe_stacks(StackName="wistia-night")["Stacks"]
    events = cloudformation.describe_stack_events(StackName="wistia-night")["StackEvents"]
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


@pytest.mark.parametrize("stack", [LAKE, f"{LAKE}-wistia", "wistia-night"])
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
    """A role whose condition does not hold yet: with GitHub's release it is not made, and needs no rights."""
    conditions = "  Awake: !Not [!Equals [!Ref TimeoutMinutes, '111']]\n"
    text = with_more("job", Resources=resource.format(condition="\n    Condition: Awake"), Conditions=conditions)
    assert plant(lake, text, TimeoutMinutes="111") == "UPDATE_COMPLETE"


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
