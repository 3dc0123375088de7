//! The run of a Singer target: messages from a pipe or a file, states to stdout and `--state-out`.

use std::path::PathBuf;
use std::sync::Arc;

use super::messages;
use super::state::StateSink;
use super::state_file::StateFile;
use crate::error::{Error, Result};
use crate::input::lines::Input;
use crate::run::Run;
use crate::settings::config::Config;

/// Reads all messages and writes their rows. Without `input` they come from stdin. `watched` says
/// that a person reads the log.
pub(crate) fn write(
    config: Arc<Config>,
    input: Option<&PathBuf>,
    state_out: Option<&str>,
    watched: bool,
) -> Result<()> {
    let input = match input {
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|source| Error::Input { name: name.clone(), source })?;
            Input::File(file, name)
        }
        None => Input::Stdin,
    };
    let run = Run::new(config)?;
    let state_file = match state_out {
        Some(name) => Some(StateFile::open(name, run.lake.aws(), run.lake.run())?),
        None => None,
    };
    let state = StateSink::new(Box::new(std::io::stdout()), state_file);
    let engine = run.engine(Box::new(state))?;
    let protocol = messages::protocol(&run.config, run.lake.aws());
    run.write(engine, input, protocol, watched)
}
