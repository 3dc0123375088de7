//! What makes a program at home in a shell: completions and a man page, both made from its command
//! line and its settings.

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::about::About;
use crate::report::Exit;

/// Commands for the shell.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ShellCommand {
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the man page.
    Man,
}

impl ShellCommand {
    /// What the command prints for a program with the command line `C`.
    pub fn text<C: CommandFactory>(self, about: &About) -> String {
        let mut text = Vec::new();
        match self {
            Self::Completions { shell } => {
                clap_complete::generate(shell, &mut C::command(), about.name, &mut text);
            }
            Self::Man => {
                let man =
                    Man::new(C::command()).source(format!("{} {}", about.name, about.version));
                // A vector takes whatever is written.
                _ = man.render(&mut text);
                _ = settings(about).to_writer(&mut text);
                _ = exit_codes().to_writer(&mut text);
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn settings(about: &About) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["SETTINGS"]);
    for setting in about.settings() {
        page.control("TP", []);
        page.text([bold(setting.name.as_str()), roman(" ("), italic(setting.kind), roman(")")]);
        page.text([roman(setting.description)]);
        if !setting.default.is_empty() {
            page.text([roman(format!("Default: {}.", setting.default))]);
        }
    }
    page
}

fn exit_codes() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        page.control("TP", []);
        page.text([bold((exit as u8).to_string())]);
        page.text([roman(exit.meaning())]);
    }
    page
}
