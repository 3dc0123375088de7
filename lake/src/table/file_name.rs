//! Names of a table's files. What has another name was not written by a lake, and stays as it is: whoever
//! put it there may have it nowhere else.

use crate::store::Object;

/// Below it each table has a folder, and in it each generation one.
pub(crate) const GENERATIONS: &str = "_lake/generations";

/// Names of files that are told; of more, their number.
const TOLD: usize = 3;

/// Whether a file below a table, by its key without the table's prefix, may be one of the table.
pub(crate) fn is_own(inner: &str) -> bool {
    let (folders, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    let is_partition =
        |folder: &str| folder.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    let in_place = folders.is_empty() || folders.split('/').all(is_partition);
    let Some((stem, number)) = name.strip_suffix(".parquet").and_then(|stem| stem.rsplit_once('-'))
    else {
        return false;
    };
    in_place && is_number(number, 5) && (stem == "part" || is_run(stem))
}

/// The folder of a file, with a slash behind it or empty, and its name there.
pub(crate) fn split(inner: &str) -> (&str, &str) {
    inner.rfind('/').and_then(|at| inner.split_at_checked(at + 1)).unwrap_or(("", inner))
}

/// The name of an object of an upserted table.
pub(crate) fn part(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

/// The number of an object of an upserted table, by its key; nothing for what is none.
pub(crate) fn part_number(key: &str) -> Option<u32> {
    let name = key.rsplit('/').next()?;
    let number = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
    if is_number(number, 5) { number.parse().ok() } else { None }
}

/// Whether it is the name of a run: a time and the number of a process.
fn is_run(name: &str) -> bool {
    let Some((time, process)) = name.split_once('-') else { return false };
    let is_process = process.len() >= 5 && process.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_time =
        time.split_once('T').is_some_and(|(day, time)| is_number(day, 8) && is_number(time, 6));
    is_process && is_time
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() >= digits && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// The keys of objects below a prefix that are no files of a table.
pub(crate) fn foreign<'a>(prefix: &str, objects: &'a [Object]) -> Vec<&'a str> {
    let keys = objects.iter().map(|object| object.key.as_str());
    keys.filter(|key| {
        let inner = key.strip_prefix(prefix).unwrap_or(key);
        // Consoles of S3 mark folders by empty objects.
        !inner.is_empty() && !inner.ends_with('/') && !is_own(inner)
    })
    .collect()
}

/// Keys in words: the first ones, and how many more there are.
pub(crate) fn told(keys: &[&str]) -> String {
    let shown: Vec<String> = keys.iter().take(TOLD).map(|key| format!("`{key}`")).collect();
    match keys.len().saturating_sub(TOLD) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lake_writes_is_its_own_and_nothing_else() {
        for own in [
            "part-00000.parquet",
            "month=2026-01/part-00012.parquet",
            "day=/region=a=b/part-123456.parquet",
            "20261126T225505123456-00a1b2-00000.parquet",
            "month=2026-01/20261126T225505123456-1a2b3c4-00007.parquet",
        ] {
            assert!(is_own(own), "{own}");
        }
        for foreign in [
            "thesis.txt",
            "sub/photo.jpg",
            "sub/part-00000.parquet",
            "part-0.parquet",
            "part-00000.parquet.bak",
            "part-00000-5c2f.snappy.parquet",
            "_SUCCESS",
            "run-00000.parquet",
            "2026-01-01-00000.parquet",
            "=a/part-00000.parquet",
            "",
        ] {
            assert!(!is_own(foreign), "{foreign}");
        }
    }

    #[test]
    fn an_object_of_a_shard_is_known_by_its_number() {
        for number in [0, 7, 99_999, 100_000, u32::MAX] {
            assert_eq!(part_number(&format!("t/month=2026-01/{}", part(number))), Some(number));
        }
        for other in ["part-1.parquet", "part-00001.csv", "a-00001.parquet", "part-+0001.parquet"] {
            assert_eq!(part_number(other), None, "{other}");
        }
        assert_eq!(part_number("part-4294967296.parquet"), None);
    }

    #[test]
    fn a_name_that_a_run_has_is_known() {
        let lake = crate::testing::LakeFolder::new();
        assert!(is_run(lake.lake().run()), "{}", lake.lake().run());
    }

    #[test]
    fn foreign_files_are_told_by_their_first_names() {
        let object = |key: &str| Object { key: key.into(), size: 0, version: String::new() };
        let keys = ["t/", "t/a.txt", "t/b", "t/c/d", "t/e", "t/part-00000.parquet", "t/sub/"];
        let objects: Vec<Object> = keys.into_iter().map(object).collect();
        let foreign = foreign("t/", &objects);
        assert_eq!(foreign, ["t/a.txt", "t/b", "t/c/d", "t/e"]);
        assert_eq!(told(&foreign), "`t/a.txt`, `t/b`, `t/c/d` and 1 more");
        assert_eq!(told(&foreign[..1]), "`t/a.txt`");
    }
}
