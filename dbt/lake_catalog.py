"""The Iceberg tables of Wistia that a catalog keeps: it alone knows their newest snapshots, where they lie, and who may
read them."""

import os
from pathlib import Path

import yaml
from pyiceberg.catalog import load_catalog

from lake_iceberg import FILE_IO, Table, looked_at, newest

S3 = ("s3", "s3a", "s3n")
SOURCES = Path(__file__).resolve().parent / "models" / "sources.yml"


class CatalogError(Exception):
    """Why a catalog is of no use, in a sentence."""


def names_of_wistia():
    """The tables that the models read. Whatever else is in a namespace is left alone."""
    sources = yaml.safe_load(SOURCES.read_text())["sources"]
    return {table["name"] for source in sources for table in source["tables"]}


def parts_of(text):
    """The name of a catalog, and its namespaces."""
    name, _, listed = text.partition(":")
    namespaces = [namespace.strip() for namespace in listed.split(",") if namespace.strip()]
    if not (name and namespaces):
        raise CatalogError(
            f"a catalog is NAME:NAMESPACE, or NAME:NAMESPACE,NAMESPACE, such as glue:wistia,wistia__personal: {text!r}"
        )
    return name, namespaces


def opened(name):
    """The catalog of that name in PyIceberg's own settings: https://py.iceberg.apache.org/configuration/"""
    if name != "glue":
        return load_catalog(name, **FILE_IO)
    # Glue needs none. boto3 knows only one of the two names that others have for a region.
    if "AWS_REGION" in os.environ:
        os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])
    return load_catalog(name, type="glue", **FILE_IO)


def tables_of_wistia(text):
    """The tables of Wistia in the catalog, by their names, as PyIceberg has them."""
    name, namespaces = parts_of(text)
    wanted, found = names_of_wistia(), {}
    where = f"the catalog {text!r}"
    try:
        catalog = opened(name)
        for namespace in namespaces:
            for table in catalog.list_tables(namespace):
                if table[-1] in wanted:
                    where = f"{'.'.join(table)} in the catalog {text!r}"
                    found.setdefault(table[-1], catalog.load_table(table))
    # PyIceberg's errors have no name in common, and those of boto3 and requests come as they are.
    except Exception as problem:
        said = " ".join(str(problem).split()) or "it says no more"
        raise CatalogError(
            f"{where} cannot be read: {type(problem).__name__}: {said}. What it is PyIceberg looks up in "
            f"PYICEBERG_CATALOG__{name.upper()}__URI and ~/.pyiceberg.yaml; glue is the Glue of the AWS credentials"
        ) from problem
    return found


def scheme_of(name):
    """What the addresses of a table's files begin with, in place of s3: each has credentials of its own."""
    return f"catalog-{name}"


def lent(name, file):
    """A file as DuckDB names it once it can read the table."""
    scheme, found, rest = file.partition("://")
    return f"{scheme_of(name)}://{rest}" if found and scheme in S3 else file


def lend(connection, name, table):
    """Lets a DuckDB read the files of a table on S3 with the credentials that the catalog hands out for it, else with
    those of the AWS tools."""
    if not table.location().startswith(S3) or connection.filesystem_is_registered(scheme_of(name)):
        return
    store = table.io.get_fs("s3")
    own = type("Lent", (type(store),), {"protocol": scheme_of(name)})
    connection.register_filesystem(own(**store.storage_options, skip_instance_cache=True))


def tables_in(text, connection):
    """The tables of a catalog by their names, whose files the DuckDB can then read: each a Table, or why it is not."""
    found = {}
    for name, table in tables_of_wistia(text).items():
        lend(connection, name, table)
        found[name] = looked_at(newest, table)
        if isinstance(found[name], Table):
            found[name].files = [lent(name, file) for file in found[name].files]
    return found
