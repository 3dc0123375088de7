"""An S3 in memory that costs little itself and answers as late as it is told: `s3_server.py PORT DELAY_MS`.

It does what a lake needs, conditions included, and counts from outside what the tests' servers, which know all of S3,
would be too slow for: `GET /-/counts` tells requests and bytes since it was last asked. No signature is looked at.
"""

import asyncio
import contextlib
import hashlib
import json
import re
import sys
from collections import Counter
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000
"""Keys in an answer to a listing."""
MODIFIED = "Fri, 01 Jan 2027 00:00:00 GMT"
LISTED = "2027-01-01T00:00:00.000Z"
REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed"}


class Refused(Exception):
    """An answer with an error in it."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Store:
    """Objects and uploads by their path, bucket and key."""

    def __init__(self):
        self.objects = {}
        self.uploads = {}
        self.counts = Counter()

    def answer(self, method, target, headers, body):
        """Status, headers and body of the answer to a request."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)
        _, bucket, key = [*path.split("/", 2), ""][:3]
        if not key and "uploads" in query:
            return self.list_uploads(bucket, query)
        if not key and "delete" in query:
            for name in re.findall(rb"<Key>(.*?)</Key>", body):
                self.objects.pop(f"/{bucket}/{name.decode()}", None)
            return 200, {}, b"<DeleteResult/>"
        if not key:
            return (200, {}, b"") if method in ("PUT", "HEAD") else self.list(bucket, query)
        if method in ("GET", "HEAD"):
            return self.read(path, method, headers)
        if method == "DELETE":
            self.uploads.pop(query.get("uploadId", [None])[0], None) or self.objects.pop(path, None)
            return 204, {}, b""
        if method == "POST" and "uploads" in query:
            upload = f"upload-{len(self.uploads)}-{self.counts.total()}"
            self.uploads[upload] = (path, {})
            return 200, {}, xml("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=upload)
        if "uploadId" in query:
            return self.part(path, query, headers, body)
        return 200, {"etag": self.write(path, headers, body)}, b""

    def write(self, path, headers, body):
        known = self.objects.get(path)
        if headers.get("if-none-match") == "*" and known:
            raise Refused(412, "PreconditionFailed")
        if (wanted := headers.get("if-match")) and (not known or known[0] != wanted):
            raise Refused(412 if known else 404, "PreconditionFailed" if known else "NoSuchKey")
        # MD5 would take longer than all the rest.
        etag = f'"{hashlib.blake2b(body[:4096] + body[-4096:], digest_size=12).hexdigest()}-{self.counts.total()}"'
        self.objects[path] = (etag, body)
        return etag

    def part(self, path, query, headers, body):
        upload = query["uploadId"][0]
        if upload not in self.uploads:
            raise Refused(404, "NoSuchUpload")
        parts = self.uploads[upload][1]
        if "partNumber" in query:
            parts[int(query["partNumber"][0])] = body
            return 200, {"etag": f'"{len(body)}"'}, b""
        etag = self.write(path, headers, b"".join(parts[number] for number in sorted(parts)))
        del self.uploads[upload]
        return 200, {}, xml("CompleteMultipartUploadResult", Key=path, ETag=etag)

    def read(self, path, method, headers):
        if path not in self.objects:
            raise Refused(404, "NoSuchKey")
        etag, body = self.objects[path]
        if (wanted := headers.get("if-match")) and wanted != etag:
            raise Refused(412, "PreconditionFailed")
        told = {"etag": etag, "last-modified": MODIFIED, "accept-ranges": "bytes"}
        if span := re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", "")):
            first = int(span[1]) if span[1] else len(body) - int(span[2])
            last = min(int(span[2]) if span[1] and span[2] else len(body) - 1, len(body) - 1)
            told["content-range"] = f"bytes {first}-{last}/{len(body)}"
            return 206, told, memoryview(body)[first : last + 1]
        if method == "HEAD":
            return 200, {**told, "content-length": str(len(body))}, b""
        return 200, told, body

    def list(self, bucket, query):
        first = {name: values[0] for name, values in query.items()}
        prefix, delimiter = first.get("prefix", ""), first.get("delimiter", "")
        begin = f"/{bucket}/"
        after = first.get("continuation-token") or first.get("start-after", "")
        keys = sorted(path[len(begin) :] for path in self.objects if path.startswith(begin + prefix))
        shown, folders = [], []
        for key in (key for key in keys if key > after):
            rest = key[len(prefix) :]
            folder = prefix + rest.partition(delimiter)[0] + delimiter if delimiter and delimiter in rest else None
            if folder and (folder in folders or after.startswith(folder)):
                continue
            if len(shown) + len(folders) == int(first.get("max-keys", PAGE)):
                break
            folders.append(folder) if folder else shown.append(key)
            last = folder + "\U0010ffff" if folder else key
        else:
            last = None
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{LISTED}</LastModified>"
            f"<ETag>{escape(self.objects[begin + key][0])}</ETag><Size>{len(self.objects[begin + key][1])}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in shown
        )
        entries += "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders)
        more = {"NextContinuationToken": last} if last else {}
        told = xml("ListBucketResult", Name=bucket, IsTruncated=str(bool(last)).lower(), **more)
        return 200, {}, told.replace(b"</ListBucketResult>", entries.encode() + b"</ListBucketResult>")

    def list_uploads(self, bucket, query):
        prefix = f"/{bucket}/{query.get('prefix', [''])[0]}"
        found = "".join(
            f"<Upload><Key>{escape(path[len(bucket) + 2 :])}</Key><UploadId>{upload}</UploadId>"
            f"<Initiated>{LISTED}</Initiated></Upload>"
            for upload, (path, _) in self.uploads.items()
            if path.startswith(prefix)
        )
        told = xml("ListMultipartUploadsResult", Bucket=bucket, IsTruncated="false")
        return 200, {}, told.replace(b"</ListM", found.encode() + b"</ListM")


