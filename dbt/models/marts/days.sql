{# Every day, for time series without holes (the time spine of the semantic models). #}
with digits as (
    {% for digit in range(10) %}select {{ digit }} as digit{{ ' union all ' if not loop.last }}{% endfor %}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as number_of_days
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
)

select {{ days_after("cast('2015-01-01' as date)", 'numbers.number_of_days') }} as day
from numbers
where numbers.number_of_days < 7305
