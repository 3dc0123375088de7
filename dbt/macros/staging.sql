{# A column of a staging model: its name and type, the column of the table it comes from, and the part of it. #}
{% macro column(name, type, from=none, field=none, expression=none) %}
{{ return({'name': name, 'type': type, 'from': from or name, 'field': field, 'expression': expression}) }}
{% endmacro %}

{# A table of the lake with plain columns of the types that analysts want. What the lake does not have is null, and a
   table that it does not have has no rows. #}
{% macro stage(table_name, columns) %}
{% set table = dbt_wistia.wistia_tables()[table_name] %}
{# Named in any case: what dbt builds first must not depend on what is there. #}
{% set relation = source(table.source, table_name) %}
{% set there = dbt_wistia.lake_columns(table_name) %}
select
{%- for column in columns %}
    {% if column.from not in there -%}
    cast(null as {{ dbt_wistia.type_of(column.type) }})
    {%- else -%}
    {{ dbt_wistia.staged(column, table.columns[column.from]) }}
    {%- endif %} as {{ column.name }}{{ ',' if not loop.last }}
{%- endfor %}
{% if there -%}
from {{ relation }} as t
{%- else -%}
-- {{ table_name }} is not in the lake.
from (select 1 as nothing) as t
where 1 = 0
{%- endif %}
{% endmacro %}

{# The value of a column that is there. #}
{% macro staged(column, known) %}
{% set value = 't.' ~ dbt_wistia.quoted(column.from) ~ ('.' ~ column.field if column.field else '') %}
{% if column.expression %}{% set value = column.expression | replace('$', value) %}{% endif %}
{% set personal = known.personal and not column.expression %}
{% if personal and var('wistia_personal') != 'shown' %}
    {% if column.name.endswith('_key') %}
        {% set value = dbt_wistia.hashed(dbt.concat([value, dbt.string_literal(var('wistia_salt'))])) %}
    {% else %}
        {% set value = 'null' %}
    {% endif %}
{% elif column.type == 'timestamp' %}
    {{ return(dbt_wistia.time_of(value)) }}
{% elif column.type == 'date' and known.type != 'date' %}
    {% set value = 'substring(' ~ value ~ ', 1, 10)' %}
{% endif %}
{{ return('cast(' ~ value ~ ' as ' ~ dbt_wistia.type_of(column.type) ~ ')') }}
{% endmacro %}

{# A name that may be a word of SQL. #}
{% macro quoted(name) %}{{ return(adapter.quote(name) if name in ('date', 'type', 'position', 'section', 'name', 'source') else name) }}{% endmacro %}

{# What is in a list, a row each, with the key of its row: media_id and value. #}
{% macro rows_of_list(table_name, key, list, value) %}
{% set table = dbt_wistia.wistia_tables()[table_name] %}
{% set relation = source(table.source, table_name) %}
{% set there = dbt_wistia.lake_columns(table_name) %}
{% if key in there and list in there %}
{{ adapter.dispatch('rows_of_list', 'dbt_wistia')(relation, key, list, value) }}
{% else %}
select cast(null as {{ dbt_wistia.type_of('string') }}) as media_id, cast(null as {{ dbt_wistia.type_of('string') }}) as {{ value }}
from (select 1 as nothing) as t
where 1 = 0
{% endif %}
{% endmacro %}

{% macro default__rows_of_list(relation, key, list, value) %}
select t.{{ key }} as media_id, u.item as {{ value }}
from {{ relation }} as t
cross join unnest(t.{{ list }}) as u (item)
{% endmacro %}

{% macro redshift__rows_of_list(relation, key, list, value) %}
select t.{{ key }} as media_id, item as {{ value }}
from {{ relation }} as t, t.{{ list }} as item
{% endmacro %}

{% macro spark__rows_of_list(relation, key, list, value) %}
select t.{{ key }} as media_id, u.item as {{ value }}
from {{ relation }} as t
lateral view explode(t.{{ list }}) u as item
{% endmacro %}

{# The parts of a media that were watched, from the lists of fact_engagement_graph: media_id, point, engagement,
   rewatch. Redshift reads a list without its order, and there they come from fact_engagement_graph_points alone. #}
{% macro rows_of_graph() %}{{ return(adapter.dispatch('rows_of_graph', 'dbt_wistia')()) }}{% endmacro %}

{% macro no_graph() %}
select
    cast(null as {{ dbt_wistia.type_of('string') }}) as media_id,
    cast(null as {{ dbt_wistia.type_of('bigint') }}) as point,
    cast(null as {{ dbt_wistia.type_of('bigint') }}) as engagement,
    cast(null as {{ dbt_wistia.type_of('bigint') }}) as rewatch
from (select 1 as nothing) as t
where 1 = 0
{% endmacro %}

{% macro default__rows_of_graph() %}
{% set relation = source('wistia', 'fact_engagement_graph') %}
{% set there = dbt_wistia.lake_columns('fact_engagement_graph') %}
{% if 'engagement_data' not in there or 'rewatch_data' not in there %}{{ return(dbt_wistia.no_graph()) }}{% endif %}
{{ return(dbt_wistia.graph_of(relation)) }}
{% endmacro %}

{% macro redshift__rows_of_graph() %}{{ return(dbt_wistia.no_graph()) }}{% endmacro %}

{% macro graph_of(relation) %}{{ return(adapter.dispatch('graph_of', 'dbt_wistia')(relation)) }}{% endmacro %}

{% macro default__graph_of(relation) %}
select
    t.media_id,
    u.place - 1 as point,
    u.engagement,
    u.rewatch
from {{ relation }} as t
cross join unnest(t.engagement_data, t.rewatch_data) with ordinality as u (engagement, rewatch, place)
{% endmacro %}

{% macro duckdb__graph_of(relation) %}
select
    t.media_id,
    u.place - 1 as point,
    t.engagement_data[u.place] as engagement,
    t.rewatch_data[u.place] as rewatch
from {{ relation }} as t
cross join unnest(range(1, len(t.engagement_data) + 1)) as u (place)
{% endmacro %}

{% macro spark__graph_of(relation) %}
select
    t.media_id,
    cast(u.place as bigint) as point,
    u.watched as engagement,
    t.rewatch_data[u.place] as rewatch
from {{ relation }} as t
lateral view posexplode(t.engagement_data) u as place, watched
{% endmacro %}
