-- The rows of `fact_engagement_graph_points` from the lists of `fact_engagement_graph`, without the
-- stream: Spark knows the order of a list.
select
    g.media_id,
    u.position,
    u.point.engagement_data as engagement,
    u.point.rewatch_data as rewatch
from wistia.fact_engagement_graph g
lateral view posexplode(arrays_zip(g.engagement_data, g.rewatch_data)) u as position, point
order by g.media_id, u.position;
