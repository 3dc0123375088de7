"""The state in an object on S3: what `--state-out s3://…` keeps, `--state s3://…` takes up."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import TAP, TARGET, free_port, run

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-state"}

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.fixture
def tap(tmp_path, simulator):
    config = tmp_path / "tap.json"
    config.write_text(json.dumps(simulator(medias=3).settings()))

    def read(url, env):
        return run(TAP, "--config", config, "--state", url, env=env)

    return read


@pytest.fixture
def bucket(s3):
    name = f"state-{free_port()}"
    s3.bucket(name)
    return name


def server(status, body=b""):
    """A server that answers everything alike. Its address, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers.items())))
            self.send_response(status)
            for name, value in {"Content-Length": len(body), "ETag": '"x"', "Last-Modified": DATE}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=here.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{here.server_port}", asked


def test_the_same_command_is_right_on_the_first_night_and_on_every_other(s3, bucket, tap, tmp_path):
    env = {"AWS_ENDPOINT_URL": s3.url, **KEYS}
    url = f"s3://{bucket}/nights/state.json"
    config = tmp_path / "target.json"
    config.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake")))

    def night():
        read = tap(url, env).succeeded()
        run(TARGET, "--config", config, "--state-out", url, stdin=read.out).succeeded()
        return read

    first, second = night(), night()
    assert f"WARN {url} is not there yet: this is the first sync" in first.err
    assert "not there" not in second.err and "first sync" not in second.err
    assert 0 < len(second.of_type("RECORD", "fact_events")) < len(first.of_type("RECORD", "fact_events"))
    kept = json.loads(s3.client.get_object(Bucket=bucket, Key="nights/state.json")["Body"].read())
    assert kept == second.of_type("STATE")[-1]["value"]
    for done in (first, second):
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.out + done.err


def test_an_object_that_says_nothing_is_a_first_sync_and_a_damaged_one_is_an_error(s3, bucket, tap):
    env = {"AWS_ENDPOINT_URL_S3": s3.url, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **KEYS}
    url = f"s3://{bucket}/state.json"
    s3.client.put_object(Bucket=bucket, Key="state.json", Body=b"\n")
    assert "this is the first sync" in tap(url, env).succeeded().err
    s3.client.put_object(Bucket=bucket, Key="state.json", Body=b'{"bookmarks": 1}')
    tap(url, env).refused(url, "is no valid state")


def test_credentials_and_region_come_as_other_tools_have_them(tap, tmp_path):
    """Variables before the profile, the profile before the container; of a profile the region too."""
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text("[night]\naws_access_key_id = profile\naws_secret_access_key = test\n")
    config.write_text("[profile night]\nregion = eu-north-1\n")
    profile = {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "night",
    }
    keys = {"AccessKeyId": "container", "SecretAccessKey": "test", "Token": "t", "Expiration": "2100-01-01T00:00:00Z"}
    lender, lent = server(200, json.dumps(keys).encode())
    token = tmp_path / "token"
    token.write_text("of-the-pod")
    container = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lender}/keys",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
    }
    address, asked = server(200, b"{}")
    for env, expected in (
        ({**profile, **container, **KEYS, "AWS_REGION": "us-west-2"}, ["test", "us-west-2"]),
        ({**profile, **container}, ["profile", "eu-north-1"]),
        ({**container, "HOME": str(tmp_path)}, ["container", "us-east-1"]),
    ):
        tap("s3://bucket/nights/state.json", {"AWS_ENDPOINT_URL": address, **env}).succeeded()
        path, headers = asked[-1]
        signed = {name.lower(): value for name, value in headers.items()}["authorization"]
        assert signed.split("Credential=")[1].split("/")[:3:2] == expected
        assert path == "/bucket/nights/state.json"
        assert bool(lent) == (expected[0] == "container")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", ["it names no object", "s3://bucket/key"]),
        ("s3://bucket", ["it names no object"]),
        ("s3://bucket/", ["it names no object"]),
    ],
)
def test_a_url_that_names_no_object_is_refused(tap, url, words):
    tap(url, KEYS).refused(f"could not read {url}", *words, code=2)


def test_what_keeps_the_state_from_being_read_is_said(s3, tap):
    tap("s3://bucket/state.json", {}).refused("there are no credentials for AWS", "export-credentials", code=2)
    denied, _ = server(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
    done = tap("s3://bucket/state.json", {"AWS_ENDPOINT_URL": denied, **KEYS})
    done.refused("could not read s3://bucket/state.json", "s3:ListBucket", code=2)
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = tap("s3://bucket/state.json", {"AWS_ENDPOINT_URL": nowhere, **KEYS})
    done.refused("could not read s3://bucket/state.json", "refused", code=2)
    done = tap(f"s3://no-such-bucket-{free_port()}/state.json", {"AWS_ENDPOINT_URL": s3.url, **KEYS})
    done.refused("NoSuchBucket", code=2)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.err
