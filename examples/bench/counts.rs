//! Counts the system calls and the user-space instructions per request. Unlike times, counts do not depend on the load
//! of the machine.
//!
//! One client sends over one connection and one thread serves it, so that no thread wake-ups vary between runs.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::server::{Client, Server, get};
use crate::{Result, report};

/// Rounds of requests, of which the minimum counts: a new connection to Postgres during a round costs as much as two
/// hundred requests.
const ROUNDS: usize = 9;
const REQUESTS: u32 = 500;
/// Until the Postgres pool has as many connections as one client needs.
const WARM_UP: Duration = Duration::from_secs(15);
/// Until no connection of the service is suspect: each is checked for 90 seconds after a slow response, and all
/// responses are slow while callgrind starts the process.
const LONG_WARM_UP: Duration = Duration::from_secs(110);
/// The requests of strace's shorter run.
const TRACED: u32 = 2_000;
/// How long strace may take to write its summary.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints the counts of the service and of the floor. Returns whether all are within their budgets.
pub(crate) fn all(folder: &Path, scratch: &Path, cookie: &str) -> Result<bool> {
    let (web, floor) = (folder.join("web"), folder.join("examples/floor"));
    let live = Subject { program: &web, scratch, request: get("/health/live", cookie), warm_up: WARM_UP };
    let current =
        Subject { program: &web, scratch, request: get("/api/v1/accounts/current", cookie), warm_up: LONG_WARM_UP };
    let floor_live = Subject { program: &floor, scratch, request: get("/health/live", ""), warm_up: WARM_UP };
    let floor_read = Subject { program: &floor, scratch, request: get("/read", ""), warm_up: WARM_UP };

    let mut within_budget = true;
    for (output, name) in [(Output::File, "a file"), (Output::Pipe, "a pipe")] {
        let what = format!("GET /health/live: system calls, stdout is {name}");
        within_budget &= report(&what, live.calls(output)?, "", Some(4.0));
        report("  floor", floor_live.calls(output)?, "", None);
    }
    for (path, ours, floor, budget) in
        [("/health/live", live, floor_live, 36_000.0), ("/api/v1/accounts/current", current, floor_read, 115_000.0)]
    {
        let (count, of_floor) = (ours.instructions()?, floor.instructions()?);
        let what = format!("GET {path}: instructions, stdout is a pipe");
        within_budget &= report(&what, count, "instr", Some(budget));
        report("  floor", of_floor, "instr", None);
        report("  ratio", count / of_floor, "×", None);
    }
    Ok(within_budget)
}

/// The type of stdout, which receives the log.
#[derive(Clone, Copy)]
enum Output {
    File,
    Pipe,
}

/// A program, and the request that is sent to it.
struct Subject<'a> {
    program: &'a Path,
    scratch: &'a Path,
    request: String,
    warm_up: Duration,
}

impl Subject<'_> {
    /// The system calls per request: the difference of two runs under strace that last equally long, one with twice as
    /// many requests.
    fn calls(&self, output: Output) -> Result<f64> {
        // The longer run comes first: the shorter one then sleeps until it has lasted as long.
        let (more, lasted) = self.traced(output, 2 * TRACED, Duration::ZERO)?;
        let (fewer, _) = self.traced(output, TRACED, lasted)?;
        // Round to whole calls: the health probes differ a little between the runs.
        Ok(((more - fewer) / f64::from(TRACED)).round())
    }

    fn traced(&self, output: Output, requests: u32, duration: Duration) -> Result<(f64, Duration)> {
        let summary = self.scratch.join("strace");
        // Otherwise the summary of the previous run would be read.
        let _ = fs::remove_file(&summary);
        let mut command = Command::new("strace");
        // -D: the program is our child, not strace's, so it receives our signals.
        command.args(["-D", "-f", "-c", "-o"]).arg(&summary).arg(self.program);
        let stdout = match output {
            Output::File => File::create(self.scratch.join("stdout"))?.into(),
            Output::Pipe => Stdio::piped(),
        };
        let (mut server, mut client) = self.start(command, stdout)?;
        let start = Instant::now();
        self.send(&mut client, requests)?;
        sleep(duration.saturating_sub(start.elapsed()));
        let lasted = start.elapsed();
        server.terminate()?;
        Ok((total(&summary)?, lasted))
    }

    /// The instructions per request: callgrind's count during requests, less the count of the same time without
    /// requests.
    fn instructions(&self) -> Result<f64> {
        let mut command = Command::new("valgrind");
        let out = format!("--callgrind-out-file={}", self.scratch.join("callgrind").display());
        command.args(["-q", "--tool=callgrind", &out]).arg(self.program);
        let (mut server, mut client) = self.start(command, Stdio::piped())?;
        let start = Instant::now();
        while start.elapsed() < self.warm_up {
            // May fail: under callgrind the services' probes time out at first.
            let _ = self.send(&mut client, 1);
        }
        // Take the minimum of both, since disturbances only add instructions.
        let (mut busy, mut idle) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            let (start, before) = (Instant::now(), executed(&server)?);
            self.send(&mut client, REQUESTS)?;
            let (lasted, after) = (start.elapsed(), executed(&server)?);
            sleep(lasted);
            (busy, idle) = (busy.min(after - before), idle.min(executed(&server)? - after));
        }
        // Not SIGKILL, after which valgrind leaves its pipes in /tmp.
        server.terminate()?;
        Ok((busy - idle) / f64::from(REQUESTS))
    }

    fn start(&self, mut command: Command, stdout: Stdio) -> Result<(Server, Client)> {
        command.env("TOKIO_WORKER_THREADS", "1");
        let server = Server::spawn(command, stdout)?;
        server.until_ok("/health/live")?;
        let client = server.client()?;
        Ok((server, client))
    }

    fn send(&self, client: &mut Client, requests: u32) -> Result<()> {
        (0..requests).try_for_each(|_| client.send(&self.request, 200).map(drop))
    }
}

/// The total of strace's summary, which strace writes after the program has exited.
fn total(summary: &Path) -> Result<f64> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(summary).unwrap_or_default();
        // Columns: % time, seconds, usecs/call, calls, errors (may be empty), syscall.
        if let Some(line) = text.lines().find(|line| line.ends_with("total")) {
            return Ok(line.split_whitespace().nth(3).ok_or("no calls in strace's total")?.parse()?);
        }
        if start.elapsed() > SUMMARY_TIMEOUT {
            return Err("strace wrote no total".into());
        }
        sleep(Duration::from_millis(10));
    }
}

/// The instructions that the threads of a server under callgrind have executed so far.
fn executed(server: &Server) -> Result<f64> {
    let mut vgdb = Command::new("vgdb");
    let output = vgdb.arg(format!("--pid={}", server.pid())).args(["status", "internal"]).output()?;
    let status = String::from_utf8(output.stdout)?;
    // Lines are "events-THREAD: COUNT"; those per frame, "events-THREAD-FRAME: COUNT", are ignored.
    let counts = status.lines().filter_map(|line| line.strip_prefix("events-")?.split_once(": "));
    let counts: Vec<f64> =
        counts.filter_map(|(thread, count)| thread.parse::<u32>().ok().and(count.parse().ok())).collect();
    if counts.is_empty() {
        return Err("vgdb returned no counts: it needs the permission to ptrace".into());
    }
    Ok(counts.iter().sum())
}
