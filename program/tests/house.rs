//! Laws of the house that the compiler does not keep: how the files of this crate hang together.

#[path = "../../tests/house/circles.rs"]
mod circles;

use std::path::Path;

#[test]
fn no_two_files_import_each_other_directly_or_in_a_circle() {
    let found = circles::circles(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.is_empty(), "circles between files:\n{}", found.join("\n"));
}
