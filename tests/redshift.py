"""Reads the SQL that is written for Redshift: what is wrong with it there, and the same for DuckDB.

DuckDB accepts more than Redshift Spectrum does and means something else by a few things, so a query
that runs in DuckDB proves little before `problems` finds nothing in it.
"""

import json

import sqlglot
from harness import PARTITIONS, ROOT
from sqlglot import exp
from sqlglot.dialects import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

EXTERNAL = "wistia"
"""The external schema."""

# Names of types are read as types in some places of some engines.
RESERVED = {word.strip() for word in Redshift.Generator.RESERVED_KEYWORDS} | {"date", "time", "timestamptz"}


def sql_type(schema):
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


def external_tables():
    """The columns of every table that the tap can fill, and their types."""
    tables = {}
    for path in (ROOT / "schemas").glob("*.json"):
        columns = {name: sql_type(schema) for name, schema in json.loads(path.read_text())["properties"].items()}
        if path.stem in PARTITIONS:
            columns["month"] = "STRING"
        tables[path.stem] = {name: exp.DataType.build(kind, dialect="spark") for name, kind in columns.items()}
    return {EXTERNAL: tables}


TABLES = external_tables()


def statements(text):
    """The statements of a file."""
    return [navigate(statement) for statement in sqlglot.parse(text, read="redshift") if statement]


def navigate(statement):
    """Redshift walks into a list by naming it as a table of its row: `from dim_media m, m.assets a`."""
    for table in list(statement.find_all(exp.Table)):
        if table.db and table.db in rows_in_reach(table):
            alias = table.alias or table.name
            columns = exp.TableAlias(this=exp.to_identifier(f"_{alias}"), columns=[exp.to_identifier(alias)])
            table.replace(exp.Unnest(expressions=[exp.column(table.name, table=table.db)], alias=columns))
    return statement


def rows_in_reach(node):
    """The aliases of the tables of this query and of those around it."""
    aliases = set()
    select = node.find_ancestor(exp.Select)
    while select:
        sources = [select.args["from_"], *select.args.get("joins", [])]
        aliases |= {source.this.alias for source in sources if isinstance(source.this, exp.Table)}
        select = select.find_ancestor(exp.Select)
    return aliases


def question(text):
    """The one query of a file."""
    (query,) = statements(text)
    assert isinstance(query, exp.Query), f"not one query, but {type(query).__name__}"
    return query


def to_duckdb(statement):
    statement = statement.copy()
    statement.set("no_schema_binding", None)
    return statement.sql("duckdb")


def problems(statement):
    """What Redshift would refuse in this statement, or answer in another way than expected."""
    found = list(words(statement))
    query = statement.find(exp.Query)
    if query is None:
        return found
    scopes = traverse_scope(query)
    if isinstance(statement, exp.Create):
        found += late_binding(statement, scopes)
    found += [*places(query), *nulls(query)]
    for scope in scopes:
        found += [*alone(scope), *stars(scope), *rows_of_lists(scope)]
    if found:
        return found
    try:
        typed = qualify(query.copy(), schema=TABLES, dialect="redshift")
    except SqlglotError as error:
        return [str(error)]
    typed = annotate_types(typed, schema=TABLES, dialect="redshift")
    return [*fields(typed), *scalars(typed), *integers(typed)]


def words(statement):
    names = {identifier.name for identifier in statement.find_all(exp.Identifier) if not identifier.quoted}
    for name in sorted(names):
        if name.lower() in RESERVED:
            yield f"{name} is a word of SQL: quote it"


def late_binding(view, scopes):
    if not view.args.get("no_schema_binding"):
        yield f"{view.this.sql()}: a view of external tables binds late, `with no schema binding`"
    for scope in scopes:
        for _, table in physical(scope):
            if not table.db:
                yield f"{table.sql()}: name the schema, a late view needs it"


def places(query):
    for access in query.find_all(exp.Bracket):
        yield f"{access.sql()}: no element of a list by its place"


def nulls(query):
    for order in query.find_all(exp.Ordered):
        if order.args.get("desc") and order.args.get("nulls_first"):
            yield f"{order.sql()}: say `nulls last`, engines differ"


def physical(scope):
    """The tables of a query by alias, without those that `with` names."""
    return [(name, source) for name, source in scope.sources.items() if isinstance(source, exp.Table)]


def nested(scope):
    """The tables of a query that have nested columns."""
    known = [(table, TABLES[EXTERNAL].get(table.name, {})) for _, table in physical(scope) if table.db == EXTERNAL]
    return [table for table, columns in known if any(is_nested(kind) for kind in columns.values())]


def is_nested(kind):
    return kind is not None and kind.is_type(*exp.DataType.NESTED_TYPES)


def alone(scope):
    select = scope.expression
    sources = [select.args.get("from_"), *select.args.get("joins", [])]
    others = [source.this for source in sources if source and not isinstance(source.this, exp.Unnest)]
    if nested(scope) and len(others) > 1:
        names = ", ".join(other.alias_or_name for other in others)
        yield f"{names}: a nested table is read alone; join what is selected from it"


def stars(scope):
    for table in nested(scope):
        for item in scope.expression.selects:
            if item.is_star:
                yield f"{item.sql()}: no star over {table.name}, which is nested"


def rows_of_lists(scope):
    """A query of a list may look at the list's row nowhere but in `from`, and `in` takes no such query."""
    if scope.is_correlated_subquery and not scope.tables:
        around = scope.parent.sources
        for column in scope.external_columns:
            if column.parts[0].name in around and not column.find_ancestor(exp.Unnest):
                yield f"{column.sql()}: a query of a list knows its row only in `from`"
    if nested(scope):
        for test in scope.expression.find_all(exp.In):
            if test.args.get("query"):
                yield f"{test.sql()}: no `in` over nested data"


def fields(query):
    for value in query.find_all(exp.Dot):
        known = value.this.type.expressions if value.this.type else []
        if value.name not in {field.name for field in known}:
            yield f"{value.sql()}: there is no such field"


def scalars(query):
    for value in query.find_all(exp.Column, exp.Dot):
        if is_nested(value.type) and not isinstance(value.parent, (exp.Dot, exp.Unnest)):
            yield f"{value.sql()} is {value.type.sql()}: take its fields or elements"


def integers(query):
    for division in query.find_all(exp.Div):
        if is_integer(division.this) and is_integer(division.expression):
            yield f"{division.sql()}: integers are divided without a fraction"
    for mean in query.find_all(exp.Avg):
        if is_integer(mean.this):
            yield f"{mean.sql()}: the mean of integers is an integer"


def is_integer(value):
    return value.type is not None and value.type.is_type(*exp.DataType.INTEGER_TYPES)


def unpruned(query):
    """The partitioned tables that a query reads as a whole, other than the snapshots, which are few."""
    found = []
    for scope in traverse_scope(query):
        for name, table in physical(scope):
            condition = scope.expression.args.get("where")
            columns = condition.find_all(exp.Column) if condition else []
            pruned = any(column.name == "month" and column.table == name for column in columns)
            if table.name in PARTITIONS and table.name != "fact_engagements" and not pruned:
                found.append(table.name)
    return found
