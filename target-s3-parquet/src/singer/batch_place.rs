//! Where the file of a batch is, if it may be read.
//!
//! A BATCH message is the tap's word, and what it names is read with the rights of this program. So
//! only what is below the places of `batch_from` is: folders after all links are followed, prefixes by
//! whole segments of a key.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::settings::config::Config;

/// A place that files may come from.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Objects { bucket: String, prefix: String },
}

/// The file of a batch.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A local file.
    Local(File),
    /// An object on S3.
    Object {
        /// Its bucket.
        bucket: &'a str,
        /// Its key in it.
        key: &'a str,
    },
}

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is below none of these places.
    Outside(String),
    /// There is none where one may be.
    Missing,
    /// What is there is no file, but a folder, a pipe or a device.
    NoFile,
    /// The system does not let it be read.
    Unreadable(io::Error),
}

/// The file of that URL or path.
pub(super) fn find<'a>(url: &'a str, config: &Config) -> Result<Found<'a>, Refusal> {
    let places = places(config);
    let outside = || Refusal::Outside(described(&places));
    if let Some((bucket, key)) = lake::s3_address(url) {
        let is_allowed = places.iter().any(|place| place.has_object(bucket, key));
        return is_allowed.then_some(Found::Object { bucket, key }).ok_or_else(outside);
    }
    let has = |path: &Path| places.iter().any(|place| place.has_file(path));
    let mut refusal = Refusal::Missing;
    for path in candidates(url) {
        match path.canonicalize() {
            Ok(path) if has(&path) => return open(&path).map(Found::Local),
            Ok(_) => return Err(outside()),
            // Whether there is a file elsewhere is not told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut folders = path.ancestors().filter_map(|path| path.canonicalize().ok());
                if !folders.next().is_some_and(|folder| has(&folder)) {
                    refusal = outside();
                }
            }
            Err(error) => return Err(Refusal::Unreadable(error)),
        }
    }
    Err(refusal)
}

/// The places of `batch_from`, and without it those where no tap finds what is not for it: temporary
/// files and the lake's own bucket.
fn places(config: &Config) -> Vec<Place> {
    match &config.batch_from {
        Some(places) => places.iter().filter_map(|place| Place::of(place)).collect(),
        None => {
            let folder = std::env::temp_dir().canonicalize().ok().map(Place::Folder);
            let bucket = lake::s3_address(&config.destination).map(|(bucket, _)| Place::Objects {
                bucket: bucket.to_owned(),
                prefix: String::new(),
            });
            folder.into_iter().chain(bucket).collect()
        }
    }
}

fn described(places: &[Place]) -> String {
    let places: Vec<String> = places
        .iter()
        .map(|place| match place {
            Place::Folder(path) => path.display().to_string(),
            Place::Objects { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
        })
        .collect();
    if places.is_empty() { "no place".into() } else { places.join(" and ") }
}

impl Place {
    /// What an entry of `batch_from` names; a folder that is not there has no files.
    fn of(entry: &str) -> Option<Self> {
        match lake::s3_address(entry) {
            Some((bucket, prefix)) => Some(Self::Objects {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_end_matches('/').to_owned(),
            }),
            None => local(entry).canonicalize().ok().map(Self::Folder),
        }
    }

    fn has_file(&self, path: &Path) -> bool {
        match self {
            Self::Folder(folder) => path.starts_with(folder),
            Self::Objects { .. } => false,
        }
    }

    fn has_object(&self, bucket: &str, key: &str) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Objects { bucket: own, prefix } => {
                let mut segments = key.split('/');
                let is_below =
                    prefix.is_empty() || prefix.split('/').all(|own| segments.next() == Some(own));
                // S3 knows no folders, but what stands between may take these for some.
                own == bucket && is_below && !key.split('/').any(|part| matches!(part, "." | ".."))
            }
        }
    }
}

fn local(url: &str) -> PathBuf {
    url.strip_prefix("file://").unwrap_or(url).into()
}

/// The paths that may be meant: in a URL bytes may be encoded, as the SDK's file systems write them.
fn candidates(url: &str) -> Vec<PathBuf> {
    let encoded = url.strip_prefix("file://").filter(|path| path.contains('%'));
    let decoded = encoded.map(|path| PathBuf::from(OsString::from_vec(decode(path.as_bytes()))));
    let paths = decoded.into_iter().chain([local(url)]);
    // What a path is relative to is a folder too.
    paths.map(|path| std::path::absolute(&path).unwrap_or(path)).collect()
}

fn decode(text: &[u8]) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let byte = match behind {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        decoded.push(byte.map_or(*first, |(high, low)| high * 16 + low));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    decoded
}

