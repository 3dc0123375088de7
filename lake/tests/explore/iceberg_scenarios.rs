//! What is explored of Iceberg tables: each way to load, with what makes it harder, and what is done to them besides.
//!
//! Appended rows are exactly once for a pipeline whose state is kept in a place, and for one that goes on from the state
//! that the lake holds.

use lake::TableFormat;
use lake::maintain::{self, Erase};
use lake::table::{LoadMethod, Spec};

use crate::pipeline::Step::{Activate, Rows, State, Version};
use crate::pipeline::{Kept, Pipeline, Step};
use crate::scenarios::{
    Scenario, by_month, elsewhere, grown, loaded, refreshed, retyped, scenario, schema, sharded,
    spec, there, widened,
};

/// As a table of Iceberg.
pub(crate) fn iceberg(spec: Spec) -> Spec {
    Spec { table_format: TableFormat::Iceberg, ..spec }
}

fn in_the_lake(steps: Vec<Step>) -> Pipeline {
    Pipeline::new(steps, Kept::InTheLake)
}

/// Everything that is explored.
pub(crate) fn all() -> Vec<Scenario> {
    let of = |load| iceberg(spec("t", load));
    let (append, upsert) = (of(LoadMethod::Append), of(LoadMethod::Upsert));
    let overwrite = of(LoadMethod::Overwrite);
    [
        appended(&append),
        upserted(&upsert),
        replaced(&append, &upsert, &overwrite),
        maintained(&append, &upsert),
    ]
    .concat()
}

fn appended(append: &Spec) -> Vec<Scenario> {
    let other = iceberg(spec("u", LoadMethod::Append));
    let two = || {
        vec![
            schema(append.clone()),
            schema(other.clone()),
            Rows("t", 0..3, 1),
            Rows("u", 0..3, 1),
            State,
            Rows("u", 3..5, 1),
            State,
        ]
    };
    let new = || {
        let rows = |from| Rows("t", from..from + 2, 1);
        vec![schema(append.clone()), rows(0), State, rows(2), State]
    };
    let twice = vec![
        schema(append.clone()),
        Rows("t", 0..2, 1),
        Rows("t", 0..2, 1),
        State,
        Rows("t", 1..3, 1),
        State,
    ];
    let small = |name, pipeline| Scenario { is_small: true, ..scenario(name, vec![], pipeline) };
    vec![
        small("Iceberg: append to a new table", there(new())),
        scenario("Iceberg: append, state in the lake", vec![], in_the_lake(new())),
        scenario("Iceberg: append, two tables", vec![], there(two())),
        scenario("Iceberg: append, two tables, state in the lake", vec![], in_the_lake(two())),
        scenario("Iceberg: append of rows that come twice", vec![], there(twice)),
        scenario(
            "Iceberg: append by month with a column more",
            loaded(&[&by_month(append.clone())]),
            there(vec![
                schema(by_month(append.clone())),
                Rows("t", 6..9, 1),
                State,
                schema(grown(by_month(append.clone()))),
                Rows("t", 9..12, 1),
                State,
            ]),
        ),
        scenario(
            "Iceberg: append with a wider column",
            loaded(&[append]),
            in_the_lake(vec![
                schema(append.clone()),
                Rows("t", 6..8, 1),
                State,
                schema(widened(append.clone())),
                Rows("t", 8..10, 1),
                State,
            ]),
        ),
        scenario(
            "Iceberg: append beyond the budget",
            loaded(&[append]),
            Pipeline {
                memory: 1 << 12,
                ..there(vec![schema(append.clone()), Rows("t", 6..200, 1), State])
            },
        ),
    ]
}

fn upserted(upsert: &Spec) -> Vec<Scenario> {
    let moving = Spec { moves_keys: true, ..by_month(upsert.clone()) };
    vec![
        Scenario {
            is_small: true,
            ..scenario(
                "Iceberg: upsert",
                loaded(&[upsert]),
                there(vec![schema(upsert.clone()), Rows("t", 3..9, 2), State]),
            )
        },
        scenario(
            "Iceberg: upsert by month in shards, state in the lake",
            loaded(&[&sharded(by_month(upsert.clone()))]),
            in_the_lake(vec![
                schema(sharded(by_month(upsert.clone()))),
                Rows("t", 3..6, 2),
                State,
                Rows("t", 5..8, 3),
                State,
            ]),
        ),
        scenario(
            "Iceberg: upsert in shards with a column more",
            loaded(&[&sharded(upsert.clone())]),
            there(vec![schema(grown(sharded(upsert.clone()))), Rows("t", 5..8, 3), State]),
        ),
        scenario(
            "Iceberg: upsert by month of keys that move",
            loaded(&[&moving]),
            in_the_lake(vec![schema(moving.clone()), Rows("t", 4..6, 2), State]),
        ),
        scenario(
            "Iceberg: upsert by month with a column of another type",
            loaded(&[&by_month(upsert.clone())]),
            in_the_lake(vec![schema(retyped(by_month(upsert.clone()))), Rows("t", 3..5, 2), State]),
        ),
    ]
}

/// Rows that take the place of all others.
fn replaced(append: &Spec, upsert: &Spec, overwrite: &Spec) -> Vec<Scenario> {
    let versions = |first: i64, rows, version| {
        vec![
            schema(append.clone()),
            Version("t", first),
            Rows("t", rows, version),
            Activate("t", first),
            State,
        ]
    };
    let before = Pipeline { keeps_state: false, ..elsewhere(versions(1, 0..4, 1)) };
    vec![
        scenario(
            "Iceberg: overwrite by month",
            loaded(&[&by_month(overwrite.clone())]),
            in_the_lake(vec![schema(by_month(overwrite.clone())), Rows("t", 3..6, 2), State]),
        ),
        scenario(
            "Iceberg: ACTIVATE_VERSION of an appended table",
            vec![before],
            there(versions(2, 3..6, 2)),
        ),
        scenario(
            "Iceberg: refresh of an appended table",
            loaded(&[&refreshed(append, 1)]),
            there(vec![
                schema(refreshed(append, 2)),
                Rows("t", 3..5, 2),
                State,
                Rows("t", 5..7, 2),
                State,
            ]),
        ),
        scenario(
            "Iceberg: refresh of an upserted table, state elsewhere",
            loaded(&[&refreshed(upsert, 1)]),
            elsewhere(vec![schema(refreshed(upsert, 2)), Rows("t", 3..6, 2), State]),
        ),
    ]
}

fn maintained(append: &Spec, upsert: &Spec) -> Vec<Scenario> {
    let options = maintain::Options::default;
    let erase = Erase { column: "id".into(), values: ["1".to_owned(), "5".into()].into() };
    let more = |spec: &Spec| {
        let more = elsewhere(vec![schema(spec.clone()), Rows("t", 6..9, 1), State]);
        [loaded(&[spec]), vec![Pipeline { keeps_state: false, ..more }]].concat()
    };
    [
        (
            "Iceberg: maintain --compact",
            maintain::Options { compact: true, ..options() },
            append.clone(),
        ),
        (
            "Iceberg: maintain --shards",
            maintain::Options { shards: Some(2), ..options() },
            by_month(upsert.clone()),
        ),
        (
            "Iceberg: maintain --erase",
            maintain::Options { erase: vec![erase], ..options() },
            append.clone(),
        ),
    ]
    .map(|(name, options, spec)| Scenario {
        maintenance: Some(options),
        ..scenario(name, more(&spec), in_the_lake(vec![schema(spec), Rows("t", 9..11, 1), State]))
    })
    .into()
}
