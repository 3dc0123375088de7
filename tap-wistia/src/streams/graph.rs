//! `fact_engagement_graph` and its points: which parts of a media are watched, from
//! `/stats/medias/{id}/engagement`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaId, MediaStats, Source, Stream, schema};
use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;

/// The graphs, a row each.
pub static FACT_ENGAGEMENT_GRAPH: Stream = Stream {
    name: "fact_engagement_graph",
    keys: &["media_id"],
    replication_key: None,
    selected_by_default: true,
    source: Source::Media(request),
    schema: schema::<Graph<'_>>,
};

/// The graphs, a row each point.
pub static FACT_ENGAGEMENT_GRAPH_POINTS: Stream = Stream {
    name: "fact_engagement_graph_points",
    keys: &["media_id", "position"],
    replication_key: None,
    selected_by_default: false,
    source: Source::Media(request),
    schema: schema::<Point<'_>>,
};

/// Which parts of a media are watched. A part is a second, or a thousandth of a media that is
/// longer than a thousand seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Graph<'a> {
    /// Hashed id of the media.
    pub media_id: &'a str,
    /// Part of the media that is watched on average, from 0 to 1.
    pub engagement: Option<f64>,
    /// Times each part was watched.
    pub engagement_data: Option<Vec<Option<i64>>>,
    /// Times each part was watched again.
    pub rewatch_data: Option<Vec<Option<i64>>>,
}

/// A part of a media.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Point<'a> {
    /// Hashed id of the media.
    pub media_id: &'a str,
    /// Place of the part, from 0.
    pub position: i64,
    /// Times it was watched.
    pub engagement: Option<i64>,
    /// Times it was watched again.
    pub rewatch: Option<i64>,
}

/// What the API answers.
#[derive(Debug, Deserialize)]
pub struct Cells {
    #[serde(default, deserialize_with = "clean::double")]
    engagement: Option<f64>,
    #[serde(default, deserialize_with = "clean::integers")]
    engagement_data: Option<Vec<Option<i64>>>,
    #[serde(default, deserialize_with = "clean::integers")]
    rewatch_data: Option<Vec<Option<i64>>>,
}

impl Resource for clean::Row<Cells> {
    const NAME: &'static str = "the engagement graph of a media";
    const UNUSED: &'static [&'static str] = &[];
}

/// Reads graphs.
#[derive(Debug)]
pub struct Graphs;

fn request(media_id: &str) -> Request {
    Request::new(format!("/stats/medias/{media_id}/engagement"))
}

impl MediaStats for Graphs {
    type Answer = clean::Row<Cells>;
    const FEEDS: &'static [&'static Stream] =
        &[&FACT_ENGAGEMENT_GRAPH, &FACT_ENGAGEMENT_GRAPH_POINTS];

    fn request(&self, media: &MediaId) -> Request {
        request(&media.hashed_id)
    }

    fn emit(&self, media_id: &str, answer: Self::Answer, output: &mut Output) -> Result<()> {
        let Some(cells) = answer.0 else { return Ok(()) };
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
