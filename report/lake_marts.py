"""What pages ask: the marts of the lake, and the slices by which they are narrowed."""

SLICES = """
create temp table slices as
with known as (
    select media_id from video_channels
    union
    select media_id from events_per_video
    union
    select media_id from drop_off
),

belonging as (
    select
        known.media_id,
        coalesce(any_value(videos.project), 'unknown') as project,
        coalesce(list(distinct channels.channel order by channels.channel) filter (channels.channel is not null), [])
            as channels
    from known
    left join videos on videos.media_id = known.media_id
    left join video_channels as channels on channels.media_id = known.media_id
    group by known.media_id
)

select media_id, project, channels, dense_rank() over (order by project, channels) as slice
from belonging
"""
"""Videos of one project and the same channels are a slice: figures by slice are few, and can be narrowed by both."""


def open_marts(connection):
    """Makes the names that the blocks of a page use."""
    connection.execute("set search_path = 'wistia,temp'")
    # Sums of doubles depend on who adds them up, and a page that is built again is to be the same.
    connection.execute("set threads = 1")
    connection.execute(SLICES)


def rows_of(connection, query):
    answer = connection.execute(query)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def tables_of(connection):
    """The tables of the lake, and whether each is there."""
    return rows_of(connection, "select * from account_health order by table_name")


def slices_of(connection):
    """What each slice is."""
    return rows_of(connection, "select distinct slice, project, channels from slices order by slice")


def days_of(connection):
    """The first and the last day with figures, which are those of every page."""
    (found,) = rows_of(
        connection,
        """
        select cast(min(first) as varchar) as first, cast(max(last) as varchar) as last
        from (
            select min(day) as first, max(day) as last from video_performance_daily
            union all
            select min(month), max(last_day) from events_per_video
        )
        """,
    )
    return found
