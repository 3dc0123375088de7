"""Secrets that lie open: a file of settings that others can read, a way without encryption, a password in a URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import TAP, TARGET, TOKEN, Run, run

NOWHERE = "no-such-host.invalid"
SECRET = "hidden-secret-of-the-test"
KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET}


def started(folder: Path, program: Path, settings: dict[str, Any], mode: int = 0o600, *more: str, **env: str) -> Run:
    """A start that goes no further than the settings: of messages or streams there are none."""
    file, none = folder / "my settings.json", folder / "catalog.json"
    file.write_text(json.dumps(settings))
    file.chmod(mode)
    none.write_text('{"streams": []}')
    catalog = ["--catalog", none] if program == TAP else []
    done = run(program, "--config", file, *more, *catalog, env=env)
    assert SECRET not in done.out + done.err and TOKEN not in done.out + done.err
    return done


PROGRAMS = [
    pytest.param(TAP, {"api_token": TOKEN}, "api_token", id="tap"),
    pytest.param(TARGET, {"destination": "lake", "s3": KEYS}, "s3.access_key_id", id="target"),
]


@pytest.mark.parametrize(("program", "settings", "secret"), PROGRAMS)
def test_a_file_with_a_secret_that_others_can_read_is_a_warning(
    tmp_path: Path, program: Path, settings: dict[str, Any], secret: str
) -> None:
    settings = {**settings, "destination": str(tmp_path / "lake")} if program == TARGET else settings
    for mode in (0o644, 0o640, 0o604, 0o660, 0o622):
        done = started(tmp_path, program, settings, mode).succeeded()
        assert done.err.count("can be read by other users") == 1
        assert f"the secret `{secret}`" in done.err and f"chmod 600 {tmp_path}/my settings.json" in done.err
    for mode in (0o600, 0o400):
        assert "chmod" not in started(tmp_path, program, settings, mode).succeeded().err


def test_a_file_without_a_secret_may_be_read_by_all(tmp_path: Path) -> None:
    for program, settings in ((TAP, {"concurrency": 2}), (TARGET, {"destination": str(tmp_path / "lake")})):
        env = {"TAP_WISTIA_API_TOKEN": TOKEN}
        done = started(tmp_path, program, settings, 0o644, "--config", "ENV", **env).succeeded()
        assert "chmod" not in done.err


def test_a_pipe_lies_nowhere(tmp_path: Path) -> None:
    """Settings that a password manager prints."""
    (tmp_path / "c.json").write_text(json.dumps({"api_token": TOKEN}))
    (tmp_path / "none.json").write_text('{"streams": []}')
    script = f"{TAP} --catalog none.json --config <(cat c.json)"
    assert "chmod" not in run("bash", "-c", script, cwd=tmp_path).succeeded().err


@pytest.mark.parametrize(
    ("program", "settings", "key"),
    [
        pytest.param(TAP, {"api_token": TOKEN, "api_url": "{}/v1"}, "api_url", id="api_url"),
        pytest.param(TARGET, {"s3": {"endpoint_url": "{}", **KEYS}}, "s3.endpoint_url", id="s3"),
        pytest.param(
            TARGET,
            {"destination": "s3://b/p", "catalog": {"type": "glue", "database": "D", "endpoint_url": "{}"}},
            "catalog.endpoint_url",
            id="glue",
        ),
    ],
)
def test_plain_http_is_a_warning_unless_it_stays_here(
    tmp_path: Path, program: Path, settings: dict[str, Any], key: str
) -> None:
    if program == TARGET:
        settings = {"destination": str(tmp_path / "lake"), **settings}

    def said(url: str) -> str:
        return started(tmp_path, program, json.loads(json.dumps(settings).replace("{}", url))).err

    for host in (NOWHERE, "192.0.2.1:9000", "localhost.example.com", "[2001:db8::1]"):
        err = said(f"http://{host}")
        assert err.count("unencrypted") == 1 and f"`{key}` is http:// to " in err and "use https://" in err
    for url in (
        "http://localhost:1",
        "http://127.1.2.3:1",
        "http://[::1]:1",
        "http://s3.localhost:1",
        "https://192.0.2.1",
    ):
        assert "unencrypted" not in said(url), url


def test_a_password_in_the_url_of_the_api_is_refused_and_not_shown(tmp_path: Path) -> None:
    for url in (f"https://user:{SECRET}@api.wistia.com/v1", f"http://{SECRET}@{NOWHERE}/v1", f"htps://u:{SECRET}@h"):
        done = started(tmp_path, TAP, {"api_token": TOKEN, "api_url": url})
        done.refused("`api_url`", "user or a password")
