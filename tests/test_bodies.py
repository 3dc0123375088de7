"""What an answer says of a viewer stays out of the log, whatever is wrong with the answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from harness import TAP, TOKEN, run
from odd_rows import json_reply, reply
from stub_syncs import Sync, catalog, sync
from wistia_stub import MEDIAS, Answer, Reply, Stub, encode, event, visitor

ADDRESS, PLACE, KEY, MAIL = "203.0.113.77", "Qzxkyoto", "qzxviewer", "qzxada@example.com"
WORDS = (ADDRESS, "qzx", "Qzx")
"""What all that is personal here has in it."""

EVENT = {
    **event(1, MEDIAS[0], date(2026, 1, 1)),
    "ip": ADDRESS,
    "city": PLACE,
    "org": PLACE,
    "email": MAIL,
    "visitor_key": KEY,
    "embed_url": f"https://www.example.com/?mail={MAIL}",
    "iframe_heatmap_url": "https://api.example.com/iframe.html?public_token=qzxtoken",
}
VIEWER = {
    **visitor(1),
    "visitor_key": KEY,
    "visitor_identity": {"name": "Qzxada", "email": MAIL, "org": {"name": PLACE, "title": "qzx"}},
}
ROWS = [{**EVENT, **VIEWER}] * 2
PAGE = encode(ROWS)
HTML = f"<html><head><title>{ADDRESS}</title></head><body>Not for {MAIL} of {PLACE}</body></html>"
TEXT = f"{MAIL} of {PLACE} came from {ADDRESS}"
TYPED = {"Content_Type": "text/html; charset=utf-8"}

BODIES = {
    "a page of viewers": PAGE,
    "a page that breaks off": PAGE[:-300],
    "a page within an object": encode({"rows": ROWS}),
    "a problem in detail": encode({"title": PLACE, "detail": TEXT, "reason": MAIL}),
    "an error that is a row": encode({"error": EVENT, "errors": {"rows": EVENT}, "message": [ROWS]}),
    "HTML": HTML.encode(),
    "text": TEXT.encode(),
    "a JSON text": encode(TEXT),
    "markup": f"<?xml version='1.0'?><Error>{TEXT}</Error>".encode(),
    "UTF-16": TEXT.encode("utf-16"),
}


def every(changes: dict[str, object]) -> Answer:
    return json_reply([{**row, **changes} for row in ROWS])


BROKEN: dict[str, Answer] = {
    **{
        f"{status} with {name}": reply(status, body, **TYPED)
        for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503)
        for name, body in BODIES.items()
    },
    **{f"200 with {name}": reply(200, body, **TYPED) for name, body in BODIES.items() if body != PAGE},
    "a page with text behind it": reply(200, PAGE + TEXT.encode()),
    "a page with text before it": reply(200, TEXT.encode() + PAGE),
    "a page that the network cuts": lambda asked, truth: Reply(PAGE, length=len(PAGE) + 10),
    "no HTTP": lambda asked, truth: Reply(TEXT.encode(), bare=True),
    "gzip of HTML": reply(200, gzip.compress(HTML.encode()), Content_Encoding="gzip"),
    "gzip that breaks off": reply(200, gzip.compress(PAGE * 99)[:-9], Content_Encoding="gzip"),
    "gzip that is a page": reply(200, PAGE, Content_Encoding="gzip"),
    "a type that is an address": reply(200, TEXT, Content_Type=MAIL),
    "rows by their addresses": json_reply({MAIL: EVENT, ADDRESS: VIEWER}),
    "rows of addresses": json_reply([{MAIL: 1}, {ADDRESS: 2}]),
    "rows that are texts": json_reply([TEXT, TEXT]),
    "rows that are lists": json_reply([[TEXT], [EVENT]]),
    "keys that are objects": every({"event_key": {MAIL: 1}, "visitor_key": {ADDRESS: 1}}),
    "numbers that are texts": every({"lat": TEXT, "load_count": MAIL}),
    "texts that are objects": every({"city": {MAIL: TEXT}, "created_at": {ADDRESS: 1}}),
}


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.stop()


def test_the_words_are_in_what_is_answered() -> None:
    for name, body in BODIES.items():
        text = body.decode("utf-16" if name == "UTF-16" else "utf-8")
        assert any(word in text for word in WORDS), name


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in BROKEN.items()])
def test_no_body_is_in_the_log(stub: Stub, tmp_path: Path, answer: Answer) -> None:
    def synced(treatment: str) -> Sync:
        settings = {"personal_data": treatment, "personal_data_salt": "pepper of some length"}
        (tmp_path / treatment).mkdir()
        return sync(stub, tmp_path / treatment, ["dim_projects", "fact_events", "visitors"], **settings)

    # What is no JSON is asked for again after a while: all three wait at the same time.
    with stub.serving(answers={"events": answer, "visitors": answer}), ThreadPoolExecutor() as pool:
        treated = list(pool.map(synced, ("keep", "hash", "drop")))
    for done in treated:
        assert done.code == 1
        assert set(done.summary["failed"]) == {"fact_events", "visitors"}
        assert not [word for word in WORDS if word in done.err or word in done.out], done.log


def test_at_debug_a_body_is_shown_without_the_token(stub: Stub, tmp_path: Path) -> None:
    documents = {
        "config": {"api_token": TOKEN, "api_url": stub.url, "retry_for_seconds": 0},
        "catalog": catalog(["visitors"]),
    }
    command = [TAP]
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
        command += [f"--{name}", str(tmp_path / name)]
    body = f"{TOKEN} {TEXT}"
    for status in (200, 500):
        with stub.serving(answers={"visitors": reply(status, body)}):
            done = run(*command, env={"TAP_WISTIA_LOGLEVEL": "debug"}).refused(f"text, {len(body)} bytes")
            assert f"what was answered: *** {TEXT}" in done.err and TOKEN not in done.err
            done = run(*command).refused(f"text, {len(body)} bytes")
            assert "***" not in done.err and MAIL not in done.err
