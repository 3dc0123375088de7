//! What sends traces and metrics, and the layer of the log that makes traces of spans.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, RetryPolicy, SpanExporter, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::{Layer, Registry};

use super::environment::{Environment, Signal, Wanted};
use super::figures;
use crate::courier::Courier;

/// The target of spans that are sent.
pub const SPANS: &str = "telemetry";

/// A layer of the log.
pub(crate) type Layers = Box<dyn Layer<Registry> + Send + Sync>;

/// Calls of the AWS SDK make a span each, in these modules.
const CALLS: [&str; 2] = ["aws_sdk_glue::operation", "aws_sdk_s3::operation"];

/// Time that the last traces may take.
const LAST: Duration = Duration::from_secs(5);

static STARTED: OnceLock<Started> = OnceLock::new();

/// What is sent.
#[derive(Debug)]
pub(super) struct Started {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// What is sent, if anything is.
pub(super) fn started() -> Option<&'static Started> {
    STARTED.get()
}

/// Whether anything is sent, so that figures are worth looking up.
pub fn is_on() -> bool {
    started().is_some()
}

impl Started {
    /// Sends what has not been sent, both at the same time.
    pub(super) fn end(&self) {
        std::thread::scope(|scope| {
            if let Some(metrics) = &self.metrics {
                scope.spawn(|| _ = metrics.shutdown());
            }
            if let Some(traces) = &self.traces {
                // Who hears of it has been told already.
                _ = traces.shutdown_with_timeout(LAST);
            }
        });
    }
}

/// The layer of the log that sends spans, where the environment asks for it, and sentences about what it asks for
/// and cannot have. Metrics are prepared beside it. Only the first call counts.
pub(crate) fn layer(program: &'static str) -> (Option<Layers>, Vec<String>) {
    let environment = Environment::of_process();
    let mut warnings = Vec::new();
    let mut wanted = |signal, what| match environment.wanted(signal) {
        Wanted::No => None,
        Wanted::Yes(timeout) => Some(timeout),
        Wanted::Other(reason) => {
            warnings.push(format!("no {what} are sent: {reason}"));
            None
        }
    };
    let (traces, metrics) = (wanted(Signal::Traces, "traces"), wanted(Signal::Metrics, "metrics"));
    if traces.is_none() && metrics.is_none() {
        return (None, warnings);
    }
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !environment.names_service() {
        resource = resource.with_service_name(program);
    }
    let resource = resource.build();
    // What the error says may hold the value of a variable, and with it a secret.
    let mut refuse = |what| {
        let reason =
            "the address of OTEL_EXPORTER_OTLP_ENDPOINT is no URL, or a compression is asked for";
        warnings.push(format!("no {what} are sent: {reason}"));
    };
    let traces =
        traces.and_then(|timeout| span_exporter(timeout).map_err(|_| refuse("traces")).ok());
    let metrics =
        metrics.and_then(|timeout| metric_exporter(timeout).map_err(|_| refuse("metrics")).ok());
    let traces = traces.map(|exporter| {
        let provider = SdkTracerProvider::builder().with_resource(resource.clone());
        provider.with_batch_exporter(exporter).build()
    });
    let metrics = metrics.map(|exporter| {
        let provider = SdkMeterProvider::builder().with_resource(resource);
        let provider = provider.with_periodic_exporter(exporter).build();
        figures::observe(&provider.meter(program));
        provider
    });
    let layer = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(program))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_sent).with_max_level_hint(LevelFilter::DEBUG))
            .boxed()
    });
    _ = STARTED.set(Started { traces, metrics });
    (layer, warnings)
}

fn span_exporter(timeout: Duration) -> Result<SpanExporter, ExporterBuildError> {
    let builder = SpanExporter::builder().with_http();
    let courier = Arc::new(Courier::new("traces", timeout));
    builder.with_shared_http_client(courier).with_retry_policy(RetryPolicy::disabled()).build()
}

fn metric_exporter(timeout: Duration) -> Result<MetricExporter, ExporterBuildError> {
    let builder = MetricExporter::builder().with_http();
    let courier = Arc::new(Courier::new("metrics", timeout));
    builder.with_shared_http_client(courier).with_retry_policy(RetryPolicy::disabled()).build()
}

/// Spans of ours and of calls to AWS, and what is worth a warning while they last.
fn is_sent(metadata: &Metadata<'_>) -> bool {
    if metadata.is_event() {
        return *metadata.level() <= Level::WARN && !metadata.target().starts_with("aws_");
    }
    let target = metadata.target();
    target == SPANS || CALLS.iter().any(|module| target.starts_with(module))
}