def xml(name, **fields):
    inner = "".join(f"<{field}>{escape(value)}</{field}>" for field, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inner}</{name}>'.encode()


def unwrapped(body):
    """What is in a body of `aws-chunked`: chunks with their size and, behind the last, a checksum."""
    whole, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        length = int(body[at:end].split(b";")[0], 16)
        if not length:
            return b"".join(whole)
        whole.append(body[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


async def received(reader):
    """Method, target, headers and body of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return method, target, headers


async def body_of(reader, headers):
    if "chunked" in headers.get("transfer-encoding", ""):
        body = bytearray()
        while length := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(length)
            await reader.readexactly(2)
        await reader.readline()
        body = bytes(body)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return unwrapped(body) if "aws-chunked" in headers.get("content-encoding", "") else body


async def serve(store, delay, reader, writer):
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
        while True:
            method, target, headers = await received(reader)
            if headers.get("expect"):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await body_of(reader, headers)
            if target == "/-/counts":
                status, told, answer = 200, {}, json.dumps(store.counts).encode()
                store.counts.clear()
            else:
                await asyncio.sleep(delay)
                store.counts[method] += 1
                store.counts["received"] += len(body)
                try:
                    status, told, answer = store.answer(method, target, headers, body)
                except Refused as refused:
                    status, told = refused.status, {}
                    answer = b"" if method == "HEAD" else xml("Error", Code=refused.code, Message=refused.code)
                store.counts["sent"] += len(answer)
            told = {"content-type": "application/xml", "content-length": str(len(answer)), **told}
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            writer.write(f"HTTP/1.1 {status} {REASONS[status]}\r\n{lines}\r\n".encode())
            if len(answer):
                writer.write(answer)
            await writer.drain()


async def main(port, milliseconds):
    store = Store()
    limit = 1 << 20
    server = await asyncio.start_server(
        lambda *pair: serve(store, float(milliseconds) / 1000, *pair), "127.0.0.1", int(port), limit=limit
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
