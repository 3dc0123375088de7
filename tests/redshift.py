"""Reads the SQL that is written for Redshift: what is wrong with it there, and the same for DuckDB.

DuckDB accepts more than Redshift Spectrum does and means something else by a few things, so a query
that runs in DuckDB proves little before `problems` finds nothing in it.
"""

import json
from collections.abc import Iterator

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.dialects import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from harness import PARTITIONS, ROOT, Json
from lake import marked

QUERIES = ROOT / "deploy" / "redshift"
SETUP = sorted(QUERIES.glob("[0-9]_*.sql"))
"""What is run before anyone asks, in this order."""

EXTERNAL = "wistia"
"""The external schema of the tables without personal data."""

EXTERNAL_PERSONAL = "wistia_personal"
"""The external schema of the others."""

SNAPSHOTS = {"fact_engagements", "fact_media_actions"}
"""Partitioned tables of few rows a day."""

# Names of types are read as types in some places of some engines.
RESERVED = {word.strip() for word in Redshift.Generator.RESERVED_KEYWORDS} | {"date", "time", "timestamptz"}


def sql_type(schema: Json) -> str:
    """The type of a column, from its JSON Schema."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = (kind for kind in kinds if kind != "null")
    if kind == "object":
        fields = ", ".join(f"`{name}` {sql_type(field)}" for name, field in schema["properties"].items())
        return f"STRUCT<{fields}>"
    if kind == "array":
        return f"ARRAY<{sql_type(schema['items'])}>"
    if schema.get("format") == "date":
        return "DATE"
    return {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "STRING"}[kind]


def external_tables() -> dict[str, dict[str, exp.DataType]]:
    """The columns of every table that the tap can fill, and their types."""
    tables = {}
    for path in (ROOT / "schemas").glob("*.json"):
        columns = {name: sql_type(schema) for name, schema in json.loads(path.read_text())["properties"].items()}
        if path.stem in PARTITIONS:
            columns["month"] = "STRING"
        tables[path.stem] = {name: exp.DataType.build(kind, dialect="spark") for name, kind in columns.items()}
    return tables


TABLES = external_tables()


def personal_columns() -> dict[str, set[str]]:
    """The tables with personal data, and which of their columns are marked so."""
    schemas = {path.stem: json.loads(path.read_text()) for path in (ROOT / "schemas").glob("*.json")}
    return {table: marked(schema) for table, schema in schemas.items() if marked(schema)}


PERSONAL = personal_columns()
SCHEMA: dict[str, dict[str, dict[str, exp.DataType]]] = {
    EXTERNAL: {name: columns for name, columns in TABLES.items() if name not in PERSONAL},
    EXTERNAL_PERSONAL: {name: columns for name, columns in TABLES.items() if name in PERSONAL},
}
"""The columns of what can be asked, by schema and name. What 2_views.sql makes is added at the end."""


def statements(text: str) -> list[exp.Expr]:
    """The statements of a file."""
    return [navigate(statement) for statement in sqlglot.parse(text, read="redshift") if statement]


def navigate(statement: exp.Expr) -> exp.Expr:
    """Redshift walks into a list by naming it as a table of its row: `from dim_media m, m.assets a`."""
    for table in list(statement.find_all(exp.Table)):
        if table.db and table.db in rows_in_reach(table):
            alias = table.alias or table.name
            columns = exp.TableAlias(this=exp.to_identifier(f"_{alias}"), columns=[exp.to_identifier(alias)])
            table.replace(exp.Unnest(expressions=[exp.column(table.name, table=table.db)], alias=columns))
    return statement


def rows_in_reach(node: exp.Expr) -> set[str]:
    """The aliases of the tables of this query and of those around it."""
    aliases = set()
    select = node.find_ancestor(exp.Select)
    while select:
        sources = [select.args["from_"], *select.args.get("joins", [])]
        aliases |= {source.this.alias for source in sources if isinstance(source.this, exp.Table)}
        select = select.find_ancestor(exp.Select)
    return aliases


def question(text: str) -> exp.Query:
    """The one query of a file."""
    (query,) = statements(text)
    assert isinstance(query, exp.Query), f"not one query, but {type(query).__name__}"
    return query


def to_duckdb(statement: exp.Expr) -> str:
    statement = statement.copy()
    statement.set("no_schema_binding", None)
    return statement.sql("duckdb")


def problems(statement: exp.Expr) -> list[str]:
    """What Redshift would refuse in this statement, or answer in another way than expected."""
    found = list(words(statement))
    query = statement.find(exp.Query)
    if query is None:
        return found
    scopes = traverse_scope(query)
    if isinstance(statement, exp.Create) and statement.kind == "VIEW":
        found += late_binding(statement, scopes)
    found += [*places(query), *nulls(query)]
    for scope in scopes:
        found += [*alone(scope), *stars(scope), *rows_of_lists(scope)]
    if found:
        return found
    found = [f"{table.sql()}: there is no such table" for table in unknown(scopes)]
    if found:
        return found
    try:
        typed = with_types(query)
    except SqlglotError as error:
        return [str(error)]
    return [*fields(typed), *scalars(typed), *integers(typed)]


def with_types(query: exp.Query) -> exp.Query:
    """The query with the table of each column and the type of each value."""
    known: dict[str, object] = {**SCHEMA}
    typed = annotate_types(qualify(query.copy(), schema=known, dialect="redshift"), schema=known, dialect="redshift")
    assert isinstance(typed, exp.Query)
    return typed


def unknown(scopes: list[Scope]) -> list[exp.Table]:
    tables = [table for scope in scopes for _, table in physical(scope)]
    return [table for table in tables if table.name not in SCHEMA.get(table.db, {})]


def words(statement: exp.Expr) -> Iterator[str]:
    names = {identifier.name for identifier in statement.find_all(exp.Identifier) if not identifier.quoted}
    for name in sorted(names):
        if name.lower() in RESERVED:
            yield f"{name} is a word of SQL: quote it"


def late_binding(view: exp.Create, scopes: list[Scope]) -> Iterator[str]:
    if not view.args.get("no_schema_binding"):
        yield f"{view.this.sql()}: a view of external tables binds late, `with no schema binding`"
    for scope in scopes:
        for _, table in physical(scope):
            if not table.db:
                yield f"{table.sql()}: name the schema, a late view needs it"


def places(query: exp.Expr) -> Iterator[str]:
    for access in query.find_all(exp.Bracket):
        yield f"{access.sql()}: no element of a list by its place"


def nulls(query: exp.Expr) -> Iterator[str]:
    for order in query.find_all(exp.Ordered):
        if order.args.get("desc") and order.args.get("nulls_first"):
            yield f"{order.sql()}: say `nulls last`, engines differ"


def physical(scope: Scope) -> list[tuple[str, exp.Table]]:
    """The tables of a query by alias, without those that `with` names."""
    return [(name, source) for name, source in scope.sources.items() if isinstance(source, exp.Table)]


def nested(scope: Scope) -> list[exp.Table]:
    """The tables of a query that have nested columns."""
    known = [(table, SCHEMA.get(table.db, {}).get(table.name, {})) for _, table in physical(scope)]
    return [table for table, columns in known if any(is_nested(kind) for kind in columns.values())]


def is_nested(kind: exp.DataType | None) -> bool:
    return kind is not None and kind.is_type(*exp.DataType.NESTED_TYPES)


def alone(scope: Scope) -> Iterator[str]:
    select = scope.expression
    sources = [select.args.get("from_"), *select.args.get("joins", [])]
    others = [source.this for source in sources if source and not isinstance(source.this, exp.Unnest)]
    if nested(scope) and len(others) > 1:
        names = ", ".join(other.alias_or_name for other in others)
        yield f"{names}: a nested table is read alone; join what is selected from it"


def stars(scope: Scope) -> Iterator[str]:
    for table in nested(scope):
        selects = scope.expression.selects if isinstance(scope.expression, exp.Query) else []
        for item in selects:
            if item.is_star:
                yield f"{item.sql()}: no star over {table.name}, which is nested"


def rows_of_lists(scope: Scope) -> Iterator[str]:
    """A query of a list may look at the list's row nowhere but in `from`, and `in` takes no such query."""
    if scope.parent and scope.is_correlated_subquery and not scope.tables:
        around = scope.parent.sources
        for column in scope.external_columns:
            if column.parts[0].name in around and not column.find_ancestor(exp.Unnest):
                yield f"{column.sql()}: a query of a list knows its row only in `from`"
    if nested(scope):
        for test in scope.expression.find_all(exp.In):
            if test.args.get("query"):
                yield f"{test.sql()}: no `in` over nested data"


