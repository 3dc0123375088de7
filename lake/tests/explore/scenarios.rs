//! What is explored: each way to load, with what makes it harder.

use std::collections::BTreeSet;
use std::sync::Arc;

use lake::TableFormat;
use lake::maintain;
use lake::schema::{Column, Kind};
use lake::table::{Granularity, LoadMethod, PartitionBy, Refresh, Spec};

use crate::iceberg_scenarios;
use crate::pipeline::Step::{Activate, Rows, Schema, State, Version};
use crate::pipeline::{Kept, Pipeline, Step};

/// A scenario.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Runs to their end before the one that is explored, of other pipelines that keep no state.
    pub(crate) before: Vec<Pipeline>,
    pub(crate) pipeline: Pipeline,
    /// What is explored in place of the pipeline, which runs after it.
    pub(crate) maintenance: Option<maintain::Options>,
    /// Whether a column becomes wider meanwhile.
    pub(crate) widens: bool,
    /// Whether the run after a death dies as well.
    pub(crate) is_small: bool,
}

impl Scenario {
    /// Whether its tables are those of Iceberg.
    pub(crate) fn is_iceberg(&self) -> bool {
        self.pipeline.specs().any(|spec| spec.table_format == TableFormat::Iceberg)
    }

    /// The ids of rows that are erased.
    pub(crate) fn erased(&self) -> BTreeSet<i64> {
        let erased = self.maintenance.iter().flat_map(|options| &options.erase);
        erased.flat_map(|erase| &erase.values).map(|id| id.parse().unwrap()).collect()
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::same("id", Kind::Bigint),
        Column::same("name", Kind::String),
        Column::same("at", Kind::String),
        Column::same("count", Kind::Int),
    ]
}

pub(crate) fn spec(table: &str, load: LoadMethod) -> Spec {
    match load {
        LoadMethod::Upsert => Spec::upsert(table, columns(), ["id"]),
        LoadMethod::Append => Spec::append(table, columns()),
        LoadMethod::Overwrite => {
            Spec { keys: vec!["id".into()], ..Spec::overwrite(table, columns()) }
        }
    }
}

pub(crate) fn by_month(spec: Spec) -> Spec {
    let partition_by = Some(PartitionBy {
        column: "at".into(),
        granularity: Some(Granularity::Month),
        name: None,
    });
    Spec { partition_by, ..spec }
}

pub(crate) fn sharded(spec: Spec) -> Spec {
    Spec { shards: Some(2), ..spec }
}

/// With a column more.
pub(crate) fn grown(mut spec: Spec) -> Spec {
    spec.columns.push(Column::same("title", Kind::String));
    spec
}

/// With a column that is wider.
pub(crate) fn widened(mut spec: Spec) -> Spec {
    spec.columns[3].kind = Kind::Bigint;
    spec
}

/// With a column of a type for which files are written anew, of Iceberg as well.
pub(crate) fn retyped(mut spec: Spec) -> Spec {
    spec.columns[3].kind = Kind::Double;
    spec
}

pub(crate) fn schema(spec: Spec) -> Step {
    Schema(Arc::new(spec))
}

pub(crate) fn there(steps: Vec<Step>) -> Pipeline {
    Pipeline::new(steps, Kept::There)
}

pub(crate) fn elsewhere(steps: Vec<Step>) -> Pipeline {
    Pipeline::new(steps, Kept::Elsewhere)
}

/// Makes tables before the run: with rows 0 to 6 of version 1, and without a state that it would go on
/// from.
pub(crate) fn loaded(specs: &[&Spec]) -> Vec<Pipeline> {
    let tables = specs.iter().map(|spec| match spec.table.as_str() {
        "t" => "t",
        _ => "u",
    });
    let steps = specs
        .iter()
        .zip(tables)
        .flat_map(|(spec, table)| [schema((*spec).clone()), Rows(table, 0..6, 1)]);
    vec![Pipeline { keeps_state: false, ..elsewhere(steps.chain([State]).collect()) }]
}

pub(crate) fn scenario(name: &'static str, before: Vec<Pipeline>, pipeline: Pipeline) -> Scenario {
    Scenario { name, before, pipeline, maintenance: None, widens: false, is_small: false }
}

