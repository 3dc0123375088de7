"""The simulator and the tap against what Wistia has published: answers, requests, refusals."""

import copy
import json

import pytest
import requests

from contract import (
    DEVIATIONS,
    PUBLISHED,
    UNDOCUMENTED,
    VERSION,
    Audit,
    Contract,
    Exchange,
    Finding,
    Mock,
    Recorder,
    example,
)
from harness import DEADLINE, JSON_LOG, TAP, TOKEN, Simulator, run

# The account is synced once for all.
pytestmark = pytest.mark.xdist_group("contract")

HEADERS = {"authorization": f"Bearer {TOKEN}", VERSION: "2026-03"}
LATER = "2026-09"
"""A version of the modern API after those that are published here."""

TIMESERIES = "/modern/analytics/medias/abc/timeseries"
EVENTS = "v1 /stats/events"


@pytest.fixture(scope="module")
def contract():
    if not PUBLISHED.is_dir():
        pytest.skip(f"the published descriptions are not in {PUBLISHED}")
    return Contract()


class Job:
    """The tap with all its streams."""

    def __init__(self, folder, **settings):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.settings = {"api_token": TOKEN, "requests_per_minute": 1_000_000, **settings}
        self.catalog = json.loads(run(TAP, "--discover").succeeded().out)
        for stream in self.catalog["streams"]:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = True

    @property
    def streams(self):
        return {stream["stream"] for stream in self.catalog["streams"]}

    def write(self, name, document):
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def run(self, *more, timeout=DEADLINE):
        config, catalog = self.write("config.json", self.settings), self.write("catalog.json", self.catalog)
        return run(TAP, "--config", config, "--catalog", catalog, *JSON_LOG, *more, timeout=timeout)


class Synced:
    """What passed between the tap and an ordinary account in a first sync, in the next and in a test."""

    def __init__(self, contract, folder):
        server = Simulator(seed=90, medias=40, events=2000)
        gone, too, *_ = [media["hashed_id"] for media in server.truth("dim_media")]
        try:
            server.delete(gone)
            with Recorder(server.url) as recorder:
                job = Job(folder, api_url=recorder.url)
                done = job.run().succeeded()
                self.first = Audit(contract, recorder.exchanges)
                recorder.exchanges.clear()
                server.grow(new_medias=2, new_events=40)
                server.delete(too)
                state = job.write("state.json", done.of_type("STATE")[-1]["value"])
                job.run("--state", state).succeeded()
                # An increment alone is too small to tell what is rare.
                self.both = Audit(contract, recorder.exchanges, self.first)
                recorder.exchanges.clear()
                self.failed = job.run("--test").code
                self.test = Audit(contract, recorder.exchanges)
        finally:
            server.stop()


@pytest.fixture(scope="module")
def synced(contract, tmp_path_factory):
    return Synced(contract, tmp_path_factory.mktemp("synced"))


def test_a_first_sync_asks_for_what_is_described_and_in_that_way(synced):
    clean(synced.first.wrong_requests())


def test_a_first_sync_is_answered_as_described(synced):
    clean(synced.first.wrong_answers())


def test_the_next_sync_is_as_described_too(synced):
    assert synced.both.exchanges > synced.first.exchanges
    clean(synced.both.wrong_requests())
    clean(synced.both.wrong_answers())


def test_a_test_of_the_settings_asks_for_what_is_described(synced):
    assert synced.test.exchanges
    clean(synced.test.wrong_requests())
    assert synced.failed == 0


def clean(found):
    assert not found, "\n".join(["", *found])


def exchange(target, body=None, status=200, method="GET", headers=HEADERS, kind="application/json"):
    """An exchange made by hand."""
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(method, target, dict(headers), status, {"content-type": kind}, text)


def ask(recorder, target, headers=HEADERS):
    requests.get(recorder.host + target, headers=headers, timeout=DEADLINE)
    return recorder.exchanges[-1]


RESOURCES = [
    "/v1/medias",
    "/v1/projects",
    "/v1/channels",
    "/v1/channel_episodes",
    "/v1/stats/events",
    "/v1/stats/visitors",
    "/v1/stats/medias/{media}",
    "/v1/stats/medias/{media}/by_date",
    "/v1/stats/medias/{media}/engagement",
    "/modern/stats/account/by_date",
    "/modern/analytics/medias/{media}/timeseries?granularity=daily&start_date=2026-01-01&end_date=2026-01-02",
]


