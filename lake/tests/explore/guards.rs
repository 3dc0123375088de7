//! Each guard of the protocol, switched off: what explores must find that something is lost or doubled.

use crate::exhaustive::{Bounds, explore};
use crate::pipeline::{Neglect, Pipeline};
use crate::weakness::Weakness::{
    ForeignFilesStay, NotReadAgain, StateBeforeFiles, StateIsNotHeld, UnansweredIsDoneAgain,
    UnansweredIsRefused, Unconditional, Unlisted, Unwritten,
};
use crate::world::{Work, World, named};

const APPEND: &str = "two pipelines append to one table";
const AGAIN: &str = "two runs of one pipeline";
const ELSEWHERE: &str = "a pipeline whose state is kept beside one whose state is not";
const TOGETHER: &str = "a pipeline appends while files are put together";
const TWICE: &str = "files are put together twice at once";
const UPSERT: &str = "two pipelines upsert other keys of one table";
const GROWN: &str = "two pipelines upsert other keys of one new table, and one knows a column more";

const SNAPSHOTS: &str = "two pipelines append to one Iceberg table";
const SNAPSHOTS_AGAIN: &str = "two runs of one pipeline append to an Iceberg table";
const SNAPSHOTS_READ: &str = "a reader while a pipeline upserts an Iceberg table";

/// What explores a world, and finds something.
fn finds(guard: &str, world: &World) -> bool {
    let loses = matches!(world.weakness, Some(UnansweredIsRefused | UnansweredIsDoneAgain));
    let lost_answers = usize::from(loses);
    // Without a death nothing is in doubt.
    let is_of_doubts = |pipeline: &Pipeline| pipeline.neglects == Some(Neglect::Doubts);
    let first = usize::from(world.pipelines().any(is_of_doubts));
    let found =
        (first..=1).find_map(|deaths| explore(world, Bounds { deaths, lost_answers }).err());
    let told = found
        .as_deref()
        .map_or("nothing is found", |fault| fault.lines().next().unwrap_or_default());
    println!("without {guard}: {told}");
    found.is_some()
}

#[test]
fn each_guard_of_the_protocol_is_missed_where_it_is_switched_off() {
    let weak = [
        ("the condition that a note is as it was read", Unconditional("_lake/commits/"), AGAIN),
        ("the condition that a state is as it was read", Unconditional("state/"), AGAIN),
        ("the condition that an object is as it was read", Unconditional("t/"), UPSERT),
        ("the condition that a file is not there yet", Unconditional("t/"), AGAIN),
        (
            "the condition that a definition is as it was read",
            Unconditional("_lake/tables/"),
            GROWN,
        ),
        ("notes", Unwritten("_lake/commits/"), APPEND),
        ("looking for notes", Unlisted("_lake/commits/"), AGAIN),
        ("reading the state again once the note is written", NotReadAgain("state/"), AGAIN),
        ("an empty file where one is taken away", ForeignFilesStay, AGAIN),
        ("holding the state while it is decided over", StateIsNotHeld, AGAIN),
        ("files before their state", StateBeforeFiles, APPEND),
        ("leaving files alone whose state is open", Unlisted("_lake/commits/"), TOGETHER),
        ("the note of files that are put together", Unwritten("replacing-"), TOGETHER),
        ("looking again for files that are put together", NotReadAgain("t/"), TWICE),
        ("the condition that a version is not there yet", Unconditional("t/metadata/v"), SNAPSHOTS),
        ("leaving alone what may be named", UnansweredIsRefused, SNAPSHOTS),
        ("looking for the snapshot before it is made again", UnansweredIsDoneAgain, SNAPSHOTS),
        ("the hint", Unwritten("version-hint"), SNAPSHOTS_READ),
    ];
    let weak = weak.map(|(guard, weakness, world)| {
        (guard, World { weakness: Some(weakness), ..named(world) })
    });
    let careless = [
        ("a journal", Neglect::Journal, AGAIN),
        ("the note before the files", Neglect::Order, APPEND),
        ("knowing rows in doubt by what they hold", Neglect::Doubts, ELSEWHERE),
        ("knowing rows of a snapshot by what they hold", Neglect::Doubts, SNAPSHOTS),
        ("the place of the state in a snapshot", Neglect::Place, SNAPSHOTS_AGAIN),
    ];
    let careless = careless.map(|(guard, neglect, world)| {
        let mut world = named(world);
        for work in &mut world.works {
            if let Work::Load(pipeline) = work {
                pipeline.neglects = Some(neglect);
            }
        }
        (guard, world)
    });
    let only = std::env::var("EXPLORE_GUARD").unwrap_or_default();
    let all = weak.into_iter().chain(careless).filter(|(guard, _)| guard.contains(&only));
    let unnoticed: Vec<_> = all.filter(|(guard, world)| !finds(guard, world)).collect();
    let unnoticed: Vec<_> = unnoticed.iter().map(|(guard, _)| guard).collect();
    assert!(unnoticed.is_empty(), "nobody misses {unnoticed:?}");
}
