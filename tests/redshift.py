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
    for late in list(statement.find_all(exp.ViewAttributeProperty)):
        late.pop()
    statement.set("no_schema_binding", None)
    return statement.sql("duckdb")


def problems(statement):
    """What Redshift would refuse in this statement, or answer in another way than expected."""
    found = [f"{name} is a word of SQL: quote it" for name in unquoted(statement)]
    query = statement.find(exp.Query)
    if query is None:
        return found
    if isinstance(statement, exp.Create):
        found += problems_of_view(statement)
    found += [f"{access.sql()}: no element of a list by its place" for access in query.find_all(exp.Bracket)]
    found += [f"{order.sql()}: say `nulls last`, engines differ" for order in query.find_all(exp.Ordered) if order.args.get("desc") and order.args.get("nulls_first")]
    for scope in traverse_scope(query):
        found += problems_of_sources(scope)
    if found:
        return found
    try:
        typed = annotate_types(qualify(query.copy(), schema=TABLES, dialect="redshift"), schema=TABLES, dialect="redshift")
    except SqlglotError as error:
        return [str(error)]
    for select in typed.find_all(exp.Select):
        found += problems_of_types(select)
    return found


def unquoted(statement):
    names = {identifier.name for identifier in statement.find_all(exp.Identifier) if not identifier.quoted}
    return sorted(name for name in names if name.lower() in RESERVED)


def problems_of_view(view):
    found = []
    if not view.args.get("no_schema_binding"):
        found.append(f"{view.this.sql()}: a view of external tables binds late, `with no schema binding`")
    for scope in traverse_scope(view.expression):
        found += [f"{table.sql()}: name the schema, a late view needs it" for _, table in physical(scope) if not table.db]
    return found


def physical(scope):
    return [(name, source) for name, source in scope.sources.items() if isinstance(source, exp.Table)]


def is_nested(table):
    columns = TABLES[EXTERNAL].get(table.name, {}) if table.db == EXTERNAL else {}
    return any(kind.is_type(*exp.DataType.NESTED_TYPES) for kind in columns.values())


def problems_of_sources(scope):
    found = []
    select = scope.expression
    nested = [table for _, table in physical(scope) if is_nested(table)]
    if nested and len(scope.tables) > 1:
        names = ", ".join(table.name for table in scope.tables)
        found.append(f"{names}: a nested table is read alone; join what is selected from it")
    if scope.is_correlated_subquery and not scope.tables:
        found += [f"{column.sql()}: a query of a list knows its row only in `from`" for column in outside_from(scope)]
    if nested and isinstance(select, exp.Select):
        found += [f"{item.sql()}: no star over {nested[0].name}, which is nested" for item in select.expressions if item.is_star]
        found += [f"{test.sql()}: no `in` over nested data" for test in select.find_all(exp.In) if test.args.get("query")]
    return found


def outside_from(scope):
    rows = scope.parent.sources if scope.parent else {}
    columns = (column for column in scope.external_columns if not column.find_ancestor(exp.Unnest))
    return [column for column in columns if column.parts[0].name in rows]


def problems_of_types(select):
    found = []
    for value in select.find_all(exp.Column, exp.Dot):
        walked = isinstance(value.parent, (exp.Dot, exp.Unnest))
        if value.type and value.type.is_type(*exp.DataType.NESTED_TYPES) and not walked:
            found.append(f"{value.sql()} is {value.type.sql()}: take its fields or elements")
        if isinstance(value, exp.Dot) and not has_field(value):
            found.append(f"{value.sql()}: there is no such field")
    for division in select.find_all(exp.Div):
        if all(side.type and side.type.is_type(*exp.DataType.INTEGER_TYPES) for side in (division.this, division.expression)):
            found.append(f"{division.sql()}: integers are divided without a fraction")
    for mean in select.find_all(exp.Avg):
        if mean.this.type and mean.this.type.is_type(*exp.DataType.INTEGER_TYPES):
            found.append(f"{mean.sql()}: the mean of integers is an integer")
    return found


def has_field(value):
    fields = value.this.type.expressions if value.this.type else []
    return value.name in {field.name for field in fields}


def unpruned(query):
    """The partitioned tables that a query reads as a whole, other than the snapshots, which are few."""
    found = []
    for scope in traverse_scope(query):
        for name, table in physical(scope):
            if table.name not in PARTITIONS or table.name == "fact_engagements":
                continue
            condition = scope.expression.args.get("where")
            columns = condition.find_all(exp.Column) if condition else []
            if not any(column.name == "month" and column.table == name for column in columns):
                found.append(table.name)
    return found