NEEDED = {
    "start_date": "2026-01-01",
    "end_date": "2026-03-01",
    "granularity": "daily",
    "group_by": "utm_source",
    "hashed_id": "abc",
    "q": "a",
    "type": "media",
}
"""Values of the parameters that a resource cannot do without."""


def read(recorder, description, prefix, headers, names):
    """Asks for all that is described, page by page, and for what is of a media for each."""
    for template, operation in description.operations.items():
        known = {parameter["name"]: parameter for parameter in description.parameters(operation)}
        needed = [f"{name}={NEEDED[name]}" for name, it in known.items() if it["in"] == "query" and it.get("required")]
        first, *more = [name for name, parameter in known.items() if parameter["in"] == "path"] or [""]
        for value in names.get(first, ["1"]) if first else [""]:
            path = template.replace("{%s}" % first, value)
            for name in more:
                path = path.replace("{%s}" % name, names.get(name, ["1"])[0])
            for page in range(1, 100 if "page" in known else 2):
                paging = ["per_page=100", f"page={page}"] if "page" in known else []
                query = "&".join(needed + paging)
                answer = ask(recorder, f"/{prefix}{path}{'?' if query else ''}{query}", headers)
                if answer.status != 200 or json.loads(answer.body) == []:
                    break


def test_whatever_is_answered_is_as_described_and_has_all_that_is_described(contract, simulator):
    server = simulator(seed=93, medias=40, events=2000, today="2026-11-20")
    *medias, gone, too = [media["hashed_id"] for media in server.truth("dim_media")]
    server.delete(gone)
    server.delete(too)
    with Recorder(server.url) as recorder:
        rows = {
            name: json.loads(ask(recorder, f"/v1/{name}?per_page=100").body)
            for name in ("projects", "channels", "stats/visitors", "stats/events")
        }
        names = {
            "mediaId": medias,
            "mediaHashedId": medias,
            "id": [row["hashedId"] for row in rows["projects"]],
            "projectId": [row["hashedId"] for row in rows["projects"]],
            "channelHashedId": [row["hashedId"] for row in rows["channels"]],
            "visitorKey": [row["visitor_key"] for row in rows["stats/visitors"][:5]],
            "eventKey": [row["event_key"] for row in rows["stats/events"][:5] if row],
        }
        read(recorder, contract.v1, "v1", HEADERS, names)
        # Only then rows have one of their own.
        for resource in ("/v1/medias", "/modern/deleted_media"):
            ask(recorder, f"{resource}?cursor[enabled]=1", {**HEADERS, VERSION: LATER})
        names |= {"mediaId": medias[:3], "mediaHashedId": medias[:3]}
        for version, description in [*contract.modern.items(), (LATER, contract.coming)]:
            read(recorder, description, "modern", {**HEADERS, VERSION: version}, names)

    def of(exchange):
        return exchange.headers[VERSION], exchange.api, contract.find(exchange)[1]

    served = {of(exchange) for exchange in recorder.exchanges if exchange.status == 200}
    audit = Audit(contract, [exchange for exchange in recorder.exchanges if of(exchange) in served])
    clean(audit.wrong_answers())
    clean(audit.never_documented())
    # What is known to depart comes too, or nobody would be tried by it.
    of_many = [Finding(*key) for key in DEVIATIONS if key[0] in ("v1 /stats/events", "v1 /stats/visitors")]
    assert [finding for finding in of_many if not audit.answers[finding]] == []
    assert {of(exchange(address)) for address in RESOURCES} <= served


