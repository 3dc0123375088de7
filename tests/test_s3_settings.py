"""The settings of `s3` and of the files reach S3, in every request that they are about."""

import json

import pyarrow.parquet as pq
import pytest

from harness import TARGET, lines, run

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string"}}},
}
STATE = {"type": "STATE", "value": {"n": 1}}
LARGE = 12
"""Values of a megabyte that make more than one part of an upload."""


def record(number, value="a"):
    return {"type": "RECORD", "stream": "s", "record": {"id": number, "v": value}}


@pytest.fixture
def load(s3, tmp_path, request):
    """Loads a small and a large table with these settings of `s3`; the requests, and the bucket."""
    bucket = s3.bucket("-".join(request.node.name.lower().replace("[", "_").rstrip("]").split("_"))[:60])

    def start(env=None, without=(), **settings):
        start.runs += 1
        config = s3.settings(f"s3://{bucket}/lake{start.runs}", s3=settings, compression="none")
        config["s3"] = {key: value for key, value in config["s3"].items() if key not in without}
        (tmp_path / "t.json").write_text(json.dumps(config))
        s3.forget()
        large = [{**SCHEMA, "stream": "large"}]
        large += [{**record(number, f"{number:08}" * 131_072), "stream": "large"} for number in range(LARGE)]
        command = [TARGET, "--config", tmp_path / "t.json", "--state-out", f"s3://{bucket}/state.json"]
        done = run(*command, stdin=lines(SCHEMA, record(1), *large, STATE), env=env)
        return done, [request for request in s3.requests() if request["path"].startswith(f"/{bucket}")]

    start.bucket, start.runs = bucket, 0
    return start


def heads(s3, bucket):
    return {key: s3.client.head_object(Bucket=bucket, Key=key) for key in s3.keys(bucket)}


def test_objects_are_encrypted_and_stored_as_asked(load, s3):
    key = "arn:aws:kms:us-east-1:123456789012:key/lake"
    load(sse="aws:kms", kms_key_id=key, storage_class="STANDARD_IA")[0].succeeded()
    found = heads(s3, load.bucket)
    assert {"lake1/s/part-00000.parquet", "lake1/large/part-00000.parquet", "state.json"} <= set(found)
    for name, head in found.items():
        assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"] == key, name
        assert head["StorageClass"] == "STANDARD_IA", name
    load(sse="AES256")[0].succeeded()
    found = heads(s3, load.bucket)
    assert {found[name]["ServerSideEncryption"] for name in ("lake2/large/part-00000.parquet", "state.json")} == {
        "AES256"
    }


def test_uploads_carry_checksums_unless_a_store_rejects_them(load):
    def with_checksum(requests):
        uploads = [request["headers"] for request in requests if request["action"] == "PUT"]
        assert len(uploads) >= 5
        return [
            any(name.startswith("x-amz-checksum-crc") or name == "x-amz-trailer" for name in headers)
            for headers in uploads
        ]

    done, requests = load()
    done.succeeded()
    assert all(with_checksum(requests))
    done, requests = load(checksum="when_required")
    done.succeeded()
    assert not any(with_checksum(requests))


def test_every_request_names_the_owner_that_the_bucket_must_have(load):
    done, requests = load(expected_bucket_owner="123456789012")
    done.succeeded()
    assert {request["action"] for request in requests} == {"GET", "HEAD", "PUT", "POST", "DELETE"}
    assert {request["headers"].get("x-amz-expected-bucket-owner") for request in requests} == {"123456789012"}


def test_credentials_come_from_the_settings_a_profile_or_a_role(load, s3, tmp_path):
    def signers(done, requests):
        done.succeeded()
        return {request["headers"]["access-key-id"] for request in requests}

    assert signers(*load(access_key_id="mine", secret_access_key="x", session_token="token")) == {"mine"}
    keys = ("access_key_id", "secret_access_key")
    profiles = tmp_path / "credentials"
    profiles.write_text(
        "[default]\naws_access_key_id = other\naws_secret_access_key = x\n"
        "[lake]\naws_access_key_id = lakes\naws_secret_access_key = x\n"
    )
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_CONFIG_FILE": "/dev/null", "AWS_ENDPOINT_URL_STS": s3.url}
    assert signers(*load(without=keys, env=env)) == {"other"}
    assert signers(*load(without=keys, env=env, profile="lake")) == {"lakes"}
    assumed = signers(
        *load(
            without=keys, env=env, profile="lake", role_arn="arn:aws:iam::123456789012:role/loader", external_id="ours"
        )
    )
    assert {key[:4] for key in assumed} == {"ASIA"}, "temporary keys, as STS gives them"
    asked = [request for request in s3.requests() if request["path"] == "/"]
    assert {request["headers"]["access-key-id"] for request in asked} == {"lakes"}


def test_what_is_downloaded_goes_where_temporary_files_shall_go(s3, tmp_path):
    bucket = s3.bucket("temporary-files")
    (tmp_path / "room").mkdir()
    config = s3.settings(f"s3://{bucket}/lake", temp_dir=str(tmp_path / "room"))
    (tmp_path / "t.json").write_text(json.dumps(config))
    for value in "ab":
        # The second run reads what the first has written.
        messages = lines(SCHEMA, record(1, value), record(ord(value)), STATE)
        run(TARGET, "--config", tmp_path / "t.json", stdin=messages, env={"TMPDIR": "/nowhere"}).succeeded()
    (path,) = s3.download(bucket, tmp_path / "copy", "lake/s").glob("*.parquet")
    assert sorted(row["id"] for row in pq.ParquetFile(path).read().to_pylist()) == [1, 97, 98]
    assert not list((tmp_path / "room").iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sse": "aes"}, ["s3.sse", "`AES256`", "`aws:kms`"]),
        ({"checksum": "never"}, ["s3.checksum", "`when_required`"]),
        ({"kms_key_id": "k"}, ["s3.kms_key_id", "`sse: aws:kms`"]),
        ({"external_id": "k"}, ["s3.external_id", "`role_arn`"]),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_asked(load, settings, words):
    done, requests = load(**settings)
    done.refused(*words)
    assert not requests


def test_a_file_is_as_small_as_the_level_asks(tmp_path):
    words = [f"{number * 7919 % 1009} some words {number % 13}" for number in range(20_000)]
    messages = lines(SCHEMA, *(record(number, word) for number, word in enumerate(words)), STATE)

    def size(codec, level=None):
        lake = tmp_path / f"{codec}-{level}"
        settings = {"destination": str(lake), "compression": codec, "compression_level": level}
        (tmp_path / "t.json").write_text(json.dumps(settings))
        run(TARGET, "--config", tmp_path / "t.json", stdin=messages).succeeded()
        (path,) = lake.glob("s/*.parquet")
        assert pq.ParquetFile(path).metadata.row_group(0).column(1).compression == codec.upper().replace(
            "NONE", "UNCOMPRESSED"
        )
        return path.stat().st_size

    assert size("gzip", 9) < size("gzip", 1) < size("none")
    assert size("zstd", 22) < size("zstd", 1) < size("none")
    assert size("zstd") == size("zstd", 1) and size("gzip") == size("gzip", 6)


def test_without_a_root_certificate_nothing_panics(s3, tmp_path):
    config = tmp_path / "t.json"
    config.write_text(json.dumps(s3.settings(f"s3://{s3.bucket('certificates')}/lake")))
    done = run(
        TARGET, "--config", config, stdin=lines(SCHEMA, record(1), STATE), env={"SSL_CERT_FILE": "/no/such/file"}
    )
    done.refused("`SSL_CERT_FILE`", "/no/such/file", "ca-certificates")
