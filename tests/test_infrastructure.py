"""What runs elsewhere is checked here: templates, workflows, scripts, and the Python of the launcher."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aws_stacks import Loader
from harness import ROOT, run

TOOLS = Path(sys.executable).parent
TEMPLATES = sorted((ROOT / "deploy").glob("cloudformation/*.yaml")) + [ROOT / "deploy/bi/quicksight/quicksight.yaml"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LAUNCHER = ROOT / "deploy" / "glue" / "nightly.py"


def tool(name, *words):
    """A tool has nothing to say."""
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [TOOLS / name, *map(str, words)], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr


def named(path):
    return path.name


def test_there_is_something_to_check():
    kinds = {"account", "fargate", "job", "lake", "page", "quicksight", "spark"}
    assert {path.stem for path in TEMPLATES} == kinds
    assert {"ci.yml", "deploy-glue-job.yml", "nightly.yml"} <= {path.name for path in WORKFLOWS}


@pytest.mark.parametrize("template", TEMPLATES, ids=named)
def test_templates_are_clean(template):
    tool("cfn-lint", "--non-zero-exit-code", "informational", template)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=named)
def test_workflows_are_clean_and_so_are_the_scripts_in_them(workflow):
    tool("actionlint", workflow)


def test_shell_scripts_are_clean():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\n") if name]
    scripts = [path for path in files if path.is_file() and re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes()[:64])]
    assert ROOT / ".ci" / "run" in scripts
    tool("shellcheck", *scripts)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=named)
def test_workflows_take_what_they_were_given_and_no_more(workflow):
    text = workflow.read_text()
    for line in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"\./\S+|[\w./-]+@[0-9a-f]{40} # v[\d.]+", line), f"{line} is not pinned by commit"
    parsed = yaml.safe_load(text)
    assert parsed["permissions"] in ({}, {"contents": "read"}), "a job says for itself what more it needs"
    assert "concurrency" in parsed
    for name, job in parsed["jobs"].items():
        assert "uses" in job or "timeout-minutes" in job, f"{name} may run for ever"
        for step in job.get("steps", []):
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


UNCONDITIONAL = {
    "JobRole": "no page of Glue says that it sends aws:SourceAccount",
    "CrawlerRole": "no page of Glue says that it sends aws:SourceAccount",
    "RedshiftRole": "no page of Redshift says that it sends aws:SourceAccount",
    "EventsRole": "the page of ECS has none for the role by which EventBridge starts a task",
    "Role": "no page of QuickSight says that it sends aws:SourceAccount",
    "ExecutionRole": "the page of ECS has it for the role of the task, and none for the one that starts it",
}
"""Roles that a service may take whoever asks it, and why: with a key that does not come, nobody could take them."""
ANY_RESOURCE = {"ecr:GetAuthorizationToken"}
"""Actions that know no resource."""


@pytest.mark.parametrize("template", TEMPLATES, ids=named)
def test_roles_may_do_named_things_with_named_resources(template):
    for logical, resource in yaml.load(template.read_text(), Loader)["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for statement in (statement for document in documents for statement in document["Statement"]):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action], f"{logical}: {actions}"
            if any(action.startswith("s3:") for action in actions):
                mine = statement.get("Condition", {}).get("StringEquals", {}).get("aws:ResourceAccount")
                assert mine == {"Ref": "AWS::AccountId"}, f"{logical}: a bucket of that name may be anyone's"
            if statement["Resource"] == "*":
                assert set(actions) <= ANY_RESOURCE, f"{logical}: {actions} on everything"
        for arn in properties.get("ManagedPolicyArns", []):
            assert isinstance(arn, dict), f"{logical}: {arn} is somebody else's policy"
        for statement in properties.get("AssumeRolePolicyDocument", {}).get("Statement", []):
            assert ("Condition" in statement) == (logical not in UNCONDITIONAL), f"{logical}: {statement}"


def test_tables_with_personal_data_have_a_crawler_of_their_own():
    """As the schemas mark them: in the other database they would be everyone's."""
    resources = yaml.load((ROOT / "deploy" / "cloudformation" / "account.yaml").read_text(), Loader)["Resources"]
    for crawler, is_personal in (("Crawler", False), ("PersonalCrawler", True)):
        paths = [target["Path"]["Fn::Sub"][0] for target in resources[crawler]["Properties"]["Targets"]["S3Targets"]]
        tables = [path.rstrip("/").rpartition("/")[2] for path in paths]
        assert tables
        for table in tables:
            marked = "x-personal" in (ROOT / "schemas" / f"{table}.json").read_text()
            assert marked == is_personal, f"{table} is crawled by {crawler}"


def test_parameters_are_read_from_templates_without_yaml():
    """deploy.py shows what differs from the defaults, and has no YAML to read them with."""
    script = """if True:
        import json, pathlib, stacks
        for path in sorted(pathlib.Path("cloudformation").glob("*.yaml")):
            found = stacks.Template(path.stem).parameters
            print(json.dumps({name: [each.default, each.pattern] for name, each in found.items()}))
    """
    done = run(sys.executable, "-c", script, cwd=ROOT / "deploy").succeeded()
    of_deploy = [template for template in TEMPLATES if template.parent.name == "cloudformation"]
    for template, line in zip(of_deploy, done.out.splitlines(), strict=True):
        declared = yaml.load(template.read_text(), Loader)["Parameters"]
        assert json.loads(line) == {
            name: [str(rules.get("Default", "")), rules.get("AllowedPattern")] for name, rules in declared.items()
        }


def test_the_launcher_needs_what_glue_has():
    tool("vermin", "--quiet", "--no-tips", "--violations", "-t=3.9-", LAUNCHER)
    launcher, modules = ast.parse(LAUNCHER.read_text(), feature_version=(3, 9)), set()
    # What only a checker of types reads is not imported.
    launcher.body = [
        node for node in launcher.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(launcher):
        if isinstance(node, ast.Import):
            modules |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module.partition(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"boto3", "botocore"}


def test_no_argument_of_the_job_has_a_name_that_glue_keeps_for_itself():
    """The developer guide names those that are never to be set."""
    sources = [LAUNCHER, *(ROOT / "deploy").glob("*.py"), *TEMPLATES]
    names = {name for source in sources for name in re.findall(r"--[A-Za-z][\w-]*", source.read_text())}
    assert {"--account", "--only", "--release"} <= names
    assert not names & {"--conf", "--debug", "--mode", "--JOB_NAME"}


def test_the_picture_of_the_architecture_is_of_its_source():
    images = ROOT / "docs" / "images"
    drawn = re.sub(r"\s+", " ", (images / "architecture.svg").read_text())
    labels = re.findall(r"<b>(.*?)</b>", (images / "architecture.dot").read_text())
    assert labels
    for label in labels:
        assert f">{label.replace('-', '&#45;')}<" in drawn, (
            f"{label} is not in the picture; draw it again: make diagrams"
        )


def test_settings_that_are_deployed_are_those_of_the_examples():
    """The partitions of the tables are chosen once."""
    example = json.loads((ROOT / "examples" / "target-s3.json").read_text())
    deployed = json.loads((ROOT / "deploy" / "config" / "target.json").read_text())
    assert deployed["streams"] == example["streams"]
    assert json.loads((ROOT / "deploy" / "config" / "tap.json").read_text()) == json.loads(
        (ROOT / "examples" / "tap.json").read_text()
    )
