//! In what a table of the catalog differs from the lake's, in words. Nothing is written.

use super::by_crawler::prefix;
use super::mismatch::Mismatch;
use super::options::Method;
use super::partitions::PartitionChanges;
use super::session::{Session, folders_with_files, partitions_with_files};
use crate::error::Result;

/// What the catalog has otherwise than the lake. A table without files is none that it must know.
pub(super) fn differences(session: &Session, table: &str) -> Result<Vec<String>> {
    let Some(entry) = session.entry(table)? else { return Ok(Vec::new()) };
    if folders_with_files(&session.lake, table)?.is_empty() {
        return Ok(Vec::new());
    }
    let name = match &session.options.method {
        Method::Registration => entry.name.clone(),
        Method::Crawler(options) => format!("{}{table}", prefix(&*session.glue, options)?),
    };
    let found = session.glue.table(&name)?;
    let arn = session.glue.table_arn(&name, found.as_ref());
    let Some(found) = found else { return Ok(vec![format!("{arn}: {}", Mismatch::NoTable)]) };
    let is_registered = matches!(session.options.method, Method::Registration);
    let of_table = match entry.update(&found) {
        Err(mismatch) => Some(mismatch.to_string()),
        Ok(update) => match entry.difference(&found) {
            Some(mismatch) => Some(mismatch.to_string()),
            None => update
                .filter(|_| is_registered)
                .map(|_| "it lacks comments, parameters or how its files are read".to_owned()),
        },
    };
    let mut differences: Vec<String> =
        of_table.into_iter().map(|what| format!("{arn}: {what}")).collect();
    if let Some(key) = entry.key()
        && differences.is_empty()
    {
        let known = session.glue.partitions(&name)?;
        let folders = partitions_with_files(&session.lake, table, key)?;
        let columns = found.storage_descriptor.as_ref().map(|own| own.columns().to_vec());
        let columns = columns.unwrap_or_default();
        match PartitionChanges::between(&entry, &folders, &known, &columns, true) {
            Err(mismatch) => differences.push(format!("{arn}: {mismatch}")),
            Ok(changes) => {
                let what = changes.words(is_registered).into_iter();
                differences.extend(what.map(|what| format!("{arn}: {what}")));
            }
        }
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::by_registration;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::fake::{FakeGlue, column};
    use crate::catalog::session::tests::{load, session};
    use crate::testing::LakeFolder;

    /// A table of two partitions, as it was registered.
    fn registered(folder: &LakeFolder) -> (Session, FakeGlue) {
        let glue = FakeGlue::default();
        glue.state().has_database = true;
        let mut run =
            session(&folder.lake(), &glue, &Arc::new(FakeClock::new()), Method::Registration);
        load(&mut run, "t", &[0, 1]);
        by_registration::sync(&mut run).unwrap();
        (run, glue)
    }

    fn told(run: &Session, part: &str) {
        let differences = differences(run, "t").unwrap();
        assert!(differences.len() == 1 && differences[0].contains(part), "{differences:?}");
    }

    #[test]
    fn what_was_registered_is_equal_and_a_table_of_another_lake_is_none_of_it() {
        let folder = LakeFolder::new();
        let (run, glue) = registered(&folder);
        assert_eq!(differences(&run, "t").unwrap(), [""; 0]);
        assert_eq!(differences(&run, "other").unwrap(), [""; 0]);
        let before = glue.take_writes().len();
        assert!(before > 0 && glue.take_writes().is_empty());
    }

    #[test]
    fn what_another_has_changed_in_the_catalog_is_told() {
        let folder = LakeFolder::new();
        let (run, glue) = registered(&folder);
        glue.state().partitions.retain(|(_, value), _| value == "2026-01");
        told(&run, "partitions that are missing: 1, such as `2026-02`");
        let folder = LakeFolder::new();
        let (run, glue) = registered(&folder);
        glue.state().change_table("t", |table| {
            let own = table.storage_descriptor.as_mut().unwrap();
            own.columns.as_mut().unwrap()[0] = column("id", "string");
        });
        told(&run, "column `id` is string");
        let folder = LakeFolder::new();
        let (run, glue) = registered(&folder);
        glue.state().tables.clear();
        told(&run, "it is not there");
        let folder = LakeFolder::new();
        let (run, _glue) = registered(&folder);
        for object in run.lake.store.list("t/month=2026-02/").unwrap() {
            run.lake.store.delete(&object.key).unwrap();
        }
        told(&run, "partitions that have no files any more: 1, such as `2026-02`");
    }
}
