//! The team's rules: which medias are on which channel, because Wistia knows no `YouTube`.

use regex::Regex;

use crate::config::ChannelRule;
use crate::error::{Error, Result};
use crate::stream::Labels;

/// The team's rules, ready to be used.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<(String, Matcher)>);

#[derive(Debug, Default)]
struct Matcher {
    name: Option<Regex>,
    section: Option<Regex>,
    project: Option<Regex>,
    tag: Option<Regex>,
}

impl Rules {
    /// Compiles the rules of the settings. Each needs a pattern, and every pattern must be one.
    pub(crate) fn new(rules: &[ChannelRule]) -> Result<Self> {
        let compile = |pattern: &Option<String>| {
            let Some(pattern) = pattern else { return Ok(None) };
            Regex::new(pattern).map(Some).map_err(|error| {
                // The lines before the last one draw the pattern with a mark under it.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Error::Setting {
                    key: "channel_rules",
                    reason: format!("`{pattern}` is no pattern: {reason}"),
                }
            })
        };
        let mut compiled = Vec::new();
        for rule in rules {
            let matcher = Matcher {
                name: compile(&rule.name)?,
                section: compile(&rule.section)?,
                project: compile(&rule.project)?,
                tag: compile(&rule.tag)?,
            };
            if matcher.is_empty() {
                return Err(Error::Setting {
                    key: "channel_rules",
                    reason: format!(
                        "the rule for `{}` has no pattern; give name, section, project or tag",
                        rule.channel
                    ),
                });
            }
            compiled.push((rule.channel.clone(), matcher));
        }
        Ok(Self(compiled))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The channel of a media: that of the first rule that fits.
    pub(crate) fn channel(&self, media: &Labels<'_>) -> Option<&str> {
        self.0.iter().find(|(_, matcher)| matcher.fits(media)).map(|(channel, _)| channel.as_str())
    }
}

impl Matcher {
    fn is_empty(&self) -> bool {
        [&self.name, &self.section, &self.project, &self.tag]
            .iter()
            .all(|pattern| pattern.is_none())
    }

    /// Whether every pattern of the rule fits.
    fn fits(&self, media: &Labels<'_>) -> bool {
        let fits = |pattern: &Option<Regex>, text: Option<&str>| match pattern {
            None => true,
            Some(pattern) => text.is_some_and(|text| pattern.is_match(text)),
        };
        let tagged = match &self.tag {
            None => true,
            Some(pattern) => media.tags.iter().any(|tag| pattern.is_match(tag)),
        };
        tagged
            && fits(&self.name, media.name)
            && fits(&self.section, media.section)
            && fits(&self.project, media.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Rules> {
        Rules::new(&serde_json::from_str::<Vec<ChannelRule>>(json).unwrap())
    }

    const NOTHING: Labels<'_> =
        Labels { hashed_id: "m", name: None, section: None, project: None, tags: &[] };

    #[test]
    fn the_first_rule_that_fits_names_the_channel() {
        let rules = rules(
            r#"[{"channel":"YouTube","name":"(?i)youtube"},{"channel":"Ads","tag":"^paid$","project":"Mark"},
                {"channel":"Rest","name":"."}]"#,
        )
        .unwrap();
        let paid = ["free".to_owned(), "paid".to_owned()];
        let ads = Labels { name: Some("x"), tags: &paid, project: Some("Marketing"), ..NOTHING };
        assert_eq!(rules.channel(&ads), Some("Ads"));
        let film = Labels { name: Some("a YOUTUBE film"), ..NOTHING };
        assert_eq!(rules.channel(&film), Some("YouTube"));
        assert_eq!(rules.channel(&Labels { name: Some("x"), ..NOTHING }), Some("Rest"));
        assert_eq!(rules.channel(&NOTHING), None);
    }

    #[test]
    fn all_patterns_of_a_rule_must_fit() {
        let rules = rules(r#"[{"channel":"Ads","tag":"paid","section":"Spring"}]"#).unwrap();
        let paid = ["paid".to_owned()];
        let tagged = Labels { tags: &paid, ..NOTHING };
        assert_eq!(rules.channel(&tagged), None);
        assert_eq!(rules.channel(&Labels { section: Some("Spring"), ..NOTHING }), None);
        assert_eq!(rules.channel(&Labels { section: Some("Spring 26"), ..tagged }), Some("Ads"));
        assert!(!rules.is_empty());
        assert!(Rules::default().is_empty());
    }

    #[test]
    fn a_rule_without_or_with_a_broken_pattern_is_an_error() {
        for (json, word) in [
            (r#"[{"channel":"a"}]"#, "has no pattern"),
            (r#"[{"channel":"a","name":"("}]"#, "unclosed group"),
        ] {
            let error = rules(json).unwrap_err().to_string();
            assert!(error.contains("`channel_rules`") && error.contains(word), "{error}");
        }
    }
}
