//! Laws of the house that the compiler does not keep: how the files of the target hang together.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files fails")]

#[path = "../../tests/house/circles.rs"]
mod circles;

use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The sources below a folder, with their paths there.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn no_two_files_import_each_other_directly_or_in_a_circle() {
    let found = circles::circles(&src());
    assert!(found.is_empty(), "circles between files:\n{}", found.join("\n"));
}

#[test]
fn decoder_input_and_engine_know_no_protocol_by_name() {
    for (folder, files) in [("decode", 15), ("input", 7), ("engine", 3)] {
        let sources = sources(&src().join(folder));
        assert!(sources.len() >= files, "{folder} has moved");
        for (path, text) in sources {
            for name in ["airbyte", "singer", "_sdc_"] {
                let found = text.lines().find(|line| line.to_lowercase().contains(name));
                assert_eq!(found, None, "{} knows {name}", path.display());
            }
        }
    }
}

#[test]
fn only_what_starts_a_run_knows_the_protocols() {
    let arrows = circles::arrows(&src());
    for protocol in ["singer/", "airbyte/"] {
        let outside = arrows.iter().filter(|(file, _)| !file.starts_with(protocol));
        let knows =
            outside.filter(|(_, named)| named.iter().any(|name| name.starts_with(protocol)));
        for (file, _) in knows {
            assert!(["lib.rs", "cli.rs", "fuzzing.rs"].contains(&file.as_str()), "{file}");
        }
    }
    // The walker sees the arrows that there are.
    assert!(arrows["lib.rs"].contains("singer/write.rs"));
    assert!(arrows["cli.rs"].contains("airbyte/verbs.rs"));
}

#[test]
fn a_file_holds_one_idea_in_at_most_400_lines_without_its_tests() {
    for (path, text) in sources(&src()) {
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_test = path.ends_with("tests.rs") || path.ends_with("oracle.rs");
        let lines = if is_test { 0 } else { product.lines().count() };
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}
