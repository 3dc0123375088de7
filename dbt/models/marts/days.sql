{# Every day, for time series without holes (the time spine of the semantic models). #}
select cast(date_day as date) as day
from ({{ dbt.date_spine('day', "cast('2015-01-01' as date)", "cast('2035-01-01' as date)") }}) as spine
