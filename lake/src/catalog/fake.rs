//! A Glue in memory: it keeps tables, versions, partitions and a crawler as the real one does, logs
//! what it was asked for, and does what a test has scripted for the n-th request of an operation.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_glue::primitives::DateTime;
use aws_sdk_glue::types::{
    Column, Crawler, CrawlerState, CrawlerTargets, LastCrawlInfo, LastCrawlStatus, Partition,
    PartitionInput, StorageDescriptor, Table, TableInput,
};

use super::api::{CrawlerApi, CrawlerSpec, TableApi};
use super::rejection::Rejection;

/// What another client of Glue does just before a request is answered.
type Interference = Box<dyn FnOnce(&mut State) + Send>;

/// A Glue that is shared by a test and what it tests.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeGlue(Arc<Mutex<State>>);

/// What a Glue holds.
#[derive(Default)]
pub(crate) struct State {
    /// Whether the database is there.
    pub(crate) has_database: bool,
    pub(crate) tables: BTreeMap<String, Table>,
    /// By table and value.
    pub(super) partitions: BTreeMap<(String, String), Partition>,
    pub(super) crawler: Option<Crawler>,
    /// How the crawler looks next; when the last of these has been seen, its crawl has ended.
    pub(super) looks: VecDeque<CrawlerState>,
    /// How crawls end that are started from now on; without one, well.
    pub(super) ends: VecDeque<LastCrawlStatus>,
    /// The tables that a crawl that ends well makes of the files.
    pub(super) crawled: Vec<TableInput>,
    /// When the last crawl began, in seconds.
    crawls: i64,
    /// The operations that were asked for, in order.
    pub(crate) asked: Vec<&'static str>,
    rejections: HashMap<(&'static str, usize), &'static str>,
    denied: Vec<&'static str>,
    interferences: HashMap<(&'static str, usize), Interference>,
    /// Requests that are done and answered by an error.
    unheard: HashMap<(&'static str, usize), &'static str>,
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl FakeGlue {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The n-th request of an operation, from 1, is rejected with this code.
    pub(crate) fn reject(&self, operation: &'static str, nth: usize, code: &'static str) {
        self.state().rejections.insert((operation, nth), code);
    }

    /// The n-th request of an operation, from 1, is done and answered with this code: the SDK has sent it
    /// twice, or a server between has lost the answer.
    #[cfg_attr(not(feature = "iceberg"), allow(dead_code, reason = "tests of Iceberg ask for it"))]
    pub(crate) fn answer_done(&self, operation: &'static str, nth: usize, code: &'static str) {
        self.state().unheard.insert((operation, nth), code);
    }

    /// No request of an operation is permitted.
    pub(crate) fn deny(&self, operation: &'static str) {
        self.state().denied.push(operation);
    }

    /// Nothing is denied or rejected any more.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.denied.clear();
        state.rejections.clear();
    }

    /// Another client is faster than the n-th request of an operation, from 1.
    pub(crate) fn interfere(
        &self,
        operation: &'static str,
        nth: usize,
        what: impl FnOnce(&mut State) + Send + 'static,
    ) {
        self.state().interferences.insert((operation, nth), Box::new(what));
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state().asked.iter().filter(|asked| **asked == operation).count()
    }

    /// What was asked for that changes something, and forgets it.
    pub(super) fn take_writes(&self) -> Vec<&'static str> {
        let asked = std::mem::take(&mut self.state().asked);
        asked.into_iter().filter(|asked| !asked.contains("Get")).collect()
    }

    pub(super) fn values(&self, table: &str) -> Vec<String> {
        let state = self.state();
        let own = state.partitions.keys().filter(|(owner, _)| owner == table);
        own.map(|(_, value)| value.clone()).collect()
    }

    /// A request arrives.
    fn ask(
        &self,
        operation: &'static str,
        object: &str,
    ) -> Result<MutexGuard<'_, State>, Rejection> {
        let mut state = self.state();
        state.asked.push(operation);
        let nth = state.asked.iter().filter(|asked| **asked == operation).count();
        if let Some(interference) = state.interferences.remove(&(operation, nth)) {
            interference(&mut state);
        }
        let denied = state.denied.contains(&operation).then_some("AccessDeniedException");
        match state.rejections.remove(&(operation, nth)).or(denied) {
            Some(code) => Err(Rejection::new(operation, object.to_owned(), code, "scripted")),
            None => Ok(state),
        }
    }
}

fn rejected(operation: &str, object: &str, code: &str) -> Rejection {
    Rejection::new(operation, object.to_owned(), code, "")
}

impl State {
    /// Answers what is done.
    fn answer(&mut self, operation: &'static str, object: &str) -> Result<(), Rejection> {
        let nth = self.asked.iter().filter(|asked| **asked == operation).count();
        let code = self.unheard.remove(&(operation, nth));
        code.map_or(Ok(()), |code| Err(rejected(operation, object, code)))
    }

