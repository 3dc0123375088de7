"""Who may ask what, by the SQL that sets Redshift up, as AWS says that Redshift decides it.

- A relation is reached by those who have USAGE on its schema. On an external table nothing can be granted,
  so USAGE opens all of a schema (https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_SCHEMA.html).
- A view or a table of Redshift's own needs SELECT beside it. Who asks a view needs USAGE on the schemas
  below it too, also where it is a materialized one
  (https://docs.aws.amazon.com/redshift/latest/dg/materialized-view-query.html). A table has no schemas
  below it, whatever it was filled from.
- Everyone may assume every role in COPY and UNLOAD, and so read the files, until that is revoked
  (https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT-usage-notes.html).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope, traverse_scope

import redshift

Name = tuple[str, str]
"""A schema and the name of a relation in it."""

EXTERNAL_SCHEMA = re.compile(r"create external schema if not exists (\w+)\s+from data catalog\s+database '(\w+)'")
GRANT = re.compile(r"grant ([\w ]+) on (all tables in schema|schema|table|database) ([\w.]+) to (group \w+|public)")
REVOKE_ROLES = "revoke assumerole on all from public for all"

DATABASES = {
    redshift.EXTERNAL: redshift.SCHEMA[redshift.EXTERNAL],
    "wistia__personal": redshift.SCHEMA[redshift.EXTERNAL_PERSONAL],
}
"""What the target registers in the two Glue databases."""


@dataclass
class Rights:
    """A Redshift that was set up."""

    external: dict[str, str] = field(default_factory=dict)
    """The Glue database of each external schema."""
    views: dict[Name, exp.Query] = field(default_factory=dict)
    """Also the materialized ones."""
    filled: dict[Name, list[exp.Query]] = field(default_factory=dict)
    """Each table of Redshift's own, and what is put into it."""
    granted: set[tuple[str, str, str]] = field(default_factory=set)
    """A right, on what, and whose it is."""
    roles_are_everyones: bool = True

    def has(self, group: str, right: str, thing: str) -> bool:
        return any((right, thing, whose) in self.granted for whose in (f"group {group}", "public"))

    def refusals(self, group: str, query: exp.Expr) -> list[str]:
        """What a group lacks to have a query answered."""
        return [lack for name in tables(query) for lack in self.lacks(group, name)]

    def lacks(self, group: str, name: Name, below_view: bool = False) -> Iterator[str]:
        schema, relation = name
        if not self.has(group, "usage", schema):
            yield f"{group}: no usage on schema {schema}, for {relation}"
        if schema in self.external:
            return
        # Whose view it is answers for what it reads.
        if not below_view and not self.has(group, "select", f"{schema}.{relation}"):
            yield f"{group}: no select on {schema}.{relation}"
        if name in self.views:
            for below in tables(self.views[name]):
                yield from self.lacks(group, below, below_view=True)

    def personal_columns(self, group: str) -> list[str]:
        """The personal columns that a group can read."""
        found = ["the files of every table, by `copy`"] if self.roles_are_everyones else []
        known = self.personal()
        for (schema, relation), columns in known.items():
            open_to_all = schema in self.external and self.has(group, "usage", schema)
            if open_to_all or (schema not in self.external and not list(self.lacks(group, (schema, relation)))):
                found += [f"{schema}.{relation}.{column}" for column in sorted(columns)]
        return found

    def personal(self) -> dict[Name, set[str]]:
        """The personal columns of each relation. A view knows those that were made before it."""
        known: dict[Name, set[str]] = {}
        for schema, database in self.external.items():
            for table in DATABASES[database]:
                known[schema, table] = redshift.PERSONAL.get(table, set())
        for name, queries in {**{name: [query] for name, query in self.views.items()}, **self.filled}.items():
            known[name] = {column for query in queries for column in let_through(query, known)}
        return known


def rights(texts: Iterable[str]) -> Rights:
    """What the statements of some files make, one file after the other."""
    made = Rights()
    for text in texts:
        plain = re.sub(r"--[^\n]*", "", text)
        made.external.update(EXTERNAL_SCHEMA.findall(plain))
        for statement in plain.split(";"):
            words = " ".join(statement.split())
            if words.startswith("grant "):
                grant(made, words)
            elif words == REVOKE_ROLES:
                made.roles_are_everyones = False
            elif re.match(r"create (or replace view|view|materialized view|table) |insert ", words):
                relation(made, redshift.statements(statement)[0])
    return made


def grant(made: Rights, words: str) -> None:
    granted = GRANT.fullmatch(words)
    assert granted, f"not understood: {words}"
    right, kind, thing, whose = granted.groups()
    things = [thing]
    if kind == "all tables in schema":
        things = [".".join(name) for name in (*made.views, *made.filled) if name[0] == thing]
    made.granted |= {(right, thing, whose) for thing in things}


def relation(made: Rights, statement: exp.Expr) -> None:
    target = statement.find(exp.Table)
    assert target, f"not understood: {statement.sql()}"
    name = target.db, target.name
    if isinstance(statement, exp.Insert):
        made.filled[name].append(statement.expression)
    elif isinstance(statement, exp.Create) and statement.kind == "TABLE":
        made.filled[name] = []
    else:
        made.views[name] = statement.expression


def tables(query: exp.Expr) -> set[Name]:
    return {(table.db, table.name) for scope in traverse_scope(query) for _, table in redshift.physical(scope)}


def let_through(query: exp.Query, personal: dict[Name, set[str]]) -> set[str]:
    """The columns of a query in which something personal can be read. A number of rows, a sum or a mean
    is a figure; what is grouped by, and the greatest of some values, is not."""
    scope = build_scope(redshift.with_types(query))
    assert scope, "no query"
    return leaks(scope, personal)


def leaks(scope: Scope, personal: dict[Name, set[str]]) -> set[str]:
    if not isinstance(scope.expression, exp.Query):
        # The elements of a list, which is a column of a table beside it.
        named = {column.name for column in scope.expression.find_all(exp.Column)}
        return set(scope.expression.alias_column_names) if named & set().union(*personal.values()) else set()
    sources = {}
    for alias, source in scope.sources.items():
        if isinstance(source, exp.Table):
            sources[alias] = personal.get((source.db, source.name), set())
        else:
            sources[alias] = leaks(source, personal)

    def shows(part: exp.Expr) -> bool:
        return any(
            column.name in sources.get(column.table, ()) and not column.find_ancestor(exp.Count, exp.Sum, exp.Avg)
            for column in part.find_all(exp.Column)
        )

    found = {item.alias_or_name for item in scope.expression.selects if shows(item)}
    # Rows of one visitor each, even if they do not say whose.
    if scope.expression.args.get("group") and shows(scope.expression.args["group"]):
        found.add("a row for each of them")
    # Which column of a union or a subquery becomes which is not followed.
    if any(leaks(inner, personal) for inner in (*scope.set_operation_scopes, *scope.subquery_scopes)):
        found |= {item.alias_or_name for item in scope.expression.selects}
    return found
