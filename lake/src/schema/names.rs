//! Names that Glue, Athena, Spark and Redshift all accept.

use std::collections::HashSet;
use std::hash::BuildHasher;

use xxhash_rust::xxh3::xxh3_64;

/// Longest name in bytes; Redshift cuts longer ones silently
/// (<https://docs.aws.amazon.com/redshift/latest/dg/r_names.html>).
const MAX_BYTES: usize = 127;

/// How names are folded.
///
/// A table keeps the names that it has, so that of the release that made it is known as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folding {
    /// What is not ASCII is written with the letters that stand for it: `größe` is `groesse`.
    Transliterated,
    /// What is not ASCII is `_`, as in release 0.1: `größe` is `gr__e`.
    Former,
}

/// Folds a name to `[a-z0-9_]`: camel case to snake case, other letters to those that stand for them,
/// everything else to `_`.
///
/// A leading `_` stays for columns (`_sdc_…`); names that would be empty become `_`.
pub fn fold(name: &str) -> String {
    fold_by(Folding::Transliterated, name)
}

/// Folds a name in one of the ways.
pub fn fold_by(folding: Folding, name: &str) -> String {
    if folding == Folding::Former && !name.is_ascii() {
        let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
        return shorten(snake(&plain), name);
    }
    shorten(snake(name), name)
}

fn snake(name: &str) -> String {
    let mut folded = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let starts_word = character.is_uppercase()
            && (previous.is_lowercase()
                || previous.is_ascii_digit()
                || (previous.is_uppercase()
                    && characters.peek().is_some_and(|next| next.is_lowercase())));
        if starts_word {
            folded.push('_');
        }
        if character.is_ascii_alphanumeric() || character == '_' {
            folded.push(character.to_ascii_lowercase());
        } else if character.is_ascii() {
            folded.push('_');
        } else {
            transliterate(character, &mut folded);
        }
        previous = character;
    }
    if folded.is_empty() {
        folded.push('_');
    }
    folded
}

/// Appends the letters that stand for one that is not ASCII, or `_` where none do.
fn transliterate(character: char, folded: &mut String) {
    let letters = match character {
        'ä' | 'Ä' => "ae",
        'ö' | 'Ö' => "oe",
        'ü' | 'Ü' => "ue",
        // Two dots that stand behind their vowel, as macOS has them in the names of files.
        '\u{308}' if folded.ends_with(['a', 'o', 'u']) => "e",
        // All other marks on the letter before them.
        '\u{300}'..='\u{36f}' => return,
        _ => deunicode::deunicode_char(character).unwrap_or_default().trim(),
    };
    if letters.is_empty() {
        folded.push('_');
    }
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    folded.extend(letters.chars().map(|letter| plain(letter.to_ascii_lowercase())));
}

/// Folds the name of a table. Names that readers hide are made visible.
pub fn fold_table(name: &str) -> String {
    fold_table_by(Folding::Transliterated, name)
}

/// Folds the name of a table in one of the ways.
pub fn fold_table_by(folding: Folding, name: &str) -> String {
    let folded = fold_by(folding, name);
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
            ("Größe", "groesse"),
            ("gro\u{308}ße", "groesse"),
            ("üml", "ueml"),
            ("ÄRGER", "aerger"),
            ("StraßeÄndern", "strasse_aendern"),
            ("naïveCafé", "naive_cafe"),
            ("smørrebrød", "smorrebrod"),
            ("北京", "beijing"),
            ("Москва", "moskva"),
            ("a€b", "aeurb"),
            ("\u{e000}", "_"),
            ("a b.c-d", "a_b_c_d"),
            ("", "_"),
            ("_sdc_received_at", "_sdc_received_at"),
            ("TestCamelcase", "test_camelcase"),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn the_names_of_the_first_release_are_known() {
        for (name, folded) in
            [("Größe", "gr__e"), ("üml", "_ml"), ("aÄb", "a_b"), ("fileSize", "file_size")]
        {
            assert_eq!(fold_by(Folding::Former, name), folded, "{name}");
        }
        assert_eq!(fold_table_by(Folding::Former, "üml"), "t_ml");
        assert_eq!(fold_table("üml"), "ueml");
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
            for folding in [Folding::Transliterated, Folding::Former] {
                let folded = fold_by(folding, &name);
                prop_assert!(!folded.is_empty() && folded.len() <= MAX_BYTES);
                prop_assert!(folded.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
                prop_assert_eq!(fold(&folded), folded);
            }
        }

        #[test]
        fn a_name_of_ascii_is_what_it_always_was(name in "[ -~]{0,40}") {
            prop_assert_eq!(fold(&name), fold_by(Folding::Former, &name));
        }
    }
}