    /// Writes a table as its next version.
    pub(crate) fn put_table(&mut self, input: TableInput) {
        let version = self.tables.get(&input.name).and_then(|table| table.version_id.clone());
        let version = version.map_or(1, |version| version.parse::<u32>().unwrap() + 1);
        let table = table_of(&input, version);
        self.tables.insert(input.name, table);
    }

    pub(super) fn put_partition(&mut self, table: &str, input: &PartitionInput) {
        let partition = partition_of(input);
        let [value] = partition.values() else { panic!("{partition:?}") };
        self.partitions.insert((table.to_owned(), value.clone()), partition);
    }

    /// Another client changes a table, as its next version.
    pub(crate) fn change_table(&mut self, name: &str, change: impl FnOnce(&mut Table)) {
        let table = self.tables.get_mut(name).unwrap();
        change(table);
        let version: u32 = table.version_id.as_deref().unwrap().parse().unwrap();
        table.version_id = Some((version + 1).to_string());
    }
}

/// The table that Glue makes of an input.
pub(super) fn table_of(input: &TableInput, version: u32) -> Table {
    Table::builder()
        .name(&input.name)
        .set_description(input.description.clone())
        .set_owner(input.owner.clone())
        .set_storage_descriptor(input.storage_descriptor.clone())
        .set_partition_keys(input.partition_keys.clone())
        .set_table_type(input.table_type.clone())
        .set_parameters(input.parameters.clone())
        .retention(input.retention)
        .version_id(version.to_string())
        .build()
        .unwrap()
}

/// The partition that Glue makes of an input.
pub(super) fn partition_of(input: &PartitionInput) -> Partition {
    Partition::builder()
        .set_values(input.values.clone())
        .set_storage_descriptor(input.storage_descriptor.clone())
        .set_parameters(input.parameters.clone())
        .build()
}

/// A column of a table.
pub(super) fn column(name: &str, kind: &str) -> Column {
    Column::builder().name(name).r#type(kind).build().unwrap()
}

/// Names and types of columns.
pub(super) fn types(descriptor: Option<&StorageDescriptor>) -> Vec<(String, String)> {
    let columns = descriptor.unwrap().columns().iter();
    columns.map(|column| (column.name.clone(), column.r#type().unwrap().to_owned())).collect()
}

impl TableApi for FakeGlue {
    fn create_database(&self) -> Result<(), Rejection> {
        self.ask("CreateDatabase", "database")?.has_database = true;
        Ok(())
    }

    fn table(&self, name: &str) -> Result<Option<Table>, Rejection> {
        Ok(self.ask("GetTable", name)?.tables.get(name).cloned())
    }

    fn create_table(&self, table: TableInput) -> Result<(), Rejection> {
        let mut state = self.ask("CreateTable", &table.name)?;
        if !state.has_database {
            return Err(rejected("CreateTable", &table.name, "EntityNotFoundException"));
        }
        if state.tables.contains_key(&table.name) {
            return Err(rejected("CreateTable", &table.name, "AlreadyExistsException"));
        }
        let name = table.name.clone();
        state.put_table(table);
        state.answer("CreateTable", &name)
    }

    fn update_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection> {
        let mut state = self.ask("UpdateTable", &table.name)?;
        let known = state.tables.get(&table.name).and_then(|table| table.version_id.clone());
        match known {
            None => Err(rejected("UpdateTable", &table.name, "EntityNotFoundException")),
            Some(known) if version != Some(&known) => {
                Err(rejected("UpdateTable", &table.name, "ConcurrentModificationException"))
            }
            Some(_) => {
                let name = table.name.clone();
                state.put_table(table);
                state.answer("UpdateTable", &name)
            }
        }
    }

    fn replace_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection> {
        self.update_table(table, version)
    }

    fn partitions(&self, table: &str) -> Result<Vec<Partition>, Rejection> {
        let state = self.ask("GetPartitions", table)?;
        let own = state.partitions.iter().filter(|((owner, _), _)| owner == table);
        Ok(own.map(|(_, partition)| partition.clone()).collect())
    }

    fn find_partitions(&self, table: &str, values: &[String]) -> Result<Vec<Partition>, Rejection> {
        let state = self.ask("BatchGetPartition", table)?;
        let key = |value: &String| (table.to_owned(), value.clone());
        Ok(values.iter().filter_map(|value| state.partitions.get(&key(value)).cloned()).collect())
    }

    fn create_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection> {
        let mut state = self.ask("BatchCreatePartition", table)?;
        let mut there = 0;
        for input in new {
            let value = input.values()[0].clone();
            if state.partitions.contains_key(&(table.to_owned(), value)) {
                there += 1;
            } else {
                state.put_partition(table, &input);
            }
        }
        Ok(there)
    }

    fn update_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection> {
        let mut state = self.ask("BatchUpdatePartition", table)?;
        let mut gone = 0;
        for input in new {
            let value = input.values()[0].clone();
            if state.partitions.contains_key(&(table.to_owned(), value)) {
                state.put_partition(table, &input);
            } else {
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn delete_partitions(&self, table: &str, values: Vec<String>) -> Result<(), Rejection> {
        let mut state = self.ask("BatchDeletePartition", table)?;
        for value in values {
            state.partitions.remove(&(table.to_owned(), value));
        }
        Ok(())
    }

    fn table_arn(&self, name: &str, _: Option<&Table>) -> String {
        format!("arn:table/{name}")
    }
}

impl CrawlerApi for FakeGlue {
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Rejection> {
        let mut state = self.ask("GetCrawler", name)?;
        let shown = state.looks.pop_front();
        if shown.is_some() && state.looks.is_empty() {
            // It is seen in this state once more, and has ended by the next look.
            state.crawls += 1;
            let status = state.ends.pop_front().unwrap_or(LastCrawlStatus::Succeeded);
            if status == LastCrawlStatus::Succeeded {
                state.crawled.clone().into_iter().for_each(|table| state.put_table(table));
            }
            let start = DateTime::from_secs(state.crawls);
            let last = LastCrawlInfo::builder().status(status).start_time(start).build();
            let before = state.crawler.clone();
            if let Some(crawler) = &mut state.crawler {
                crawler.last_crawl = Some(last);
            }
            return Ok(before.map(|crawler| in_state(crawler, shown)));
        }
        let shown = shown.or(Some(CrawlerState::Ready));
        Ok(state.crawler.clone().map(|crawler| in_state(crawler, shown)))
    }

    fn create_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let mut state = self.ask("CreateCrawler", &spec.name)?;
        if state.crawler.is_some() {
            return Err(rejected("CreateCrawler", &spec.name, "AlreadyExistsException"));
        }
        state.crawler = Some(
            Crawler::builder()
                .name(&spec.name)
                .set_role(spec.role.clone())
                .database_name(&spec.database)
                .set_table_prefix(spec.table_prefix.clone())
                .targets(targets)
                .build(),
        );
        Ok(())
    }

    fn update_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let mut state = self.ask("UpdateCrawler", &spec.name)?;
        if !state.looks.is_empty() {
            return Err(rejected("UpdateCrawler", &spec.name, "CrawlerRunningException"));
        }
        let crawler = state.crawler.as_mut().unwrap();
        crawler.targets = Some(targets);
        crawler.role.clone_from(&spec.role);
        Ok(())
    }

    fn start_crawler(&self, name: &str) -> Result<(), Rejection> {
        let mut state = self.ask("StartCrawler", name)?;
        if !state.looks.is_empty() {
            return Err(rejected("StartCrawler", name, "CrawlerRunningException"));
        }
        // A crawl does not show at once, and stops for a while before it has ended.
        let looks = [CrawlerState::Ready, CrawlerState::Running, CrawlerState::Stopping];
        state.looks.extend(looks);
        Ok(())
    }

    fn crawler_arn(&self, name: &str) -> String {
        format!("arn:crawler/{name}")
    }
}

fn in_state(mut crawler: Crawler, state: Option<CrawlerState>) -> Crawler {
    crawler.state = state;
    crawler
}
