{# What is there of the lake, and how its tables are read. #}

{# Where DuckDB finds the lake. #}
{% macro lake_location() %}
{{ return(var('wistia_lake', env_var('WISTIA_LAKE', '../local/lake')).rstrip('/')) }}
{% endmacro %}

{# Before anything else. With DuckDB this makes a schema that looks as the catalog would: a view of each table, with all
   of its columns, and without rows where the lake has no files. #}
{% macro open_lake() %}
{% if execute %}{{ adapter.dispatch('open_lake', 'dbt_wistia')() }}{% endif %}
{% endmacro %}

{% macro default__open_lake() %}
{% for name, table in dbt_wistia.wistia_tables().items() if not dbt_wistia.lake_columns(name) %}
{% do log(dbt_wistia.what_is_missing(name, table), info=true) %}
{% endfor %}
{% endmacro %}

{% macro duckdb__open_lake() %}
{% set schema = var('wistia_schema', 'lake') %}
{% set personal = var('wistia_personal_schema', schema) %}
{% do run_query('create schema if not exists ' ~ schema) %}
{% do run_query('create schema if not exists ' ~ personal) %}
{% for name, table in dbt_wistia.wistia_tables().items() %}
    {% set files = dbt_wistia.lake_files(name) %}
    {% set there = dbt_wistia.lake_columns(name) %}
    {% if not there %}{% do log(dbt_wistia.what_is_missing(name, table), info=true) %}{% endif %}
    {% set query %}
        create or replace view {{ personal if table.source == 'wistia_personal' else schema }}.{{ name }} as
        select
        {% for column, type in table.columns.items() %}
            cast({{ '"' ~ column ~ '"' if files and column in there else 'null' }} as {{ type.duckdb }}) as "{{ column }}"{{ ',' if not loop.last }}
        {% endfor %}
        {% if files and there %}
        from {{ dbt_wistia.rows_of_files(files) }}
        {% else %}
        where false
        {% endif %}
    {% endset %}
    {% do run_query(query) %}
{% endfor %}
{% endmacro %}

{% macro what_is_missing(name, table) %}
{{ return('wistia: ' ~ name ~ ' is not in the lake; what needs it is empty. ' ~ dbt_wistia.how_to_select(name, table)) }}
{% endmacro %}

{# How a table that is missing comes into the lake. #}
{% macro how_to_select(name, table) %}
{{ return('Sync it: ' ~ ('the tap reads the stream unless a catalog leaves it out.' if table.by_default
    else 'in the catalog of the tap, "selected": true for the stream ' ~ name ~ '.')) }}
{% endmacro %}

{# The columns that a table of the lake has; none where there is no such table. Without a connection all that it may
   have. #}
{% macro lake_columns(name) %}
{% set table = dbt_wistia.wistia_tables()[name] %}
{% if not execute or not flags.INTROSPECT %}{{ return(table.columns.keys() | list) }}{% endif %}
{{ return(adapter.dispatch('lake_columns', 'dbt_wistia')(name, table)) }}
{% endmacro %}

{% macro default__lake_columns(name, table) %}
{% set place = source(table.source, name) %}
{% set found = adapter.get_relation(place.database, place.schema, place.identifier) %}
{% if not found %}{{ return([]) }}{% endif %}
{{ return(adapter.get_columns_in_relation(found) | map(attribute='name') | map('lower') | list) }}
{% endmacro %}

{# External tables stand in a list of their own. #}
{% macro redshift__lake_columns(name, table) %}
{% set place = source(table.source, name) %}
{% set found = run_query(
    "select columnname from svv_external_columns where schemaname = '" ~ place.schema ~ "' and tablename = '" ~ name ~ "'"
) %}
{{ return(found.columns[0].values() | list) }}
{% endmacro %}

{% macro duckdb__lake_columns(name, table) %}
{% set files = dbt_wistia.lake_files(name) %}
{% set iceberg = dbt_wistia.iceberg_table(name) %}
{% if not files %}{{ return(iceberg.columns if iceberg else []) }}{% endif %}
{% set described = run_query('describe select * from ' ~ dbt_wistia.rows_of_files(files)).columns[0].values() %}
{# Of an Iceberg table what its newest schema has: an older file may have more. #}
{{ return(described | select('in', iceberg.columns) | list if iceberg else described | list) }}
{% endmacro %}

{# The files of a table as DuckDB takes them: a pattern, or the list of an Iceberg table; none where there are none. #}
{% macro lake_files(name) %}
{% set iceberg = dbt_wistia.iceberg_table(name) %}
{% if iceberg %}{{ return(iceberg.files) }}{% endif %}
{% set pattern = dbt_wistia.lake_location() ~ '/' ~ name ~ '/**/*.parquet' %}
{{ return([pattern] if run_query('select 1 from glob(' ~ dbt_wistia.text_of(pattern) ~ ') limit 1') | length else []) }}
{% endmacro %}

{% macro text_of(text) %}{{ return("'" ~ text | replace("'", "''") ~ "'") }}{% endmacro %}

{% macro rows_of_files(files) %}
{% set texts = [] %}
{% for file in files %}{% do texts.append(dbt_wistia.text_of(file)) %}{% endfor %}
{{ return('read_parquet([' ~ texts | join(', ') ~ '], hive_partitioning = false, union_by_name = true)') }}
{% endmacro %}

{# The columns and files of an Iceberg table, as duckdb_plugin.py has found them; none of any other table. #}
{% macro iceberg_table(name) %}
{% set told = run_query("select 1 from duckdb_tables() where database_name = 'wistia_iceberg'") | length %}
{% set found = run_query(
    'select to_json(columns), to_json(files), problem, place from wistia_iceberg.main.tables where name = '
    ~ dbt_wistia.text_of(name)
).rows if told else [] %}
{% if not found %}
    {% set folder = dbt_wistia.lake_location() ~ '/' ~ name %}
    {% set metadata = dbt_wistia.text_of(folder ~ '/metadata/*.metadata.json') %}
    {% if not (run_query('select 1 from glob(' ~ metadata ~ ') limit 1') | length) %}{{ return(none) }}{% endif %}
    {% do exceptions.raise_compiler_error('wistia: ' ~ folder ~ ' is a table of Iceberg' ~ (
        ', and the plugin duckdb_plugin was given another lake.' if told else
        '. Give your profile the plugin duckdb_plugin, as profiles.yml of dbt_wistia has it, or read the table through its '
        ~ 'catalog: dbt build --target athena, redshift or spark.'
    )) %}
{% elif found[0][2] %}
    {% do exceptions.raise_compiler_error(
        'wistia: ' ~ found[0][3] ~ ' is a table of Iceberg that cannot be read by its files: ' ~ found[0][2]
        ~ '. Or read it by another engine: dbt build --target athena, redshift or spark.'
    ) %}
{% endif %}
{{ return({'columns': fromjson(found[0][0]), 'files': fromjson(found[0][1])}) }}
{% endmacro %}
