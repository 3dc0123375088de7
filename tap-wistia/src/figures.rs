//! What a sync counts, for whoever watches over many of them.

use chrono::{DateTime, Utc};
use program::telemetry::{self, Figure};

use crate::client::Traffic;
use crate::output::Output;
use crate::stream::Stream;

/// Tells how far a sync has come.
#[expect(
    clippy::cast_precision_loss,
    reason = "no sync reads more records than a double can count"
)]
pub(crate) fn tell(output: &Output, traffic: &Traffic) {
    if !telemetry::is_on() {
        return;
    }
    for selected in output.selected() {
        let stream = [("stream", selected.stream.name)];
        telemetry::tell(Figure::Records, &stream, selected.records as f64);
    }
    telemetry::tell(Figure::Requests, &[], traffic.requests() as f64);
    telemetry::tell(Figure::Retries, &[], traffic.retries() as f64);
    telemetry::tell(Figure::Waited, &[], traffic.waits().seconds());
}

/// Tells that streams have been read up to a time: that of the newest record where it has one, else the end of
/// the last day.
pub(crate) fn lag(streams: &[&Stream], until: DateTime<Utc>) {
    if telemetry::is_on() {
        let seconds = (Utc::now() - until).as_seconds_f64().max(0.0);
        for stream in streams {
            telemetry::tell(Figure::Lag, &[("stream", stream.name)], seconds);
        }
    }
}