def test_failures_are_as_described(contract, simulator):
    server = simulator(seed=91, medias=2, events=20)
    media = server.truth("dim_media")[0]["hashed_id"]
    met = set()
    with Recorder(server.url) as recorder:
        for target in (resource.format(media=media) for resource in RESOURCES):
            description, template = contract.find(exchange(target))
            for status in map(int, description.operations[template]["responses"]):
                if status != 200:
                    server.fault(kind="status", status=status, times=1)
                    assert ask(recorder, target).status == status
                    met.add(status)
    audit = Audit(contract, recorder.exchanges)
    clean(audit.wrong_requests())
    clean(audit.wrong_answers())
    assert met == {400, 401, 403, 404, 422, 500, 503}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "scope"}, 401),
        ({"kind": "unauthorized"}, 401),
        ({"kind": "errors"}, 400),
        ({"kind": "status", "status": 403}, 403),
        ({"kind": "status", "status": 429}, 429),
        ({"kind": "gzip"}, 200),
    ],
    ids=["scope", "token", "errors", "plan", "limit", "compressed"],
)
def test_what_comes_on_demand_only_is_described_or_was_seen(contract, simulator, fault, status):
    server = simulator(seed=91, medias=2, events=20)
    with Recorder(server.url) as recorder:
        server.fault(**fault, times=1)
        assert ask(recorder, "/v1/medias?per_page=1").status == status
    clean(Audit(contract, recorder.exchanges).wrong_answers())


def timeseries(start, end, granularity="daily"):
    days = {"start_date": start, "end_date": end, "granularity": granularity}
    return "?" + "&".join(f"{name}={value}" for name, value in days.items() if value)


REFUSED = [
    ("/v1/medias", "?per_page=abc", 400),
    ("/v1/medias", "?page=two", 400),
    ("/v1/medias", "?sort_by=views", 400),
    ("/v1/medias", "?sort_direction=7", 400),
    ("/v1/medias", "?archived=maybe", 400),
    ("/v1/medias", "?type=Film", 400),
    ("/v1/medias", "?cursor[enabled]=7", 400),
    ("/v1/medias", "?cursor[enabled]=1&page=2", 400),
    ("/v1/stats/events", "?start_date=yesterday", 422),
    ("/v1/stats/events", "?end_date=2026-02-30", 422),
    ("/modern/analytics/medias/{media}/timeseries", "", 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("", "2026-01-02"), 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("2026-01-01", ""), 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("2026-01-01", "2026-01-02", ""), 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("2026-01-01", "2026-01-02", "hourly"), 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("yesterday", "2026-01-02"), 400),
    ("/modern/analytics/medias/{media}/timeseries", timeseries("2024-01-01", "2026-01-02"), 400),
]


@pytest.mark.parametrize(("resource", "query", "status"), REFUSED, ids=[r + q for r, q, _ in REFUSED])
def test_what_the_description_refuses_is_refused(contract, simulator, resource, query, status):
    server = simulator(seed=92, medias=2, events=20)
    target = resource.format(media=server.truth("dim_media")[0]["hashed_id"]) + query
    with Recorder(server.url) as recorder:
        assert ask(recorder, target).status == status
    audit = Audit(contract, recorder.exchanges)
    clean(audit.wrong_answers())
    # Both know the rule.
    assert audit.wrong_requests() != []


def test_the_longest_range_is_answered(contract, simulator):
    server = simulator(seed=92, medias=2, events=20)
    media = server.truth("dim_media")[0]["hashed_id"]
    with Recorder(server.url) as recorder:
        target = f"/modern/analytics/medias/{media}/timeseries" + timeseries("2024-01-01", "2026-01-01")
        assert ask(recorder, target).status == 200
    clean(Audit(contract, recorder.exchanges).wrong_requests())
    assert len(json.loads(recorder.exchanges[0].body)) == 731


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/stats/account/by_date?start_date=2026-01-01&end_date=2026-01-02", HEADERS),
        ("/v1/analytics/medias/{media}/timeseries" + timeseries("2026-01-01", "2026-01-02"), HEADERS),
        ("/modern/projects", HEADERS),
        ("/modern/stats/account/by_date", {"authorization": HEADERS["authorization"]}),
    ],
    ids=["byday-of-v1", "analytics-of-v1", "projects-of-modern", "no-version"],
)
def test_each_api_has_its_own_resources_only(contract, simulator, target, headers):
    server = simulator(seed=92, medias=2, events=20)
    with Recorder(server.url) as recorder:
        answer = ask(recorder, target.format(media=server.truth("dim_media")[0]["hashed_id"]), headers)
        assert 400 <= answer.status < 500
    assert Audit(contract, recorder.exchanges).wrong_requests() != []


