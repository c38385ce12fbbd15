//! V Build, release, run: what runs here. `/version`, every log line and every job carry it.

use std::sync::OnceLock;

use time::OffsetDateTime;

/// The name of the package.
pub const NAME: &str = env!("CARGO_PKG_NAME");
/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that the program was built from, or `unknown`.
pub const COMMIT: &str = env!("COMMIT");

/// Set once, at start. A static, since a log line and a panic have no state to ask.
static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    process: &'static str,
    id: String,
    started_at: OffsetDateTime,
}

/// Names the process and the release that it runs; later calls do nothing.
pub fn start(process: &'static str, id: &str) {
    RUNNING.get_or_init(|| Running { process, id: id.to_owned(), started_at: OffsetDateTime::now_utc() });
}

/// The process type: `web`, `worker`, or `admin` for a one-off task.
pub fn process() -> &'static str {
    RUNNING.get().map_or("unknown", |running| running.process)
}

/// The release that runs: `RELEASE_ID`.
pub fn id() -> &'static str {
    RUNNING.get().map_or("unknown", |running| &running.id)
}

/// When the process started.
pub fn started_at() -> OffsetDateTime {
    RUNNING.get().map_or(OffsetDateTime::UNIX_EPOCH, |running| running.started_at)
}

/// The process among all of them: the host's name, a dot and the process id.
pub fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let host = rustix::system::uname();
        format!("{}.{}", host.nodename().to_string_lossy(), std::process::id())
    })
}
