//! Personal data: kept, replaced by pseudonyms, or dropped. What is personal about a record, its
//! stream knows; here is what becomes of it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;

use crate::config::{Config, PersonalData};
use crate::error::{Error, Result};

/// How personal data is treated.
#[derive(Debug, Clone)]
pub(crate) enum Privacy {
    /// It stays as the API sends it.
    Keep,
    /// Identities become pseudonyms, tokens and queries are cut from URLs.
    Hash(Box<Pseudonyms>),
    /// The same, and what points at a person or a place smaller than a region goes.
    Drop(Box<Pseudonyms>),
}

/// Pseudonyms: HMAC-SHA-256 with the salt as key. The same in every sync, so that joins still work.
#[derive(Debug, Clone)]
pub(crate) struct Pseudonyms(Hmac<Sha256>);

impl Privacy {
    /// The treatment that the settings ask for. It never falls back to keeping.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let pseudonyms = || {
            let salt = config.personal_data_salt.as_ref();
            let salt = salt.ok_or_else(|| Error::internal("a salt, as the settings require"))?;
            Pseudonyms::new(salt.expose()).map(Box::new)
        };
        Ok(match config.personal_data {
            PersonalData::Keep => Self::Keep,
            PersonalData::Hash => Self::Hash(pseudonyms()?),
            PersonalData::Drop => Self::Drop(pseudonyms()?),
        })
    }
}

impl Pseudonyms {
    fn new(salt: &str) -> Result<Self> {
        let hash = Hmac::new_from_slice(salt.as_bytes());
        hash.map(Self).map_err(Error::unexpected("an HMAC that takes a key of any length"))
    }

    /// The pseudonym of a value, in hexadecimal.
    pub(crate) fn of(&self, value: &str) -> String {
        let mut hash = self.0.clone();
        hash.update(value.as_bytes());
        hex::encode(hash.finalize().into_bytes())
    }

    /// Puts the pseudonym in the place of a value.
    pub(crate) fn replace(&self, value: &mut Option<String>) {
        if let Some(value) = value {
            *value = self.of(value);
        }
    }
}

/// A URL without its `public_token`. What is no URL loses everything after a question mark.
pub(crate) fn without_token(text: String) -> String {
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
pub(crate) fn without_query(mut text: String) -> String {
    if let Some(end) = text.find(['?', '#']) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privacy(settings: &str) -> Result<Privacy> {
        let config = format!(r#"{{"api_token":"t",{settings}}}"#);
        Privacy::new(&serde_json::from_str(&config).unwrap())
    }

    #[test]
    fn a_pseudonym_is_the_hmac_of_the_salt_in_every_sync() {
        let salted = r#""personal_data":"hash","personal_data_salt":"key""#;
        for _ in 0..2 {
            let Privacy::Hash(pseudonyms) = privacy(salted).unwrap() else { panic!() };
            // printf v | openssl dgst -sha256 -hmac key
            assert_eq!(
                pseudonyms.of("v"),
                "aaade7f8c351b27f26abe471b6c0b0ca2fb009770441f88305450f7b83d3fd10"
            );
        }
        let other = privacy(r#""personal_data":"drop","personal_data_salt":"other""#).unwrap();
        let Privacy::Drop(other) = other else { panic!() };
        let mut value = Some("v".to_owned());
        other.replace(&mut value);
        assert_eq!(value.as_ref().map(String::len), Some(64));
        assert!(!value.unwrap().starts_with("aaade7f8"));
    }

    #[test]
    fn without_a_salt_nothing_is_kept_by_mistake() {
        for treatment in ["hash", "drop"] {
            let found = privacy(&format!(r#""personal_data":"{treatment}""#));
            assert!(matches!(found, Err(Error::Internal { .. })), "{found:?}");
        }
        assert!(matches!(privacy(r#""personal_data":"keep""#), Ok(Privacy::Keep)));
    }

    #[test]
    fn tokens_and_queries_are_cut_from_urls() {
        let token = |text: &str| without_token(text.to_owned());
        assert_eq!(token("https://e.com/i?public_token=s&a=1#f"), "https://e.com/i?a=1");
        assert_eq!(token("https://e.com/i?public_token=s"), "https://e.com/i");
        assert_eq!(token("/i?public_token=s"), "/i");
        assert_eq!(without_query("https://e.com/a?email=x#y".into()), "https://e.com/a");
        assert_eq!(without_query("https://e.com/a#y".into()), "https://e.com/a");
    }
}