# Can it be found?

SOUND_REQUESTS = [
    "/v1/medias",
    "/v1/medias?per_page=100&archived=false&cursor[enabled]=1&cursor[after]=x",
    "/v1/medias?hashed_ids[]=a&hashed_ids[]=b&tags[]=c",
    "/v1/stats/events?media_id=abc&start_date=2026-01-01&end_date=2026-01-31&per_page=100&page=2",
    TIMESERIES + timeseries("2024-02-29", "2026-02-28"),
]

WRONG_REQUESTS = [
    ("/v1/medias.json", "suffix"),
    ("/v1/medias?", "?: nothing behind it"),
    ("/v1/medias?per_page=abc", "per_page"),
    ("/v1/medias?per_page=", "per_page"),
    ("/v1/medias?colour=blue", "colour: unknown parameter"),
    ("/v1/medias?page=1&page=2", "page: given twice"),
    ("/v1/medias?archived=1", "archived: no boolean"),
    ("/v1/medias?sort_by=views", "sort_by"),
    ("/v1/medias?cursor[enabled]=7", "cursor"),
    ("/v1/medias?cursor[before_all]=x", "cursor[before_all]: unknown parameter"),
    ("/v1/medias?cursor[enabled]=1&page=2", "page: beside a cursor"),
    ("/v1/stats/events?start_date=2026-1-1", "start_date"),
    ("/v1/stats/account/by_date", "path: not described"),
    ("/v2/medias", "path: not described"),
    (TIMESERIES, "end_date"),
    (TIMESERIES + timeseries("2024-02-29", "2026-03-01"), "end_date: more than two years"),
    (TIMESERIES + timeseries("2026-01-02", "2026-01-01"), "end_date: before the start"),
]


@pytest.mark.parametrize("target", SOUND_REQUESTS)
def test_a_sound_request_passes(contract, target):
    clean(Audit(contract, [exchange(target, [])]).wrong_requests())


@pytest.mark.parametrize(("target", "words"), WRONG_REQUESTS, ids=[target for target, _ in WRONG_REQUESTS])
def test_a_wrong_request_is_found(contract, target, words):
    assert words in "\n".join(Audit(contract, [exchange(target, [])]).wrong_requests())


def test_a_wrong_method_version_or_token_is_found(contract):
    days = timeseries("2026-01-01", "2026-01-02")
    for wrong, words in [
        (exchange("/v1/medias", method="POST"), "GET"),
        (exchange(TIMESERIES + days, headers={"authorization": "Bearer x"}), f"{VERSION}: no version"),
        (exchange(TIMESERIES + days, headers={**HEADERS, VERSION: "newest"}), f"{VERSION}: no version"),
        (exchange("/v1/medias", headers={}), "Security"),
        (exchange("/v1/medias", headers={"authorization": "Basic YXBpOng="}), "Security"),
    ]:
        assert words in "\n".join(Audit(contract, [wrong]).wrong_requests())


def rows(contract, target, count=20):
    """Rows as the description's examples have them."""
    description, template = contract.find(exchange(target))
    row = example(description, description.schema(description.operations[template], 200), None)[0]
    return [copy.deepcopy(row) for _ in range(count)]


