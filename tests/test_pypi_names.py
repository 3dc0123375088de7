"""A release stops before it is built where a name on PyPI is somebody else's. PyPI is a stand-in."""

import http.server
import json
import subprocess
import sys
import threading

import pytest

from harness import ROOT

OURS = "tap-wistia/tap-wistia"


def project(pypi, *files):
    """A project whose files were uploaded in an order that is not theirs; each with its provenance, or without."""
    listed = []
    for number, published in enumerate(files):
        file = {"filename": f"{number}.whl", "upload-time": f"2026-01-0{number + 1}T00:00:00Z", "provenance": None}
        if published:
            path = f"/integrity/tap-wistia/{number}/{number}.whl/provenance"
            pypi[path] = published
            file["provenance"] = pypi["url"] + path
        listed.insert(0, file)
    pypi["/simple/tap-wistia/"] = {"meta": {"api-version": "1.4"}, "name": "tap-wistia", "files": listed}


def provenance(kind="GitHub", repository=OURS):
    publisher = {"kind": kind, "repository": repository, "workflow": "release.yml", "environment": "pypi"}
    return {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": [{}]}]}


@pytest.fixture
def pypi():
    """An index that answers what a test has laid down, by path."""
    answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path)
            status = answer if isinstance(answer, int) else 200 if answer is not None else 404
            body = json.dumps(answer if status == 200 else {"message": "no"}).encode()
            if self.path.startswith("/simple/") and "pypi.simple.v1+json" not in self.headers["Accept"]:
                status, body = 200, b"<!DOCTYPE html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers["url"] = f"http://127.0.0.1:{server.server_port}"
    yield answers
    server.shutdown()
    server.server_close()


def checked(pypi, *names):
    command = [sys.executable, ROOT / "scripts" / "pypi_names.py", "--index", pypi["url"], "--repository", OURS, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_names_that_nobody_has_are_free(pypi):
    done = checked(pypi, "tap-wistia", "target-s3-parquet")
    assert (done.returncode, done.stdout) == (0, "tap-wistia: free\ntarget-s3-parquet: free\n"), done.stderr


def test_a_name_whose_newest_files_our_workflow_published_is_ours(pypi):
    project(pypi, None, provenance())
    done = checked(pypi, "tap-wistia")
    assert (done.returncode, done.stdout) == (0, "tap-wistia: ours\n"), done.stderr


@pytest.mark.parametrize(
    ("published", "said"),
    [
        (provenance(repository="somebody/tap-wistia"), "was published by somebody/tap-wistia, not by"),
        (provenance(kind="GitLab"), "was published by GitLab, not by"),
        (None, "was published by nobody PyPI knows, not by"),
    ],
)
def test_a_name_of_somebody_else_stops_the_release(pypi, published, said):
    project(pypi, provenance(), published)
    done = checked(pypi, "target-s3-parquet", "tap-wistia")
    assert done.returncode == 1 and f"::error::tap-wistia {said}" in done.stderr
    assert done.stdout == "target-s3-parquet: free\n"


def test_a_name_without_a_file_is_nobodys_word(pypi):
    project(pypi)
    done = checked(pypi, "tap-wistia")
    assert done.returncode == 1 and "has no file that would say by whom" in done.stderr


def test_an_index_that_does_not_answer_is_no_free_name(pypi):
    pypi["/simple/tap-wistia/"] = 503
    done = checked(pypi, "tap-wistia")
    assert done.returncode == 1 and "free" not in done.stdout and "503" in done.stderr
