//! Who may read what a run makes on this machine.
//!
//! Rows may be about people, so files and folders are their maker's alone, whatever the umask. A folder
//! that was opened to its group, and to nobody else, shares with that group what is made for it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::OFlags;

/// The rights of a group in a mode.
const GROUP: u32 = 0o070;

/// The rights of all others in a mode.
const OTHERS: u32 = 0o007;

/// Who may read and write, beside whoever makes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The rights of the group.
    group: u32,
}

impl Access {
    /// Nobody else.
    pub(crate) const OWN: Self = Self { group: 0 };

    /// Those whom a folder was opened to. One that all may read was opened to nobody: that is how
    /// folders are made where nobody has thought of it.
    pub(crate) fn of_folder(folder: &Path) -> io::Result<Self> {
        let mode = fs::metadata(folder)?.mode();
        Ok(if mode & OTHERS == 0 { Self { group: mode & GROUP } } else { Self::OWN })
    }

    /// The mode of a file.
    pub(crate) fn of_files(self) -> Permissions {
        Permissions::from_mode(0o600 | (self.group & 0o060))
    }

    /// Makes a folder, and those above it that are not there.
    pub(crate) fn make_folder(self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700 | self.group).create(path)
    }

    /// Opens a file to read and write it, making it if it is not there. A link is not followed.
    pub(crate) fn open_or_make(self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.mode(self.of_files().mode()).custom_flags(no_link()).open(path)
    }
}

/// Opens a file to read it. A link is not followed.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(no_link()).open(path)
}

fn no_link() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}
