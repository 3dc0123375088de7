//! Laws of the house that the compiler does not keep: how the files of the tap hang together.

#![expect(clippy::unwrap_used, reason = "a test that cannot write its files fails")]

#[path = "../../tests/house/circles.rs"]
mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A crate with these files.
fn made_up(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    circles::circles(made_up(files).path())
}

#[test]
fn no_two_files_import_each_other_directly_or_in_a_circle() {
    let found = circles::circles(&src());
    assert!(found.is_empty(), "circles between files:\n{}", found.join("\n"));
}

#[test]
fn the_sync_names_no_stream_and_the_floor_names_nothing() {
    let arrows = circles::arrows(&src());
    let named = |file: &str| arrows[file].iter().map(String::as_str).collect::<Vec<_>>();
    let below = |file: &str| {
        let mut below = BTreeSet::from([file.to_owned()]);
        let mut new = vec![file.to_owned()];
        while let Some(file) = new.pop() {
            new.extend(arrows[&file].iter().filter(|next| below.insert((*next).clone())).cloned());
        }
        below
    };
    for file in ["sync.rs", "output.rs", "read/mod.rs", "client/mod.rs", "state.rs", "privacy.rs"] {
        let streams: Vec<_> =
            below(file).into_iter().filter(|below| below.starts_with("streams/")).collect();
        assert!(streams.is_empty(), "{file} knows {streams:?}");
    }
    for floor in ["stream.rs", "permission.rs", "shown.rs", "clean/tally.rs"] {
        assert!(named(floor).is_empty(), "{floor} names {:?}", named(floor));
    }
    assert_eq!(named("client/request.rs"), ["permission.rs"]);
    assert_eq!(named("error.rs"), ["error/words.rs", "permission.rs"]);
    // The walker sees the arrows that there are.
    assert!(named("streams/mod.rs").contains(&"streams/media.rs"));
    assert!(named("job.rs").contains(&"sync.rs"));
    assert!(named("read/account.rs").contains(&"read/days.rs"));
}

#[test]
fn a_circle_of_two_files_and_one_of_three_are_named() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use std::{fmt, io}; use crate::{error, a::A};"),
        ("c.rs", "use crate::d;"),
        ("d.rs", "fn f() { crate::e::g() }"),
        ("e.rs", "use super::{c as other, d::D};"),
    ]);
    assert_eq!(
        found,
        ["a.rs -> b.rs -> a.rs", "c.rs -> d.rs -> e.rs -> c.rs", "d.rs -> e.rs -> d.rs"]
    );
}

#[test]
fn a_child_that_imports_from_a_parent_that_uses_it_is_a_circle() {
    let child = ("wide/child.rs", "use super::Width;");
    for parent in ["mod child; pub use child::Child;", "mod child; fn f() { child::f() }"] {
        let found = circles_of(&[("lib.rs", "mod wide;"), ("wide/mod.rs", parent), child]);
        assert_eq!(found, ["wide/child.rs -> wide/mod.rs -> wide/child.rs"], "{parent}");
    }
    let declared = ("wide/mod.rs", "mod child; pub struct Width;");
    assert!(circles_of(&[("lib.rs", "mod wide;"), declared, child]).is_empty());
    let through_root = [("lib.rs", "mod a; fn f() { a::g() }"), ("a.rs", "use crate::f;")];
    assert_eq!(circles_of(&through_root), ["a.rs -> lib.rs -> a.rs"]);
}

#[test]
fn siblings_tests_comments_and_strings_make_no_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod wide; mod other; #[cfg(test)] mod testing;"),
        ("testing.rs", "use crate::wide::one::One;"),
        ("wide/mod.rs", "mod one; mod two; pub use one::One;"),
        ("wide/one.rs", "use super::two::Two; mod inner { use super::Two; }"),
        (
            "wide/two.rs",
            r##"
            // use super::one::One;
            /* crate::wide::one /* nested */ crate::wide::one */
            const TEXT: &str = "crate::wide::one \" crate::wide::one";
            const RAW: &str = r#"crate::wide::one " crate::wide::one"#;
            const QUOTE: char = '"';
            fn f<'a>(text: &'a str) -> &'a str { text }
            #[cfg(test)]
            use crate::wide::one::One;
            #[cfg(test)]
            mod tests { use super::super::one::One; fn f() -> [u8; 1] { [0; 1] } }
            "##,
        ),
        ("other.rs", "use crate::wide::One; #[cfg(test)] mod tests;"),
        ("other/tests.rs", "use super::*; use crate::wide::One;"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}
