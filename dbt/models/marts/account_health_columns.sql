{# The columns of the lake's tables: whether each is there, and how many of its values are null. #}
{% set order = wistia_tables() %}
{# One look at each table. #}
with nothing as (
    select 1 as nothing
)
{% for name, table in order.items() %}
{% set there = lake_columns(name) %}
{% if there %}
, counts_{{ name }} as (
    select
        cast(count(*) as {{ type_of('bigint') }}) as row_count
        {% for column in table.columns if column in there %}{% set place = (table.columns.keys() | list).index(column) + 1 %}
        , cast(sum(case when t.{{ quoted(column) }} is null then 1 else 0 end) as {{ type_of('bigint') }}) as nulls_{{ place }}
        {% endfor %}
    from {{ source(table.source, name) }} as t
)
{% endif %}
{% endfor %}

{% for name, table in order.items() %}
{% set there = lake_columns(name) %}
{% set outer = loop %}
{% for column, known in table.columns.items() %}
select
    '{{ name }}' as table_name,
    '{{ column }}' as column_name,
    {{ loop.index }} as place,
    {{ 1 if known.personal else 0 }} as is_personal,
    {{ 1 if column in there else 0 }} as is_there,
    {% if column in there %}counted.row_count{% else %}cast(null as {{ type_of('bigint') }}){% endif %} as row_count,
    {% if column in there %}counted.nulls_{{ loop.index }}{% else %}cast(null as {{ type_of('bigint') }}){% endif %} as null_count
from {% if column in there %}counts_{{ name }}{% else %}nothing{% endif %} as counted
{{ 'union all' if not (outer.last and loop.last) }}
{% endfor %}
{% endfor %}
