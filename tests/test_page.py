"""The page beside the lake: deployed into the simulated account, built and published with the rights of its task."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import publish
from aws import BUCKET, LAKE, Account, rights
from aws_stacks import Loader
from harness import ROOT, TARGET, Pipe, Simulator, lines, run
from marts import PATIENCE
from recipes import blocks, looks_like

pytestmark = pytest.mark.xdist_group("dbt")

PYTHON = ROOT / ".venv-dbt" / "bin" / "python"
TEMPLATE = ROOT / "deploy" / "cloudformation" / "page.yaml"
STACK = "wistia-lake-wistia-page"


class Links(html.parser.HTMLParser):
    """The files that a page leads to."""

    def __init__(self, text):
        super().__init__()
        self.found = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address = dict(attrs).get("href") or ""
        if tag == "a" and address.endswith((".html", ".txt")):
            self.found.add(address)


def reached(files):
    """What a reader can open, from index.html on; what is not there is None."""
    found, ahead = {}, {"index.html"}
    while ahead:
        name = ahead.pop()
        found[name] = files.get(name)
        ahead |= Links(found[name] or "").found - set(found)
    return found


class Published:
    """An account with a lake that the target has written, and the page of it."""

    def __init__(self, folder):
        self.folder, self.account = folder, Account()
        self.key = folder / "page.pem"
        (folder / "deploy").symlink_to(ROOT / "deploy")

    def deploy(self):
        """From the empty account to a page that can be built."""
        self.account.lake().succeeded()
        self.account.deploy("account", "wistia").succeeded()
        self.before = rights(self.account)
        self.type_the_guide()
        self.page("Marts=athena")
        catalog = {"type": "glue", "database": "wistia", "personal_database": "wistia__personal"}
        catalog |= {"endpoint_url": self.account.url, "region": "us-east-1"}
        simulator = Simulator(seed=21, medias=4, events=60, days=300)
        settings = self.account.settings(f"s3://{BUCKET}/lake/wistia", catalog=catalog)
        try:
            Pipe(self.folder, simulator.settings(), settings).sync()
        finally:
            simulator.stop()
        self.task = self.account.service("ecs").describe_task_definition(taskDefinition=STACK)["taskDefinition"]
        (self.container,) = self.task["containerDefinitions"]
        self.command = dict(word.removeprefix("--").split("=", 1) for word in self.container["command"])
        self.bucket = self.command["bucket"]

    def type_the_guide(self):
        """What `docs/aws.md` tells to type, from the key to the link."""
        self.typed = []
        for block in blocks("docs/aws.md"):
            if block.marks.get("run by") == "tests/test_page.py":
                for command, answer in block.commands():
                    command = command.replace("python ", f"{sys.executable} ", 1)
                    done = run("bash", "-c", command, cwd=self.folder, env=self.account.environment()).succeeded()
                    assert looks_like(answer, done.out), done.out
                    self.typed.append(command)

    def page(self, *parameters):
        words = [word for parameter in parameters for word in ("-p", parameter)]
        return self.account.deploy("page", "wistia", *words).succeeded()

    def run(self, root=ROOT, **others):
        """What the task runs, with the rights of its role and the command of its definition."""
        command = [f"--{name}={value}" for name, value in {**self.command, **others}.items()]
        variables = {variable["name"]: variable["value"] for variable in self.container["environment"]}
        role = self.task["taskRoleArn"].rpartition("/")[2]
        env = {**self.account.environment(role), **variables}
        return run(PYTHON, root / "deploy" / "page" / "publish.py", *command, env=env, timeout=PATIENCE)

    def files(self):
        return {key: self.object(key)["Body"].read().decode() for key in self.account.keys(self.bucket)}

    def object(self, key):
        return self.account.client.get_object(Bucket=self.bucket, Key=key)

    def versions(self):
        return {key: self.object(key)["VersionId"] for key in self.account.keys(self.bucket)}

    def kept(self):
        return {name: text.encode() for name, text in self.files().items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    assert PYTHON.exists(), "there is no builder: make .venv-dbt/.ready"
    made = Published(tmp_path_factory.mktemp("page"))
    try:
        made.deploy()
        made.first = made.run()
        yield made
    finally:
        made.account.stop()


def test_the_task_publishes_the_page_and_makes_the_marts(published):
    """Every call it makes is held against the policies of its role, and so are Glue and S3 that Athena uses."""
    done = published.first.succeeded()
    files = published.files()
    pages = {path.with_suffix(".html").name for path in (ROOT / "report" / "pages").glob("*.md")}
    assert set(files) == {*pages, "LICENCES.txt"} and None not in reached(files).values()
    assert set(reached(files)) == set(files)
    assert f"s3://{published.bucket}: {len(files)} files" in done.out
    for name in files:
        kind = "text/html" if name.endswith(".html") else "text/plain"
        told = published.object(name)
        assert (told["ContentType"], told["CacheControl"]) == (f"{kind}; charset=utf-8", "max-age=60")
    # The figures are those of the lake.
    assert "days" in json.loads(files["index.html"].split('id="data">', 1)[1].split("</script>", 1)[0])["answers"]
    tables = published.account.glue.get_tables(DatabaseName="wistia__marts")["TableList"]
    marts = {path.stem for path in (ROOT / "dbt" / "models" / "marts").glob("*.sql")}
    assert marts <= {table["Name"] for table in tables} and "wistia__marts: Done. PASS=" in done.out


def test_the_guide_goes_from_a_key_to_a_link(published):
    assert [command.split()[0].rpartition("/")[2] for command in published.typed][:2] == ["openssl", "openssl"]
    assert [command.split()[2] for command in published.typed if "deploy.py" in command] == ["page", "link"]
    assert (published.folder / "wistia-superset.zip").stat().st_size > 1000


def test_the_role_of_the_task_reaches_this_account_of_the_lake_and_no_other(published):
    account, role = published.account, published.task["taskRoleArn"].rpartition("/")[2]
    account.write("lake/acme/dim_media/part.parquet", b"another's")
    mine = rights(account)["inline"][f"{role} publish"]["Statement"]
    writing = [each for each in mine if {"s3:PutObject", "s3:DeleteObject"} & set(each["Action"])]
    assert {each["Resource"] for each in writing} == {f"arn:aws:s3:::{published.bucket}/*"}
    attack = (
        "import boto3, sys\ns3 = boto3.client('s3')\n"
        "for call in (lambda: s3.get_object(Bucket=sys.argv[1], Key='lake/acme/dim_media/part.parquet'),\n"
        "    lambda: s3.put_object(Bucket=sys.argv[1], Key='lake/wistia/dim_media/x', Body=b''),\n"
        "    lambda: boto3.client('secretsmanager').get_secret_value(SecretId='wistia-lake/wistia'),\n"
        "    lambda: boto3.client('glue').delete_table(DatabaseName='wistia', Name='dim_media')):\n"
        "    try:\n        call()\n        sys.exit('allowed')\n"
        "    except Exception as error:\n        assert 'AccessDenied' in str(error), error\n"
    )
    run(sys.executable, "-c", attack, BUCKET, env=account.environment(role)).succeeded()


def test_without_marts_nothing_of_athena_is_allowed_and_glue_is_read(published):
    resources = yaml.load(TEMPLATE.read_text(), Loader)["Resources"]
    named = {name for name, each in resources.items() if each.get("Condition") == "HasMarts"}
    assert named == {"MartsBucket", "MartsBucketPolicy", "MartsDatabase", "Workgroup", "MartsPolicy"}
    actions = json.dumps(resources["TaskRole"])
    assert "athena:" not in actions and set(re.findall("glue:[A-Za-z]+", actions)) == {
        "glue:GetTable",
        "glue:GetTables",
    }
    assert resources["TaskRole"]["Properties"]["ManagedPolicyArns"] == [
        {"Fn::If": ["HasMarts", {"Ref": "MartsPolicy"}, {"Ref": "AWS::NoValue"}]}
    ]


def replayed(before, after, requests, bucket):
    """The bucket after each request that changed it."""
    now = dict(before)
    for request in requests:
        _, _, key = request["path"].removeprefix(f"/{bucket}").partition("/")
        if request["path"].startswith(f"/{bucket}/") and request["action"] in ("PUT", "DELETE"):
            if request["action"] == "PUT":
                now[key] = after[key]
            else:
                del now[key]
            yield dict(now)


@pytest.fixture
def another(published):
    """A site with a page more than the one that is published, and one less."""
    files = published.kept()
    text = files["index.html"].decode()
    here = {name: body for name, body in files.items() if name != "channels.html"}
    here["weekdays.html"] = text.replace("channels.html", "weekdays.html").encode()
    return {
        name: body.replace(b'href="channels.html"', b'href="weekdays.html"') if name.endswith(".html") else body
        for name, body in here.items()
    }


def test_at_every_moment_all_that_can_be_reached_is_there(published, another):
    before, s3 = published.files(), published.account.client
    first = published.kept()
    for files in (another, first):
        published.account.forget()
        publish.publish(s3, published.bucket, files, 0)
        after = {name: body.decode() for name, body in files.items()}
        moments = list(replayed(before, after, published.account.requests(), published.bucket))
        assert len(moments) == len(files) + 1 and moments[-1] == after == published.files()
        for moment in moments:
            assert None not in reached(moment).values()
        before = after


@pytest.mark.parametrize("skip", [0, 1, 4, 6])
def test_a_publication_that_breaks_off_leaves_a_page_that_can_be_read(published, another, skip):
    """The storage refuses a write, the last of which is that of index.html; the next run mends it."""
    first, s3 = published.kept(), published.account.client
    count = 0

    def refuse(params, **_):
        nonlocal count
        count += 1
        if count > skip:
            raise publish.Failure("refused")

    s3.meta.events.register("before-parameter-build.s3.PutObject", refuse)
    try:
        with pytest.raises(publish.Failure, match="refused"):
            publish.publish(s3, published.bucket, another, 0)
    finally:
        s3.meta.events.unregister("before-parameter-build.s3.PutObject", refuse)
    broken = published.files()
    assert None not in reached(broken).values() and "channels.html" in broken
    publish.publish(s3, published.bucket, first, 0)
    assert published.kept() == first


def test_a_build_that_fails_changes_nothing_and_says_why(published):
    """A lake whose table is one of Iceberg, which DuckDB does not read."""
    before = published.versions()
    published.account.write("lake/wistia/dim_media/metadata/v1.metadata.json", b"{}")
    try:
        done = published.run(marts="none")
    finally:
        published.account.client.delete_object(Bucket=BUCKET, Key="lake/wistia/dim_media/metadata/v1.metadata.json")
    assert done.code == 1 and "Traceback (most" not in done.err.split("error:")[0]
    assert "the page could not be built, and the bucket stays as it is" in done.err
    assert "is a table of Iceberg" in done.err
    assert published.versions() == before


def test_tables_of_iceberg_that_glue_keeps_are_on_the_page(published):
    """Another pipeline writes them, into the database that the task is told of."""
    schema = json.loads((ROOT / "schemas" / "bridge_media_channel.json").read_text())
    row = {"media_id": "m", "channel": "Kept by Glue", "source": "rule", "channel_id": "Kept by Glue"}
    named = {"stream": "bridge_media_channel", "key_properties": ["media_id", "channel_id", "source"], "schema": schema}
    catalog = {"type": "glue", "database": "wistia", "endpoint_url": published.account.url, "region": "us-east-1"}
    lake = published.account.settings(f"s3://{BUCKET}/lake/wistia", catalog=catalog, table_format="iceberg")
    (config := published.folder / "iceberg.json").write_text(json.dumps(lake))
    record = {"type": "RECORD", "stream": "bridge_media_channel", "record": row}
    run(TARGET, "--config", config, stdin=lines({"type": "SCHEMA", **named}, record)).succeeded()
    published.run(marts="none").succeeded()
    health = published.files()["health.html"].split('id="data">', 1)[1].split("</script>", 1)[0]
    tables = json.loads(health)["answers"]["tables"]["columns"]
    at = tables["table_name"]["words"].index("bridge_media_channel")
    assert tables["row_count"]["values"][tables["table_name"]["at"].index(at)] == 1


def test_a_site_that_could_not_be_read_is_refused(published):
    files, policy = published.kept(), published.command["content-security-policy"]
    publish.check(files, policy)
    for wrong, said in (
        ({name: body for name, body in files.items() if name != "index.html"}, "has no index.html"),
        ({name: body for name, body in files.items() if name != "video.html"}, "links to video.html"),
        ({**files, "world.json": b"{}"}, "world.json: a page consists of"),
    ):
        with pytest.raises(publish.Failure, match=said):
            publish.check(wrong, policy)
    with pytest.raises(publish.Failure, match="image and stack are of two versions"):
        publish.check(files, policy.replace("img-src data:", "img-src *"))


def test_two_at_once_remove_nothing(published, another, monkeypatch, capsys):
    """While one waits before it removes, the other writes its index.html."""
    first, s3 = published.kept(), published.account.client

    def meanwhile(_seconds):
        s3.put_object(Bucket=published.bucket, Key="index.html", Body=b"another's")

    monkeypatch.setattr(publish.time, "sleep", meanwhile)
    publish.publish(s3, published.bucket, another, 0)
    assert "another run publishes" in capsys.readouterr().err and "channels.html" in published.files()
    monkeypatch.undo()
    publish.publish(s3, published.bucket, first, 0)
    assert published.kept() == first


def link_of(published, *flags):
    return published.account.deploy("link", "wistia", *flags)


def test_a_link_is_signed_for_all_of_the_page_and_some_days(published):
    told = link_of(published, "--key", published.key, "--days", "3", "--from-ip", "192.0.2.0/24").succeeded()
    url = urlsplit(told.out.strip())
    given = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.path == "/open" and set(given) == {"policy", "signature", "key"}

    def plain(text):
        return subprocess.run(
            ["base64", "-d"],
            input=text.translate(str.maketrans("-_~", "+=/")).encode(),
            capture_output=True,
            check=True,
        ).stdout

    policy = plain(given["policy"])
    public = serialization.load_pem_public_key((published.folder / "page.pub.pem").read_bytes())
    public.verify(plain(given["signature"]), policy, padding.PKCS1v15(), hashes.SHA1())
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Resource"] == f"https://{url.netloc}/*"
    assert statement["Condition"]["IpAddress"] == {"AWS:SourceIp": "192.0.2.0/24"}
    cookies = link_of(published, "--key", published.key, "--cookies").succeeded().out
    assert [part.split("=", 1)[0].strip() for part in cookies.split(";")] == [
        "CloudFront-Policy",
        "CloudFront-Signature",
        "CloudFront-Key-Pair-Id",
    ]


def test_what_signs_nothing_is_told(published, tmp_path):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genrsa", "-out", other, "2048"], check=True, capture_output=True)
    link_of(published, "--key", other).refused("the page has another key")
    small = tmp_path / "small.pem"
    subprocess.run(["openssl", "genrsa", "-out", small, "1024"], check=True, capture_output=True)
    link_of(published, "--key", small).refused("no RSA key of 2048 bits")
    link_of(published, "--key", published.folder / "page.pub.pem").refused("no private key in PEM")
    link_of(published, "--key", published.key, "--days", "4000").refused("from 1 to 365")


def test_a_link_becomes_the_cookies_that_cloudfront_wants(published, tmp_path):
    """The function as it is in the template, with the link as it is given out."""
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no Node.js to run the function of CloudFront")
    code = yaml.load(TEMPLATE.read_text(), Loader)["Resources"]["Open"]["Properties"]["FunctionCode"]
    given = parse_qs(urlsplit(link_of(published, "--key", published.key).out.strip()).query)
    asked = [
        {name: {"value": values[0]} for name, values in given.items()},
        {},
        {**{name: {"value": values[0]} for name, values in given.items()}, "key": {"value": "K1; Domain=evil"}},
    ]
    script = f"{code}\nfor (const q of {json.dumps(asked)})\n"
    script += "console.log(JSON.stringify(handler({request: {querystring: q}})));"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    opened, *refused = map(json.loads, done.stdout.splitlines())
    assert (opened["statusCode"], opened["headers"]["location"]["value"]) == (302, "/")
    cookies = link_of(published, "--key", published.key, "--cookies").out
    names = [part.split("=", 1)[0].strip() for part in cookies.split(";")]
    assert list(opened["cookies"]) == names
    for name, key in zip(names, ("policy", "signature", "key"), strict=True):
        assert opened["cookies"][name]["value"] == given[key][0]
        assert opened["cookies"][name]["attributes"] == "Path=/; Secure; HttpOnly; SameSite=Lax"
    for answer in refused:
        assert answer["statusCode"] == 403 and "cookies" not in answer


def test_nobody_reads_without_a_key_and_all_of_it_by_tls():
    resources = yaml.load(TEMPLATE.read_text(), Loader)["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["TrustedKeyGroups"] == [{"Ref": "KeyGroup"}]
    assert config["DefaultRootObject"] == "index.html"
    behaviors = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert {behavior["ViewerProtocolPolicy"] for behavior in behaviors} == {"redirect-to-https", "https-only"}
    for behavior in config["CacheBehaviors"]:
        # What is open to everyone is answered by the function, with every request.
        assert (
            behavior["PathPattern"] == "/open" and behavior["FunctionAssociations"][0]["EventType"] == "viewer-request"
        )
    assert {json.dumps(behavior["ResponseHeadersPolicyId"]) for behavior in behaviors} == {'{"Ref": "Headers"}'}
    allowed = [
        each
        for each in resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    ]
    (reads,) = allowed
    assert (reads["Principal"], reads["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")
    assert "AWS:SourceArn".lower() in {key.lower() for key in reads["Condition"]["StringEquals"]}
    for bucket in ("Bucket", "MartsBucket"):
        assert set(resources[bucket]["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_policy_that_is_served_is_that_of_the_page(published):
    subprocess.run([sys.executable, ROOT / "scripts" / "page_policy.py", "--check"], check=True)
    assert published.command["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")


def test_the_page_comes_after_a_night_and_can_be_turned_off(published):
    events = published.account.service("events")
    rule = events.describe_rule(Name=STACK)
    assert json.loads(rule["EventPattern"])["detail"] == {"jobName": [LAKE], "state": ["SUCCEEDED"]}
    (target,) = events.list_targets_by_rule(Rule=STACK)["Targets"]
    assert target["EcsParameters"]["TaskDefinitionArn"] == published.task["taskDefinitionArn"]
    assert rule["State"] == "ENABLED"
    published.page("Page=off")
    assert events.describe_rule(Name=STACK)["State"] == "DISABLED"
    published.page("Page=on")


def test_what_was_there_before_has_the_rights_that_it_had(published):
    now = rights(published.account)
    for kind, before in published.before.items():
        if isinstance(before, dict):
            assert {name: now[kind][name] for name in before} == before


def test_the_image_has_what_it_runs(tmp_path):
    """Laid out as its file says; the build itself needs a registry of images."""
    folder = ROOT / "deploy" / "page"
    steps = re.findall(r"^COPY (\S+) (/app\S*)$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    taken = [line[1:] for line in (folder / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    for source, target in steps:
        assert any(source == each or source.startswith(f"{each}/") for each in taken), f"{source} is left out"
        place = tmp_path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("node_modules", "target", "logs"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    app = tmp_path / "app"
    (entry,) = re.findall(r'^ENTRYPOINT \["python3", "/(\S+)"\]$', (folder / "Dockerfile").read_text(), re.MULTILINE)
    (tmp_path / "lake").mkdir()
    # It begins, and the builder that it calls finds its modules and the pages.
    assert "--content-security-policy" in run(PYTHON, tmp_path / entry, "--help").succeeded().out
    found = run(PYTHON, "-c", "import publish; print(publish.ROOT)", cwd=(tmp_path / entry).parent).succeeded()
    assert found.out.strip() == str(app)
    run(PYTHON, app / "report" / "build.py", "--help").succeeded()
    assert (app / "report" / "pages" / "index.md").is_file() and (app / "dbt" / "dbt_project.yml").is_file()
