-- The rows of `fact_engagement_graph_points` from the lists of `fact_engagement_graph`, without the
-- stream: Athena knows the order of a list.
select
    g.media_id,
    u.place - 1 as position,
    u.engagement,
    element_at(g.rewatch_data, u.place) as rewatch
from wistia.fact_engagement_graph g
cross join unnest(g.engagement_data) with ordinality as u (engagement, place)
order by g.media_id, u.place;