/// A table whose rows replace all older ones when the stream is complete.
pub(crate) fn refreshed(spec: &Spec, generation: i64) -> Spec {
    let refresh =
        Refresh { generation: Some(generation), minimum: Some(generation), overwrite: false };
    Spec { refresh: Some(refresh), ..spec.clone() }
}

/// Everything that is explored.
pub(crate) fn all() -> Vec<Scenario> {
    [plain(), iceberg_scenarios::all()].concat()
}

/// What is explored of plain tables.
fn plain() -> Vec<Scenario> {
    use LoadMethod::{Append, Overwrite, Upsert};

    let (append, upsert, overwrite) = (spec("t", Append), spec("t", Upsert), spec("t", Overwrite));
    let mut all = Vec::new();
    for (kept, names) in [
        (
            Kept::There,
            ["append, state kept", "append by month", "append, two tables", "append, many states"],
        ),
        (
            Kept::Elsewhere,
            [
                "append, state elsewhere",
                "append by month, elsewhere",
                "append, two tables, elsewhere",
                "append, many states, elsewhere",
            ],
        ),
    ] {
        let pipeline = |steps| Pipeline::new(steps, kept);
        all.push(Scenario {
            is_small: true,
            ..scenario(
                names[0],
                Vec::new(),
                pipeline(vec![
                    schema(append.clone()),
                    Rows("t", 0..4, 1),
                    State,
                    Rows("t", 4..8, 1),
                    State,
                ]),
            )
        });
        all.push(scenario(
            names[1],
            loaded(&[&by_month(append.clone())]),
            pipeline(vec![
                schema(by_month(append.clone())),
                Rows("t", 6..12, 2),
                State,
                Rows("t", 12..15, 2),
                State,
            ]),
        ));
        all.push(scenario(
            names[2],
            Vec::new(),
            pipeline(vec![
                schema(append.clone()),
                schema(spec("u", Upsert)),
                Rows("t", 0..3, 1),
                Rows("u", 0..3, 1),
                State,
                Rows("u", 2..5, 2),
                Rows("t", 3..6, 1),
                State,
            ]),
        ));
        all.push(scenario(
            names[3],
            Vec::new(),
            pipeline(
                [schema(append.clone())]
                    .into_iter()
                    .chain((0..4).flat_map(|part| [Rows("t", part * 2..part * 2 + 2, 1), State]))
                    .collect(),
            ),
        ));
    }
    for (name, kept, again) in [
        ("append of rows that come twice", Kept::There, 2..4),
        // Where nobody knows whether a state arrived, a row that comes again behind it is taken for
        // the one before it.
        ("append of rows that come twice, elsewhere", Kept::Elsewhere, 3..5),
    ] {
        all.push(scenario(
            name,
            Vec::new(),
            Pipeline::new(
                vec![
                    schema(append.clone()),
                    Rows("t", 0..3, 1),
                    Rows("t", 0..3, 1),
                    State,
                    Rows("t", again, 1),
                    State,
                ],
                kept,
            ),
        ));
    }
    all.push(scenario(
        "append with a column more",
        loaded(&[&append]),
        elsewhere(vec![
            schema(append.clone()),
            Rows("t", 6..9, 1),
            State,
            schema(grown(append.clone())),
            Rows("t", 9..12, 1),
            State,
        ]),
    ));
    all.push(Scenario {
        widens: true,
        ..scenario(
            "append with a wider column",
            loaded(&[&append]),
            there(vec![
                schema(append.clone()),
                Rows("t", 6..9, 1),
                State,
                schema(widened(append.clone())),
                Rows("t", 9..12, 1),
                State,
            ]),
        )
    });
    for (name, before) in [
        ("append with a wider column in one commit", loaded(&[&by_month(append.clone())])),
        ("append to a new table with a wider column in one commit", Vec::new()),
    ] {
        all.push(Scenario {
            widens: true,
            ..scenario(
                name,
                before,
                there(vec![
                    schema(by_month(append.clone())),
                    Rows("t", 6..9, 1),
                    schema(widened(by_month(append.clone()))),
                    Rows("t", 9..12, 1),
                    State,
                ]),
            )
        });
    }
    all.push(Scenario {
        pipeline: Pipeline {
            memory: 1 << 12,
            ..there(vec![
                schema(append.clone()),
                Rows("t", 6..200, 1),
                State,
                Rows("t", 200..400, 1),
                State,
            ])
        },
        ..scenario("append beyond the budget", loaded(&[&append]), there(Vec::new()))
    });
    for (name, spec) in [
        ("upsert", upsert.clone()),
        ("upsert by month", by_month(upsert.clone())),
        ("upsert in shards", sharded(upsert.clone())),
        ("upsert by month in shards", sharded(by_month(upsert.clone()))),
    ] {
        all.push(Scenario {
            is_small: name == "upsert",
            ..scenario(
                name,
                loaded(&[&spec]),
                there(vec![
                    schema(spec.clone()),
                    Rows("t", 3..9, 2),
                    State,
                    Rows("t", 8..12, 3),
                    State,
                ]),
            )
        });
    }
    all.push(Scenario {
        pipeline: Pipeline {
            memory: 1 << 12,
            ..there(vec![
                schema(upsert.clone()),
                Rows("t", 3..200, 2),
                State,
                Rows("t", 150..400, 3),
                State,
            ])
        },
        ..scenario("upsert beyond the budget", loaded(&[&upsert]), there(Vec::new()))
    });
    all.push(scenario(
        "upsert with a column more",
        loaded(&[&by_month(upsert.clone())]),
        there(vec![
            schema(by_month(upsert.clone())),
            Rows("t", 3..9, 2),
            State,
            schema(grown(by_month(upsert.clone()))),
            Rows("t", 8..12, 3),
            State,
        ]),
    ));
    let moving = Spec { moves_keys: true, ..by_month(upsert.clone()) };
    all.push(scenario(
        "upsert by month of keys that move",
        loaded(&[&moving]),
        there(vec![schema(moving.clone()), Rows("t", 4..6, 2), State]),
    ));
    all.push(Scenario {
        widens: true,
        ..scenario(
            "upsert with a wider column",
            loaded(&[&by_month(upsert.clone())]),
            there(vec![schema(widened(by_month(upsert.clone()))), Rows("t", 3..5, 2), State]),
        )
    });
    all.push(Scenario {
        widens: true,
        is_small: true,
        ..scenario(
            "upsert in shards with a wider column",
            loaded(&[&sharded(upsert.clone())]),
            there(vec![schema(widened(sharded(upsert.clone()))), Rows("t", 3..5, 2), State]),
        )
    });
    all.push(Scenario {
        widens: true,
        ..scenario(
            "overwrite by month with a wider column",
            loaded(&[&by_month(overwrite.clone())]),
            // Nothing is left of one partition.
            there(vec![
                schema(widened(by_month(overwrite.clone()))),
                Rows("t", 0..2, 2),
                Rows("t", 3..5, 2),
                State,
            ]),
        )
    });
    for (name, spec) in [
        ("overwrite", overwrite.clone()),
        ("overwrite by month in shards", sharded(by_month(overwrite.clone()))),
    ] {
        all.push(Scenario {
            is_small: name == "overwrite",
            ..scenario(
                name,
                loaded(&[&spec]),
                there(vec![schema(spec.clone()), Rows("t", 3..9, 2), State]),
            )
        });
    }
    all.extend(beyond_the_budget(&append, &upsert, &overwrite));
    for (name, spec, kept) in [
        ("ACTIVATE_VERSION of an upserted table", upsert.clone(), Kept::There),
        ("ACTIVATE_VERSION of an appended table", append.clone(), Kept::There),
        ("ACTIVATE_VERSION, state elsewhere", append.clone(), Kept::Elsewhere),
    ] {
        let first = vec![Pipeline {
            keeps_state: false,
            ..elsewhere(vec![
                schema(spec.clone()),
                Version("t", 1),
                Rows("t", 0..6, 1),
                Activate("t", 1),
                State,
            ])
        }];
        all.push(scenario(
            name,
            first,
            Pipeline::new(
                vec![
                    schema(spec.clone()),
                    Version("t", 2),
                    Rows("t", 3..9, 2),
                    Activate("t", 2),
                    State,
                ],
                kept,
            ),
        ));
    }
    for (name, kept) in [
        ("another version without ACTIVATE_VERSION", Kept::There),
        ("another version without ACTIVATE_VERSION, elsewhere", Kept::Elsewhere),
    ] {
        let first = vec![Pipeline {
            keeps_state: false,
            ..elsewhere(vec![schema(append.clone()), Version("t", 1), Rows("t", 0..6, 1), State])
        }];
        all.push(scenario(
            name,
            first,
            Pipeline::new(
                vec![schema(append.clone()), Version("t", 2), Rows("t", 6..9, 2), State],
                kept,
            ),
        ));
    }
    for (name, spec, kept) in [
        ("refresh of an appended table", append.clone(), Kept::There),
        ("refresh of an appended table, elsewhere", by_month(append.clone()), Kept::Elsewhere),
        ("refresh of an upserted table", upsert.clone(), Kept::There),
        ("refresh of an upserted table, elsewhere", sharded(upsert.clone()), Kept::Elsewhere),
    ] {
        all.push(scenario(
            name,
            loaded(&[&refreshed(&spec, 1)]),
            Pipeline::new(
                vec![
                    schema(refreshed(&spec, 2)),
                    Rows("t", 3..6, 2),
                    State,
                    Rows("t", 6..9, 2),
                    State,
                ],
                kept,
            ),
        ));
    }
    let compact = maintain::Options { compact: true, ..maintain::Options::default() };
    let shards =
        |shards| maintain::Options { shards: Some(shards), ..maintain::Options::default() };
    let twice = |spec: &Spec| {
        let more = elsewhere(vec![schema(spec.clone()), Rows("t", 6..9, 1), State]);
        [loaded(&[spec]), vec![Pipeline { keeps_state: false, ..more }]].concat()
    };
    for (name, options, spec) in [
        ("maintain --compact", compact.clone(), append.clone()),
        ("maintain --compact by month", compact, by_month(append.clone())),
        ("maintain --shards", shards(3), upsert.clone()),
        ("maintain --shards by month", shards(2), by_month(upsert.clone())),
        ("maintain --shards to fewer", shards(1), sharded(upsert.clone())),
        ("maintain --shards of shards by month", shards(3), sharded(by_month(upsert.clone()))),
    ] {
        all.push(Scenario {
            maintenance: Some(options),
            ..scenario(
                name,
                twice(&spec),
                there(vec![schema(spec.clone()), Rows("t", 9..12, 1), State]),
            )
        });
    }
    all
}

