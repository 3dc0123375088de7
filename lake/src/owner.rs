//! Who writes to a lake: host, process and run.

use std::fs;

/// What names this process among all that write to a lake.
pub(crate) fn name(run: &str) -> String {
    let process = std::process::id();
    let start = start_of(process).unwrap_or_default();
    format!("{}.{process}-{start}.{run}", host())
}

pub(crate) fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().replace(['/', '.'], "_");
    if name.is_empty() { "host".into() } else { name }
}

/// Whether an owner is a process of this host that is no more. Of other hosts nothing is known.
pub(crate) fn is_dead(owner: &str) -> bool {
    let mut parts = owner.split('.');
    let (Some(owner_host), Some(process)) = (parts.next(), parts.next()) else { return false };
    let (process, start) = process.split_once('-').unwrap_or((process, ""));
    let Ok(number) = process.parse() else { return false };
    let Some(pid) = i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    owner_host == host()
        && (rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
            // The number is in use again, by another process.
            || start_of(number).is_some_and(|now| !start.is_empty() && now != start))
}

/// When a process began, in ticks since the system did, where `/proc` tells.
fn start_of(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold spaces and parentheses; the start is the twentieth field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}