/// Opens a file that was found. A link that has taken its place since is not followed, and a pipe does
/// not make the run wait.
fn open(path: &Path) -> Result<File, Refusal> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(Refusal::Unreadable)?;
    let is_file = file.metadata().map_err(Refusal::Unreadable)?.is_file();
    is_file.then_some(file).ok_or(Refusal::NoFile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    /// A folder that is allowed, `in`, and one that is not, `inside`, each with a file `f`.
    fn folders() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in", "inside"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("f"), name).unwrap();
        }
        folder
    }

    fn config(destination: &str, batch_from: &[&str]) -> Config {
        serde_json::from_value(json!({"destination": destination, "batch_from": batch_from}))
            .unwrap()
    }

    /// What is read at a URL, or the name of the refusal.
    fn read(url: &str, config: &Config) -> String {
        match find(url, config) {
            Ok(Found::Local(mut file)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Ok(Found::Object { bucket, key }) => format!("{key} of {bucket}"),
            Err(Refusal::Outside(places)) => format!("outside {places}"),
            Err(Refusal::Missing) => "missing".into(),
            Err(Refusal::NoFile) => "no file".into(),
            Err(Refusal::Unreadable(error)) => error.to_string(),
        }
    }

    #[test]
    fn no_way_of_writing_a_path_leads_out_of_a_folder() {
        let folder = folders();
        let root = folder.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path).display().to_string();
        symlink(at("inside/f"), at("in/link")).unwrap();
        symlink(at("inside"), at("in/folder")).unwrap();
        symlink(at("in/f"), at("inside/back")).unwrap();
        std::fs::write(at("in/a b%"), "blank").unwrap();
        std::fs::write(at("in/literal%20"), "literal").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("in/pipe"), rustix::fs::Mode::RWXU).unwrap();
        let config = config("lake", &[&at("in/")]);
        let outside = format!("outside {}", at("in"));
        for (url, found) in [
            (at("in/f"), "in"),
            (format!("file://{}", at("in/f")), "in"),
            (at("in/../in/./f"), "in"),
            (at("inside/back"), "in"),
            (format!("file://{}", at("in/a%20b%25")), "blank"),
            (format!("file://{}", at("in/literal%20")), "literal"),
            (at("in/none"), "missing"),
            (at("in/none/none"), "missing"),
            (at("in"), "no file"),
            (at("in/pipe"), "no file"),
            (at("inside/f"), &outside),
            (at("in/../inside/f"), &outside),
            (format!("file://{}", at("in/%2e%2E/inside%2Ff")), &outside),
            (at("in/link"), &outside),
            (at("in/folder/f"), &outside),
            (at("inside/none"), &outside),
            (at("none/none"), &outside),
            ("relative".into(), &outside),
            ("/etc/passwd".into(), &outside),
            ("s3://bucket/key".into(), &outside),
        ] {
            assert_eq!(read(&url, &config), found, "{url}");
        }
    }

    #[test]
    fn a_key_is_below_a_prefix_by_whole_segments() {
        let config = config("s3://lake/x", &["s3://b/in/", "file:///nowhere"]);
        let outside = "outside s3://b/in";
        for (url, found) in [
            ("s3://b/in/f", "in/f of b"),
            ("s3://b/in/deep/f", "in/deep/f of b"),
            ("s3://b/inside/f", outside),
            ("s3://b/IN/f", outside),
            ("s3://b/f", outside),
            ("s3://b/in/../f", outside),
            ("s3://b/in%2F../f", outside),
            ("s3://b//in/f", outside),
            ("s3://bb/in/f", outside),
            ("s3://lake/x/in/f", outside),
            ("/nowhere/f", outside),
        ] {
            assert_eq!(read(url, &config), found, "{url}");
        }
    }

    #[test]
    fn without_the_setting_files_come_from_temporary_ones_and_the_lakes_bucket() {
        let folder = folders();
        let of = |destination: &str| -> Config {
            serde_json::from_value(json!({"destination": destination})).unwrap()
        };
        let file = folder.path().join("in/f").display().to_string();
        let temporary = std::env::temp_dir().canonicalize().unwrap();
        let temporary = temporary.display();
        assert_eq!(read(&file, &of("lake")), "in");
        assert_eq!(read("/etc/passwd", &of("lake")), format!("outside {temporary}"));
        assert_eq!(read("s3://b/f", &of("lake")), format!("outside {temporary}"));
        assert_eq!(read("s3://b/f", &of("s3://b/lake")), "f of b");
        let outside = format!("outside {temporary} and s3://b/");
        assert_eq!(read("s3://c/f", &of("s3://b/lake")), outside);
        assert_eq!(read(&file, &config("s3://b/lake", &[])), "outside no place");
    }
}
