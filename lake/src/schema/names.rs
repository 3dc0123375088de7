//! Names that Glue, Athena, Spark and Redshift all accept.

use std::collections::HashSet;
use std::hash::BuildHasher;

use xxhash_rust::xxh3::xxh3_64;

/// Longest name in bytes; Redshift cuts longer ones silently.
const MAX_BYTES: usize = 127;

/// Folds a name to `[a-z0-9_]`: camel case to snake case, everything else to `_`.
///
/// A leading `_` stays for columns (`_sdc_…`); names that would be empty become `_`.
pub fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let starts_word = character.is_ascii_uppercase()
            && (previous.is_ascii_lowercase()
                || previous.is_ascii_digit()
                || (previous.is_ascii_uppercase()
                    && characters.peek().is_some_and(char::is_ascii_lowercase)));
        if starts_word {
            folded.push('_');
        }
        if character.is_ascii_alphanumeric() || character == '_' {
            folded.push(character.to_ascii_lowercase());
        } else {
            folded.push('_');
        }
        previous = character;
    }
    if folded.is_empty() {
        folded.push('_');
    }
    shorten(folded, name)
}

/// Folds the name of a table. Names that readers hide are made visible.
pub fn fold_table(name: &str) -> String {
    let folded = fold(name);
    if folded.starts_with('_') { shorten(format!("t{folded}"), name) } else { folded }
}

/// A folded name that is not yet taken. The suffix depends on the original name alone, so the same
/// names collide the same way each time.
pub fn unique<S: BuildHasher>(name: &str, taken: &HashSet<String, S>) -> String {
    let folded = fold(name);
    if !taken.contains(&folded) {
        return folded;
    }
    let mut candidate = with_suffix(&folded, name);
    let mut count = 2;
    while taken.contains(&candidate) {
        candidate = with_suffix(&format!("{folded}_{count}"), name);
        count += 1;
    }
    candidate
}

fn shorten(folded: String, original: &str) -> String {
    if folded.len() <= MAX_BYTES { folded } else { with_suffix(&folded, original) }
}

fn with_suffix(folded: &str, original: &str) -> String {
    let hash = xxh3_64(original.as_bytes()) & 0xffff_ffff;
    let keep = folded.len().min(MAX_BYTES - 9);
    format!("{}_{hash:08x}", folded.get(..keep).unwrap_or(folded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_lower_snake_case() {
        for (name, folded) in [
            ("fileSize", "file_size"),
            ("contentType", "content_type"),
            ("event_key", "event_key"),
            ("agent:os:version", "agent_os_version"),
            ("HTTPServer2Go", "http_server2_go"),
            ("URL", "url"),
            ("Größe", "gr__e"),
            ("a b.c-d", "a_b_c_d"),
            ("", "_"),
            ("_sdc_received_at", "_sdc_received_at"),
            ("TestCamelcase", "test_camelcase"),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn tables_are_never_hidden() {
        assert_eq!(fold_table("_private"), "t_private");
        assert_eq!(fold_table("../../etc/x"), "t______etc_x");
        assert_eq!(
            fold_table("test:SpecialChars!in?attributes"),
            "test_special_chars_in_attributes"
        );
    }

    #[test]
    fn colliding_names_get_a_suffix_of_their_own_name() {
        let taken = HashSet::from(["name".to_owned()]);
        let first = unique("NAME", &taken);
        assert_eq!(first, unique("NAME", &taken));
        assert_ne!(first, unique("Name", &taken));
        assert!(first.starts_with("name_"));
    }

    proptest! {
        #[test]
        fn every_name_is_short_and_plain(name in "\\PC{0,300}") {
            let folded = fold(&name);
            prop_assert!(!folded.is_empty() && folded.len() <= MAX_BYTES);
            prop_assert!(folded.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
}
