"""Refuses a release whose names on PyPI belong to somebody else.

A name is free where the index has no such project. It is ours where its newest file was published by a workflow of
our repository, which PyPI has verified and tells in the file's provenance (https://docs.pypi.org/api/integrity/,
https://peps.python.org/pep-0740/). The URLs in a project's description are no proof: anybody may write them.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request

SIMPLE = "application/vnd.pypi.simple.v1+json"
"""https://peps.python.org/pep-0691/"""


def fetched(url, accept="application/json"):
    """What is there, or nothing."""
    request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "tap-wistia-release"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def publishers(project):
    """Who published the newest file: repositories, or nothing where nobody vouches for it."""
    newest = max(project["files"], key=lambda file: file["upload-time"])
    provenance = fetched(newest["provenance"]) if newest.get("provenance") else None
    for bundle in (provenance or {}).get("attestation_bundles", []):
        publisher = bundle["publisher"]
        yield publisher.get("repository") if publisher["kind"] == "GitHub" else publisher["kind"]


def verdict(index, name, repository):
    """What is wrong with a name, or nothing; and how it stands."""
    project = fetched(f"{index}/simple/{name}/", SIMPLE)
    if project is None:
        return None, f"{name}: free"
    if not project.get("files"):
        return f"{name} is registered, and has no file that would say by whom", None
    found = set(publishers(project))
    if found and {str(publisher).lower() for publisher in found} == {repository.lower()}:
        return None, f"{name}: ours"
    others = ", ".join(sorted(publisher or "nobody PyPI knows" for publisher in found))
    return f"{name} was published by {others or 'nobody PyPI knows'}, not by {repository}", None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="names of the projects")
    parser.add_argument("--repository", required=True, help="our repository on GitHub, OWNER/NAME")
    parser.add_argument("--index", default="https://pypi.org", help="the index (default: %(default)s)")
    options = parser.parse_args()
    faults = []
    for name in options.names:
        fault, said = verdict(options.index.rstrip("/"), name, options.repository)
        if fault:
            faults.append(f"::error::{fault}")
        else:
            print(said)
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
