//! Laws of the house that the compiler does not keep: how the files of this crate hang together.

#[path = "../../tests/house/circles.rs"]
mod circles;

use std::path::Path;

fn sources() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn no_two_files_import_each_other_directly_or_in_a_circle() {
    let found = circles::circles(&sources());
    assert!(found.is_empty(), "circles between files:\n{}", found.join("\n"));
}

/// A mistake in what is served must not be in the truth as well.
#[test]
fn what_is_true_and_what_is_served_know_nothing_but_the_account() {
    let arrows = circles::arrows(&sources());
    let of = |folder: &str| {
        let files = arrows.iter().filter(|(file, _)| file.starts_with(folder));
        files.map(|(file, named)| (file.clone(), named.clone())).collect::<Vec<_>>()
    };
    let may_name = [
        ("truth/", vec!["truth/", "account/"]),
        ("wire/", vec!["wire/", "account/"]),
        ("api/", vec!["api/", "wire/", "account/"]),
        ("account/", vec!["account/"]),
    ];
    for (folder, known) in may_name {
        let files = of(folder);
        assert!(files.len() > 1, "{folder}");
        for (file, named) in files {
            for other in named {
                let is_known = known.iter().any(|known| other.starts_with(known));
                assert!(is_known, "{file} names {other}");
            }
        }
    }
}

/// Of the account both take types, and through them its data: no constant, and no function.
#[test]
fn what_is_true_and_what_is_served_share_nothing_but_types() {
    for folder in ["truth", "wire", "api"] {
        let mut files = 0;
        for entry in std::fs::read_dir(sources().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for taken in text.split("account::").skip(1) {
                files += 1;
                let end = taken.find([';', ')', ' ']).unwrap();
                let end = if taken.starts_with('{') { taken.find('}').unwrap() } else { end };
                for name in taken[..end].trim_matches('{').split(',').map(str::trim) {
                    let is_type = name.starts_with(char::is_uppercase)
                        && name.chars().any(char::is_lowercase);
                    assert!(is_type || name.is_empty(), "{} takes {name}", path.display());
                }
            }
        }
        assert!(files > 0, "{folder}");
    }
}