def fields(query: exp.Expr) -> Iterator[str]:
    for value in query.find_all(exp.Dot):
        known = value.this.type.expressions if value.this.type else []
        if value.name not in {field.name for field in known}:
            yield f"{value.sql()}: there is no such field"


def scalars(query: exp.Expr) -> Iterator[str]:
    for value in query.find_all(exp.Column, exp.Dot):
        if value.type and is_nested(value.type) and not isinstance(value.parent, (exp.Dot, exp.Unnest)):
            yield f"{value.sql()} is {value.type.sql()}: take its fields or elements"


def integers(query: exp.Expr) -> Iterator[str]:
    for division in query.find_all(exp.Div):
        if is_integer(division.this) and is_integer(division.expression):
            yield f"{division.sql()}: integers are divided without a fraction"
    for mean in query.find_all(exp.Avg):
        if is_integer(mean.this):
            yield f"{mean.sql()}: the mean of integers is an integer"


def is_integer(value: exp.Expr) -> bool:
    return value.type is not None and value.type.is_type(*exp.DataType.INTEGER_TYPES)


def unpruned(query: exp.Expr) -> list[str]:
    """The partitioned tables that a query reads as a whole, other than the snapshots, which are few."""
    found = []
    for scope in traverse_scope(query):
        for name, table in physical(scope):
            condition = scope.expression.args.get("where")
            columns = condition.find_all(exp.Column) if condition else []
            pruned = any(column.name == "month" and column.table == name for column in columns)
            if table.name in PARTITIONS and table.name not in SNAPSHOTS and not pruned:
                found.append(table.name)
    return found


def add_local_relations() -> None:
    """Adds the views and tables of 2_views.sql to SCHEMA, each with what those before it made known."""
    for statement in statements((QUERIES / "2_views.sql").read_text()):
        assert isinstance(statement, exp.Create)
        if statement.kind == "SCHEMA":
            SCHEMA[statement.this.db] = {}
        elif statement.kind == "TABLE":
            definition = statement.this
            SCHEMA[definition.this.db][definition.this.name] = {
                column.name: column.kind for column in definition.expressions
            }
        else:
            selects = with_types(statement.expression).selects
            SCHEMA[statement.this.db][statement.this.name] = {
                item.alias_or_name: item.type or exp.DataType.build("unknown") for item in selects
            }


add_local_relations()


def set_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes and fills in DuckDB what SETUP makes in Redshift; of rights DuckDB knows nothing."""
    for name in ("2_views.sql", "4_refresh.sql"):
        for statement in statements((QUERIES / name).read_text()):
            connection.execute(to_duckdb(statement))
