//! `fact_engagement_graph` and its points: which parts of a media are watched, from
//! `/stats/medias/{id}/engagement`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::read::{Endpoint, MediaFigures, PerMedia, Read};
use crate::stream::{Stream, schema};

/// Engagement graphs of medias: <https://docs.wistia.com/docs/stats-api>.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_ENGAGEMENT_GRAPH, &FACT_ENGAGEMENT_GRAPH_POINTS],
    read: Read::PerMedia(PerMedia::of::<clean::Row<Cells>>()),
};

static FACT_ENGAGEMENT_GRAPH: Stream = Stream {
    name: "fact_engagement_graph",
    keys: &["media_id"],
    replication_key: None,
    selected_by_default: true,
    masked: &[],
    schema: schema::<Graph<'_>>,
};

static FACT_ENGAGEMENT_GRAPH_POINTS: Stream = Stream {
    name: "fact_engagement_graph_points",
    keys: &["media_id", "position"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Point<'_>>,
};

/// Which parts of a media are watched. A part is a second, or a thousandth of a media that is
/// longer than a thousand seconds.
#[derive(Debug, Serialize, JsonSchema)]
struct Graph<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Part of the media that is watched on average, from 0 to 1.
    engagement: Option<f64>,
    /// Times each part was watched.
    engagement_data: Option<Vec<Option<i64>>>,
    /// Times each part was watched again.
    rewatch_data: Option<Vec<Option<i64>>>,
}

/// A part of a media.
#[derive(Debug, Serialize, JsonSchema)]
struct Point<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Place of the part, from 0.
    position: i64,
    /// Times it was watched.
    engagement: Option<i64>,
    /// Times it was watched again.
    rewatch: Option<i64>,
}

/// The graph as the API answers it.
#[derive(Debug, Deserialize)]
struct Cells {
    #[serde(default, deserialize_with = "clean::double")]
    engagement: Option<f64>,
    #[serde(default, deserialize_with = "clean::integers")]
    engagement_data: Option<Vec<Option<i64>>>,
    #[serde(default, deserialize_with = "clean::integers")]
    rewatch_data: Option<Vec<Option<i64>>>,
}

impl Resource for clean::Row<Cells> {
    const NAME: &'static str = "the engagement graph of a media";
    const TABLE: &'static str = FACT_ENGAGEMENT_GRAPH.name;
    const UNUSED: &'static [&'static str] = &[];
    const MEASURES: &'static [&'static str] = &["engagement", "engagement_data", "rewatch_data"];
}

impl MediaFigures for clean::Row<Cells> {
    fn request(media_id: &str) -> Request {
        Request::new("/stats/medias").segment(media_id).segment("engagement")
    }

    fn rows(&self) -> usize {
        usize::from(self.0.is_some())
    }

    fn emit(self, media_id: &str, _: NaiveDate, output: &mut Output) -> Result<()> {
        // An empty answer is an empty row: skipped, and counted where it was read.
        let Some(cells) = self.0 else { return Ok(()) };
        let graph = Graph {
            media_id,
            engagement: cells.engagement,
            engagement_data: cells.engagement_data,
            rewatch_data: cells.rewatch_data,
        };
        output.record(&FACT_ENGAGEMENT_GRAPH, &graph)?;
        if !output.wants(&FACT_ENGAGEMENT_GRAPH_POINTS) {
            return Ok(());
        }
        let cell = |cells: &Option<Vec<Option<i64>>>, at: usize| {
            cells.as_ref().and_then(|cells| cells.get(at).copied().flatten())
        };
        let length = |cells: &Option<Vec<Option<i64>>>| cells.as_ref().map_or(0, Vec::len);
        let points = length(&graph.engagement_data).max(length(&graph.rewatch_data));
        for (position, at) in (0_i64..).zip(0..points) {
            let point = Point {
                media_id,
                position,
                engagement: cell(&graph.engagement_data, at),
                rewatch: cell(&graph.rewatch_data, at),
            };
            output.record(&FACT_ENGAGEMENT_GRAPH_POINTS, &point)?;
        }
        Ok(())
    }
}