WRONG_VALUES = [
    ("lat", "north", "[].lat: text for number"),
    ("percent_viewed", None, "[].percent_viewed: null for number"),
    ("received_at", "2026-01-01 00:00:00Z", "[].received_at: no date-time"),
    ("conversion_type", None, "[].conversion_type: null for integer or string"),
    ("user_agent_details", [], "[].user_agent_details: list for object"),
    ("thumbnail", {"height": "1080"}, "[].thumbnail.height: number in text for integer"),
    ("colour", "blue", "[].colour: not described"),
    ("conversion_data", {"phone": "1"}, "[].conversion_data.phone: not described"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG_VALUES, ids=[name for name, _, _ in WRONG_VALUES])
def test_a_wrong_value_is_found(contract, name, value, words):
    events = rows(contract, "/v1/stats/events")
    clean(Audit(contract, [exchange("/v1/stats/events", events)]).wrong_answers())
    events[7][name] = value
    (found,) = Audit(contract, [exchange("/v1/stats/events", events)]).wrong_answers()
    assert found.startswith(f"{EVENTS} {words}")


def test_a_missing_field_is_found(contract):
    projects = rows(contract, "/v1/projects")
    del projects[3]["hashedId"]
    assert Audit(contract, [exchange("/v1/projects", projects)]).wrong_answers() == [
        "v1 /projects [].hashedId: missing (1 of 20)"
    ]


def test_a_wrong_answer_is_found(contract):
    for answer, words in [
        (exchange("/v1/medias", {"rows": []}), "object for array"),
        (exchange("/v1/medias", b"[{"), "MediaTypeDeserializeError"),
        (exchange("/v1/medias", []), ""),
        (exchange("/v1/medias", [], kind="text/html"), "MediaTypeNotFound"),
        (exchange("/v1/medias", None), "MissingData"),
        (exchange("/v1/medias", {"error": "no"}, status=418), "418 is not described"),
        (exchange("/v1/medias", {"error": 7}, status=401), "number for string"),
        (exchange("/v1/medias", {"fault": "no"}, status=500), ".fault: not described"),
        (exchange("/v1/stats/medias/abc", {"error": "no"}, status=404), "one where none is described"),
        (exchange("/v1/stats/medias/abc", None, status=404), ""),
        (exchange("/v1/stats/account/by_date", []), "answered by 200, though it is not described"),
        (exchange("/v1/stats/account/by_date", None, status=404), ""),
    ]:
        found = "\n".join(Audit(contract, [answer]).wrong_answers())
        assert words in found if words else not found


def test_what_is_known_to_depart_must_be_the_exception(contract):
    visitors = rows(contract, "/v1/stats/visitors")
    for number, sound in [(2, True), (3, False), (20, False)]:
        for visitor in visitors[:number]:
            visitor["play_count"] = "7"
        audit = Audit(contract, [exchange("/v1/stats/visitors", visitors)])
        assert audit.answers == {Finding("v1 /stats/visitors", "[].play_count", "number in text for integer"): number}
        assert (not audit.wrong_answers()) == sound
    assert audit.never_documented() == ["v1 /stats/visitors [].play_count"]


def test_no_more_is_tolerated_than_what_has_a_place_in_the_descriptions(contract):
    """A table that names what is not there tolerates nothing, and misleads."""
    described = {
        f"{api} {template}": set(description.fields(description.schema(operation, 200)))
        for api, description in (("v1", contract.v1), ("modern", contract.modern["2026-03"]))
        for template, operation in description.operations.items()
        if "200" in operation["responses"] and description.schema(operation, 200)
    }
    for place, path, _ in DEVIATIONS:
        assert path in described[place]
    for place, path in UNDOCUMENTED:
        assert place.split()[1].isdigit() or path not in described[place]


# A server made of nothing but the descriptions.


@pytest.mark.parametrize("seed", [None, *range(5)], ids=["examples", *map(str, range(5))])
def test_a_server_made_of_the_descriptions_is_read_without_a_loss(contract, tmp_path, seed):
    with Mock(contract, seed) as mock:
        job = Job(tmp_path, api_url=mock.url, retry_for_seconds=5)
        done, tested = job.run(), job.run("--test")
    clean(Audit(contract, mock.exchanges).wrong_requests())
    done.succeeded()
    assert (done.summary["nulled_values"], done.summary["skipped_rows"], done.summary["failed"]) == (0, 0, [])
    tested.succeeded()
    if seed is None:
        assert {stream for stream, count in done.summary["records"].items() if count} == job.streams


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_never_repeats_itself_comes_to_an_end(contract, tmp_path, seed):
    """Its lists have no page without a new row. They are short, though."""
    with Mock(contract, seed, repeats_itself=False) as mock:
        done = Job(tmp_path, api_url=mock.url, retry_for_seconds=5).run(timeout=30).succeeded()
    clean(Audit(contract, mock.exchanges).wrong_requests())
    assert (done.summary["nulled_values"], done.summary["skipped_rows"], done.summary["failed"]) == (0, 0, [])
