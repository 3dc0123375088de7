{# What differs between the engines in types and values. #}

{# The name of a type: string, bigint, double, boolean, date or timestamp. #}
{% macro type_of(kind) %}{{ return(adapter.dispatch('type_of', 'dbt_wistia')(kind)) }}{% endmacro %}

{% macro default__type_of(kind) %}{{ return({'string': 'varchar'}.get(kind, kind)) }}{% endmacro %}

{% macro spark__type_of(kind) %}{{ return(kind) }}{% endmacro %}

{% macro redshift__type_of(kind) %}
{{ return({'string': 'varchar(65535)', 'double': 'double precision'}.get(kind, kind)) }}
{% endmacro %}

{# A text such as 2026-06-30T09:00:00.040Z as a time. Wistia's are in UTC. #}
{% macro time_of(text) %}cast(replace(substring({{ text }}, 1, 19), 'T', ' ') as timestamp){% endmacro %}

{# What one cannot go back from, and what is the same for the same text. #}
{% macro hashed(text) %}{{ return(adapter.dispatch('hashed', 'dbt_wistia')(text)) }}{% endmacro %}

{% macro default__hashed(text) %}sha256({{ text }}){% endmacro %}

{% macro athena__hashed(text) %}lower(to_hex(sha256(to_utf8({{ text }})))){% endmacro %}

{% macro redshift__hashed(text) %}sha2({{ text }}, 256){% endmacro %}

{% macro spark__hashed(text) %}sha2({{ text }}, 256){% endmacro %}

{# Seconds from one time to another. #}
{% macro seconds_between(start, end) %}{{ return(adapter.dispatch('seconds_between', 'dbt_wistia')(start, end)) }}{% endmacro %}

{% macro default__seconds_between(start, end) %}date_diff('second', {{ start }}, {{ end }}){% endmacro %}

{% macro redshift__seconds_between(start, end) %}datediff(second, {{ start }}, {{ end }}){% endmacro %}

{% macro spark__seconds_between(start, end) %}(unix_timestamp({{ end }}) - unix_timestamp({{ start }})){% endmacro %}

{# Days from one date to another. #}
{% macro days_between(start, end) %}{{ return(adapter.dispatch('days_between', 'dbt_wistia')(start, end)) }}{% endmacro %}

{% macro default__days_between(start, end) %}date_diff('day', {{ start }}, {{ end }}){% endmacro %}

{% macro redshift__days_between(start, end) %}datediff(day, {{ start }}, {{ end }}){% endmacro %}

{% macro spark__days_between(start, end) %}datediff({{ end }}, {{ start }}){% endmacro %}

{# A date some days before another. #}
{% macro days_before(date, days) %}{{ return(adapter.dispatch('days_before', 'dbt_wistia')(date, days)) }}{% endmacro %}

{% macro default__days_before(date, days) %}cast({{ date }} - interval '{{ days }}' day as date){% endmacro %}

{% macro redshift__days_before(date, days) %}cast(dateadd(day, -{{ days }}, {{ date }}) as date){% endmacro %}

{% macro spark__days_before(date, days) %}date_sub({{ date }}, {{ days }}){% endmacro %}

{# The first day of the month or week that a date is in. #}
{% macro first_day(part, date) %}cast(date_trunc('{{ part }}', {{ date }}) as date){% endmacro %}

{# A part of a text, from 1. #}
{% macro part_of(text, separator, place) %}split_part({{ text }}, '{{ separator }}', {{ place }}){% endmacro %}

{# What a parameter of a URL says. #}
{% macro url_parameter(url, name) %}
nullif({{ part_of(part_of(part_of(url, name ~ '=', 2), '&', 1), '#', 1) }}, '')
{%- endmacro %}

{# A quotient, where there is one. #}
{% macro share(part, whole) %}(1.0 * {{ part }} / nullif({{ whole }}, 0)){% endmacro %}

{# A day or time of the lake as a text that sorts, or as the day that it is. #}
{% macro time_text(value, type) %}{{ return(value if type == 'date' else 'substring(' ~ value ~ ', 1, 10)') }}{% endmacro %}

{# A date some days after another, by a number that is a column. #}
{% macro days_after(date, days) %}{{ return(adapter.dispatch('days_after', 'dbt_wistia')(date, days)) }}{% endmacro %}

{% macro default__days_after(date, days) %}cast(date_add('day', {{ days }}, {{ date }}) as date){% endmacro %}

{% macro duckdb__days_after(date, days) %}{{ date }} + cast({{ days }} as integer){% endmacro %}

{% macro redshift__days_after(date, days) %}cast(dateadd(day, {{ days }}, {{ date }}) as date){% endmacro %}

{% macro spark__days_after(date, days) %}date_add({{ date }}, {{ days }}){% endmacro %}
