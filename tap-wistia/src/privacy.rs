//! Personal data: kept, replaced by pseudonyms, or dropped.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;

use crate::config::{Config, PersonalData};
use crate::streams::event::Event;
use crate::streams::visitor::Visitor;

/// How personal data is treated.
#[derive(Debug, Clone)]
pub enum Privacy {
    /// It stays.
    Keep,
    /// Identities become pseudonyms.
    Pseudonyms {
        /// The hash, with the salt as its key.
        hash: Box<Hmac<Sha256>>,
        /// Whether places and addresses go too.
        drop: bool,
    },
}

impl Privacy {
    /// The treatment that the settings ask for. They have been validated, so a salt is there where
    /// it is needed.
    pub fn new(config: &Config) -> Self {
        let salt = config.personal_data_salt.as_ref().map_or("", |salt| salt.expose());
        match (config.personal_data, Hmac::new_from_slice(salt.as_bytes())) {
            (PersonalData::Keep, _) | (_, Err(_)) => Self::Keep,
            (wanted, Ok(hash)) => {
                Self::Pseudonyms { hash: Box::new(hash), drop: wanted == PersonalData::Drop }
            }
        }
    }

    /// Treats an event.
    pub fn event(&self, event: &mut Event) {
        let Self::Pseudonyms { hash, drop } = self else { return };
        replace(hash, &mut event.visitor_key);
        replace(hash, &mut event.ip);
        event.iframe_heatmap_url = event.iframe_heatmap_url.take().map(without_token);
        event.embed_url = event.embed_url.take().map(without_query);
        if *drop {
            event.ip = None;
            event.city = None;
            event.lat = None;
            event.lon = None;
            event.org = None;
        }
    }

    /// Treats a visitor.
    pub fn visitor(&self, visitor: &mut Visitor) {
        let Self::Pseudonyms { hash, drop } = self else { return };
        visitor.visitor_key = pseudonym(hash, &visitor.visitor_key);
        if *drop {
            visitor.visitor_identity = None;
        } else if let Some(identity) = &mut visitor.visitor_identity {
            replace(hash, &mut identity.name);
        }
    }
}

fn replace(hash: &Hmac<Sha256>, value: &mut Option<String>) {
    if let Some(value) = value {
        *value = pseudonym(hash, value);
    }
}

/// HMAC-SHA-256 of a value, in hexadecimal.
fn pseudonym(hash: &Hmac<Sha256>, value: &str) -> String {
    let mut hash = hash.clone();
    hash.update(value.as_bytes());
    let digest = hash.finalize().into_bytes();
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// A URL without its `public_token`. What is no URL loses everything after a question mark.
fn without_token(text: String) -> String {
    let Ok(mut url) = Url::parse(&text) else { return without_query(text) };
    let kept: Vec<_> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "public_token").collect();
    url.set_fragment(None);
    if kept.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    url.into()
}

/// A URL without its query and fragment.
fn without_query(mut text: String) -> String {
    if let Some(end) = text.find(['?', '#']) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        serde_json::from_str(
            r#"{"event_key":"k","visitor_key":"v","ip":"192.0.2.1","city":"Kyoto","lat":1,"lon":2,
                "org":"o","region":"r","embed_url":"https://example.com/a?email=x#y",
                "iframe_heatmap_url":"https://example.com/iframe.html?public_token=s3cret&a=1"}"#,
        )
        .unwrap()
    }

    fn treated(settings: &str) -> Event {
        let config: Config = serde_json::from_str(settings).unwrap();
        let mut event = event();
        Privacy::new(&config).event(&mut event);
        event
    }

    #[test]
    fn kept_data_is_what_the_api_sent() {
        assert_eq!(treated(r#"{"api_token":"t"}"#).visitor_key.as_deref(), Some("v"));
    }

    #[test]
    fn hashed_data_still_joins_and_holds_no_token() {
        let settings = r#"{"api_token":"t","personal_data":"hash","personal_data_salt":"key"}"#;
        let event = treated(settings);
        // printf v | openssl dgst -sha256 -hmac key
        assert_eq!(
            event.visitor_key.as_deref(),
            Some("aaade7f8c351b27f26abe471b6c0b0ca2fb009770441f88305450f7b83d3fd10")
        );
        assert_eq!(event.visitor_key, treated(settings).visitor_key);
        assert_eq!(event.ip.as_ref().map(String::len), Some(64));
        assert_eq!(event.embed_url.as_deref(), Some("https://example.com/a"));
        assert_eq!(
            event.iframe_heatmap_url.as_deref(),
            Some("https://example.com/iframe.html?a=1")
        );
        assert_eq!(event.city.as_deref(), Some("Kyoto"));
    }

    #[test]
    fn dropped_data_is_gone() {
        let event =
            treated(r#"{"api_token":"t","personal_data":"drop","personal_data_salt":"key"}"#);
        assert_eq!(
            (event.ip, event.city, event.lat, event.lon, event.org),
            (None, None, None, None, None)
        );
        assert_eq!(event.region.as_deref(), Some("r"));
    }
}
