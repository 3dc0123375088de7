//! What the environment asks for, as every tool has it:
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::time::Duration;

/// The one protocol that is spoken: OTLP over HTTP, as Protobuf.
const PROTOCOL: &str = "http/protobuf";

/// No export takes longer, whatever is asked for: a collector must not hold up a run.
const LONGEST: Duration = Duration::from_secs(3);

/// What is sent, and how each is called in variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}

/// What is wanted of one signal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing.
    No,
    /// That it is sent, within this time.
    Yes(Duration),
    /// Something that is not there. The sentence says what.
    Other(String),
}

/// The variables, as a function, for tests.
pub(super) struct Environment<F>(pub(super) F);

impl Environment<fn(&str) -> Option<String>> {
    /// That of the process.
    pub(super) fn of_process() -> Self {
        Self(|name| std::env::var(name).ok())
    }
}

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// A variable. An empty one is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// What the variables say of the exporter of a signal: its own, else that of all.
    fn of_exporter(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name());
        let names = [own, format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// What is wanted of a signal.
    pub(super) fn wanted(&self, signal: Signal) -> Wanted {
        let is_disabled = self.get("OTEL_SDK_DISABLED");
        let is_disabled = is_disabled.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if is_disabled || self.of_exporter(signal, "ENDPOINT").is_none() {
            return Wanted::No;
        }
        let name = format!("OTEL_{}_EXPORTER", signal.name());
        let exporters = self.get(&name).unwrap_or_else(|| "otlp".to_owned());
        let mut exporters = exporters.split(',').map(str::trim);
        match exporters.clone().find(|exporter| *exporter != "otlp") {
            _ if exporters.clone().any(|exporter| exporter == "none") => return Wanted::No,
            Some(other) if !exporters.any(|exporter| exporter == "otlp") => {
                return Wanted::Other(format!("{name} is `{other}`; there are `otlp` and `none`"));
            }
            Some(_) | None => {}
        }
        if let Some((name, protocol)) = self.of_exporter(signal, "PROTOCOL")
            && protocol != PROTOCOL
        {
            return Wanted::Other(format!(
                "{name} is `{protocol}`, and only `{PROTOCOL}` is spoken, which collectors hear at port 4318"
            ));
        }
        let asked = self.of_exporter(signal, "TIMEOUT").and_then(|(_, text)| text.parse().ok());
        Wanted::Yes(asked.map_or(LONGEST, Duration::from_millis).min(LONGEST))
    }

    /// Warns where headers, which may hold a key, go to another machine without encryption.
    pub(super) fn warn_of_plain_http(&self) {
        for of in ["", "TRACES_", "METRICS_"] {
            let get = |what: &str| self.get(&format!("OTEL_EXPORTER_OTLP_{of}{what}"));
            let (endpoint, headers) = (get("ENDPOINT"), get("HEADERS"));
            let headers = headers.or_else(|| self.get("OTEL_EXPORTER_OTLP_HEADERS"));
            let name = format!("OTEL_EXPORTER_OTLP_{of}ENDPOINT");
            crate::exposed::warn_of_plain_http(
                &name,
                endpoint.as_deref().filter(|_| headers.is_some()),
                "headers go",
            );
        }
    }

    /// Whether the environment names the service.
    pub(super) fn names_service(&self) -> bool {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut keys = attributes.split(',').filter_map(|pair| pair.split_once('='));
        self.get("OTEL_SERVICE_NAME").is_some() || keys.any(|(key, _)| key.trim() == "service.name")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn wanted(signal: Signal, variables: &[(&str, &str)]) -> Wanted {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Environment(|name: &str| variables.get(name).map(|text| (*text).to_owned())).wanted(signal)
    }

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            &[endpoint, ("OTEL_SDK_DISABLED", "True")],
            &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
            &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/v1/metrics")],
        ] {
            assert_eq!(wanted(Signal::Traces, variables), Wanted::No, "{variables:?}");
        }
        for variables in [
            &[endpoint][..],
            &[endpoint, ("OTEL_SDK_DISABLED", "1")],
            &[endpoint, ("OTEL_METRICS_EXPORTER", "none")],
            &[endpoint, ("OTEL_TRACES_EXPORTER", "console, otlp")],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")],
            &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            &[
                endpoint,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
        ] {
            assert_eq!(wanted(Signal::Traces, variables), Wanted::Yes(LONGEST), "{variables:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_by_its_variable() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            let Wanted::Other(words) = wanted(Signal::Traces, &[endpoint, (name, value)]) else {
                panic!("{name}");
            };
            assert!(words.contains(name) && words.contains(value), "{words}");
        }
    }

    #[test]
    fn a_timeout_may_be_shorter_and_never_longer() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let timeout =
            |text| wanted(Signal::Metrics, &[endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", text)]);
        assert_eq!(timeout("200"), Wanted::Yes(Duration::from_millis(200)));
        assert_eq!(timeout("60000"), Wanted::Yes(LONGEST));
        assert_eq!(timeout("soon"), Wanted::Yes(LONGEST));
    }

    #[test]
    fn the_name_of_the_service_is_that_of_the_environment_where_it_has_one() {
        for (name, value, names) in [
            ("OTEL_SERVICE_NAME", "nightly", true),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=x", true),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod", false),
        ] {
            let get = |asked: &str| (asked == name).then(|| value.to_owned());
            assert_eq!(Environment(get).names_service(), names, "{value}");
        }
    }
}
