//! Worlds of Iceberg tables. A row is there once at most at every moment, also while files are put together, and whoever
//! has begun to read goes on.

use lake::table::LoadMethod;

use crate::iceberg_scenarios::iceberg;
use crate::pipeline::Kept;
use crate::scenarios::{grown, spec};
use crate::world::{Work, World, compact, load, new, on};

/// Worlds in which each pipeline commits `parts` times.
pub(crate) fn all(parts: i64) -> Vec<World> {
    let append = || iceberg(spec("t", LoadMethod::Append));
    let upsert = || iceberg(spec("t", LoadMethod::Upsert));
    let (there, in_the_lake) = (Kept::There, Kept::InTheLake);
    let few = |deaths, world| World { deaths, ..world };
    vec![
        few(
            Some(0),
            on(
                &append(),
                "two pipelines append to one Iceberg table",
                vec![load("a", there, append(), 0, parts), load("b", there, append(), 10, parts)],
            ),
        ),
        few(
            None,
            new(
                "two pipelines append to one new Iceberg table",
                vec![load("a", there, append(), 0, parts), load("b", there, append(), 10, parts)],
            ),
        ),
        few(
            Some(0),
            on(
                &append(),
                "two runs of one pipeline append to an Iceberg table",
                vec![load("a", there, append(), 0, parts), load("a", there, append(), 0, parts)],
            ),
        ),
        few(
            Some(0),
            on(
                &upsert(),
                "two runs of one pipeline whose state is in an Iceberg table",
                vec![
                    load("a", in_the_lake, upsert(), 0, parts),
                    load("a", in_the_lake, upsert(), 0, parts),
                ],
            ),
        ),
        few(
            None,
            on(
                &append(),
                "a pipeline appends while files of an Iceberg table are put together",
                vec![load("a", in_the_lake, append(), 0, parts), compact()],
            ),
        ),
        on(
            &append(),
            "a reader while files of an Iceberg table are put together",
            vec![compact(), Work::Read("t")],
        ),
        few(
            None,
            on(
                &upsert(),
                "two pipelines upsert other keys of one Iceberg table, and one knows a column more",
                vec![
                    load("a", there, upsert(), 0, parts),
                    load("b", there, grown(upsert()), 10, parts),
                ],
            ),
        ),
        few(
            None,
            new(
                "two pipelines upsert other keys of one new Iceberg table, and one knows a column more",
                vec![
                    load("a", there, upsert(), 0, parts),
                    load("b", there, grown(upsert()), 10, parts),
                ],
            ),
        ),
        on(
            &upsert(),
            "a reader while a pipeline upserts an Iceberg table",
            vec![load("a", there, upsert(), 0, parts), Work::Read("t")],
        ),
    ]
}
