//! `target-s3-parquet`: any Singer stream as typed Parquet on S3 or in a folder.
//!
//! ```text
//! stdin ─► input (lines, route) ─► decode (workers) ─► engine ─► lake
//!                                                        │
//!                                                        └─► state ─► stdout, --state-out
//! ```
//!
//! [`input`] turns bytes into an ordered sequence of items, [`decode`] is the pure hot path from
//! JSON text to Arrow columns, [`engine`] decides when to commit, the crate [`lake`] knows how rows
//! become objects and what Glue learns, and [`state`] is acknowledged when it is safe. None of them
//! knows a protocol: [`singer`] and [`airbyte`] say how their messages are read, which columns they
//! add and how a state is acknowledged.

mod airbyte;
mod check;
mod cli;
mod decode;
mod described;
mod engine;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod input;
mod json_schema;
mod lineage;
mod maintain;
mod memory;
mod newest;
mod nulls;
mod run;
mod settings;
mod signal;
mod singer;
mod state;
mod summary;
#[cfg(test)]
mod testing;
mod traced;
mod usual;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use program::about::About;
use program::report::Exit;

use airbyte::verbs;
use cli::{Cli, Command};
use error::Error;
use run::ENVIRONMENT_PREFIX;
use settings::config::Config;

/// Runs the program with the arguments of a command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, usage errors to stderr; nobody is left to hear of it
            // when that fails.
            _ = error.print();
            let usage = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return usage.into();
        }
    };
    let debug = matches!(&cli.command, Some(Command::Airbyte(verb)) if verb.debug());
    let log = program::start_log("target-s3-parquet", ENVIRONMENT_PREFIX, &cli.log, debug);
    let unprintable = |source| Error::Input { name: "standard output".into(), source };
    let outcome = match &cli.command {
        Some(Command::Airbyte(verb)) => return verbs::main(verb, &cli.config),
        Some(Command::Shell(command)) => {
            program::print(&command.text::<Cli>(&about())).map_err(unprintable)
        }
        Some(Command::Maintain(arguments)) => {
            run::load(&cli.config).and_then(|config| maintain::run(&config, arguments))
        }
        Some(Command::State) => run::load(&cli.config)
            .and_then(|config| held::state(&config))
            .and_then(|text| program::print(&text).map_err(unprintable)),
        None if cli.check => run::load(&cli.config)
            .and_then(|config| check::told(&config))
            .and_then(|text| program::print(&text).map_err(unprintable)),
        None if cli.about => about().print(cli.format).map_err(unprintable),
        None => run::load(&cli.config).and_then(|config| {
            let (input, state_out) = (cli.input.as_ref(), cli.state_out.as_deref());
            run::watched(|| singer::write::write(config, input, state_out, log.watched))
        }),
    };
    match outcome {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            program::report_error(&error, error.hint(), log.format);
            error.exit().into()
        }
    }
}

/// What the target is and how it is configured.
pub fn about() -> About {
    About {
        name: "target-s3-parquet",
        description: env!("CARGO_PKG_DESCRIPTION"),
        version: env!("CARGO_PKG_VERSION"),
        capabilities: &[
            "about",
            "activate-version",
            "batch",
            "schema-flattening",
            "stream-maps",
            "structured-logging",
            "validate-records",
        ],
        settings: program::settings::schema::<Config>(),
    }
}