/// Rows whose keys, or hashes of those in doubt, do not fit into memory either.
fn beyond_the_budget(append: &Spec, upsert: &Spec, overwrite: &Spec) -> Vec<Scenario> {
    let small = |pipeline: Pipeline| Pipeline { memory: 1 << 12, ..pipeline };
    let versions = vec![Pipeline {
        keeps_state: false,
        ..elsewhere(vec![schema(upsert.clone()), Version("t", 1), Rows("t", 0..6, 1), State])
    }];
    let rows = || [Rows("t", 3..200, 2), Rows("t", 150..300, 3)];
    let of = |spec: &Spec| [vec![schema(spec.clone())], rows().into(), vec![State]].concat();
    let activated = [
        vec![schema(upsert.clone()), Version("t", 2)],
        rows().into(),
        vec![Activate("t", 2), State],
    ];
    let appended = vec![schema(append.clone()), Rows("t", 6..200, 1), State];
    let again = vec![Rows("t", 200..300, 1), State];
    vec![
        scenario("overwrite beyond the budget", loaded(&[overwrite]), small(there(of(overwrite)))),
        scenario("ACTIVATE_VERSION beyond the budget", versions, small(there(activated.concat()))),
        scenario(
            "refresh beyond the budget",
            loaded(&[&refreshed(upsert, 1)]),
            small(there(of(&refreshed(upsert, 2)))),
        ),
        scenario(
            "append beyond the budget, elsewhere",
            loaded(&[append]),
            small(elsewhere([appended, again].concat())),
        ),
    ]
}
