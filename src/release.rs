//! V Build, release, run: the version, commit and release of the process. `/version`, every log line and every job have
//! them.

use std::sync::OnceLock;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::config::variable;

/// The name of the package in Cargo.toml.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// What runs, as `/version` shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// The name of the package in Cargo.toml.
    pub name: &'static str,
    /// The version of the package.
    pub version: &'static str,
    /// The commit that the program was built from, or `unknown`.
    pub commit: &'static str,
    /// `RELEASE_ID`.
    pub release: String,
    /// `web`, `worker`, or `admin` for a one-off task.
    pub process: &'static str,
    /// The instance: the host name, a dot and the process id.
    pub instance: String,
    /// When the process started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
}

/// Set once, at start. A static, as log lines and the panic hook have no access to state.
static RUNNING: OnceLock<Version> = OnceLock::new();

/// Sets the type of the process; later calls do nothing.
pub fn start(process: &'static str) {
    RUNNING.get_or_init(|| of(process));
}

/// The version of this process.
pub fn running() -> &'static Version {
    RUNNING.get_or_init(|| of("unknown"))
}

/// The version of a process of this type. It needs no config, which may be invalid.
pub fn of(process: &'static str) -> Version {
    let host = rustix::system::uname();
    let instance = format!("{}.{}", host.nodename().to_string_lossy(), std::process::id());
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("COMMIT"));
    let release = variable("RELEASE_ID").unwrap_or_else(|| "dev".into());
    Version { name: NAME, version, commit, release, process, instance, started_at: OffsetDateTime::now_utc() }
}
