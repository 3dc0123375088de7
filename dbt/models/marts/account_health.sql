{# The tables of the lake: whether each is there, how many rows it has and how far behind it is. #}
{% set order = wistia_tables() %}
with counted as (
    {% for name, table in order.items() %}
    {% set there = lake_columns(name) %}
    select
        '{{ name }}' as table_name,
        {{ 1 if there else 0 }} as is_there,
        {{ 1 if table.by_default else 0 }} as is_by_default,
        {% if there %}count(*){% else %}0{% endif %} as row_count,
        {% if table.time in there %}
        cast(max({{ time_text('t.' ~ quoted(table.time), table.columns[table.time].type) }}) as date)
        {% else %}
        cast(null as date)
        {% endif %} as newest_day,
        {{ 1 if table.time else 0 }} as has_days,
        {{ dbt.string_literal('' if there else how_to_select(name, table) | replace("'", '')) }} as what_to_do
    from {% if there %}{{ source(table.source, name) }}{% else %}(select 1 as nothing){% endif %} as t
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    table_name,
    is_there,
    is_by_default,
    cast(row_count as {{ type_of('bigint') }}) as row_count,
    newest_day,
    has_days,
    {{ days_between('newest_day', 'current_date') }} as days_behind,
    what_to_do
from counted
