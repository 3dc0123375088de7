//! Names in the settings: patterns, and the streams and properties that mistyped ones may mean.

/// How alike two names must be for one to be offered in the place of the other, from 0 to 1
/// ([Jaro-Winkler](https://docs.rs/strsim/latest/strsim/fn.jaro_winkler.html)).
const ALIKE: f64 = 0.8;

/// Whether a name stands for all names of a pattern.
pub(super) fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// The name that is most like a mistyped one, if any is alike.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = known.into_iter().map(|name| (strsim::jaro_winkler(typed, name), name));
    let (likeness, name) = likeness.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (likeness > ALIKE).then_some(name)
}
