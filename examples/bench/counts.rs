//! Counts what one request costs: its system calls, and its instructions in user space. Unlike times, counts are the
//! same on a busy machine as on an idle one.
//!
//! One client asks over one connection and one thread answers, so that no thread is woken by chance.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::server::{Client, Server, get};
use crate::{Result, tell};

/// Turns of requests, of which the least counts: a new connection to Postgres falls into one of them, and costs as
/// much as two hundred requests.
const TURNS: usize = 9;
const REQUESTS: u32 = 500;
/// Until the pool of Postgres has grown to what one client needs, and no connection of it is in doubt: each is for ten
/// seconds after Postgres was slow to answer, as it seems to be to a process that starts under callgrind.
const WARM_UP: Duration = Duration::from_secs(15);
/// How many requests strace's shorter run answers.
const TRACED: u32 = 2_000;
/// How long strace may take to write its report.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// Prints the counts of the service and of the floor. Returns whether all are within their budgets.
pub(crate) fn all(folder: &Path, scratch: &Path, cookie: &str) -> Result<bool> {
    let (web, floor) = (folder.join("web"), folder.join("examples/floor"));
    let live = Subject { program: &web, scratch, request: get("/health/live", cookie) };
    let current = Subject { program: &web, scratch, request: get("/api/v1/accounts/current", cookie) };
    let floor_live = Subject { program: &floor, scratch, request: get("/health/live", "") };
    let floor_read = Subject { program: &floor, scratch, request: get("/read", "") };

    let mut within = true;
    for (output, name) in [(Output::File, "a file"), (Output::Pipe, "a pipe")] {
        let what = format!("GET /health/live: system calls, stdout is {name}");
        within &= tell(&what, live.calls(output)?, "", Some(4.0));
        tell("  the floor's", floor_live.calls(output)?, "", None);
    }
    for (path, ours, floor, budget) in
        [("/health/live", live, floor_live, 36_000.0), ("/api/v1/accounts/current", current, floor_read, 115_000.0)]
    {
        let (count, least) = (ours.instructions()?, floor.instructions()?);
        let what = format!("GET {path}: instructions, stdout is a pipe");
        within &= tell(&what, count, "instr", Some(budget));
        tell("  the floor's", least, "instr", None);
        tell("  ratio", count / least, "×", None);
    }
    Ok(within)
}

/// What the log is written to.
#[derive(Clone, Copy)]
enum Output {
    File,
    Pipe,
}

/// A program, and the request that it answers.
struct Subject<'a> {
    program: &'a Path,
    scratch: &'a Path,
    request: String,
}

impl Subject<'_> {
    /// The system calls of one request: strace counts those of two whole runs that last equally long, of which one
    /// answers twice as many requests.
    fn calls(&self, output: Output) -> Result<f64> {
        // The longer run comes first, as the shorter one then lasts as long as it did.
        let (more, lasted) = self.traced(output, 2 * TRACED, Duration::ZERO)?;
        let (fewer, _) = self.traced(output, TRACED, lasted)?;
        // A request makes a whole number of calls: what is left is what the health probes did in one run alone.
        Ok(((more - fewer) / f64::from(TRACED)).round())
    }

    fn traced(&self, output: Output, requests: u32, lasts: Duration) -> Result<(f64, Duration)> {
        let report = self.scratch.join("strace");
        // That of the run before would be taken for this one's.
        let _ = fs::remove_file(&report);
        let mut command = Command::new("strace");
        // -D: strace is no parent of the program, so that a signal to our child reaches the program.
        command.args(["-D", "-f", "-c", "-o"]).arg(&report).arg(self.program);
        let stdout = match output {
            Output::File => File::create(self.scratch.join("stdout"))?.into(),
            Output::Pipe => Stdio::piped(),
        };
        let (mut server, mut client) = self.start(command, stdout)?;
        let start = Instant::now();
        self.ask(&mut client, requests)?;
        sleep(lasts.saturating_sub(start.elapsed()));
        let lasted = start.elapsed();
        server.end()?;
        Ok((total(&report)?, lasted))
    }

    /// The instructions of one request: callgrind counts those of the process, of which are taken away what it does
    /// in the same time without requests.
    fn instructions(&self) -> Result<f64> {
        let mut command = Command::new("valgrind");
        let out = format!("--callgrind-out-file={}", self.scratch.join("callgrind").display());
        command.args(["-q", "--tool=callgrind", &out]).arg(self.program);
        let (mut server, mut client) = self.start(command, Stdio::piped())?;
        let start = Instant::now();
        while start.elapsed() < WARM_UP {
            // Under callgrind the services seem to answer late at first.
            let _ = self.ask(&mut client, 1);
        }
        // What disturbs a turn only adds to it: the least counts, of both.
        let (mut busy, mut idle) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..TURNS {
            let (start, before) = (Instant::now(), executed(&server)?);
            self.ask(&mut client, REQUESTS)?;
            let (lasted, between) = (start.elapsed(), executed(&server)?);
            sleep(lasted);
            (busy, idle) = (busy.min(between - before), idle.min(executed(&server)? - between));
        }
        // Not killed, as it would leave its pipes in /tmp.
        server.end()?;
        Ok((busy - idle) / f64::from(REQUESTS))
    }

    fn start(&self, mut command: Command, stdout: Stdio) -> Result<(Server, Client)> {
        command.env("TOKIO_WORKER_THREADS", "1");
        let server = Server::spawn(command, stdout)?;
        server.until_answers("/health/live")?;
        let client = server.client()?;
        Ok((server, client))
    }

    fn ask(&self, client: &mut Client, requests: u32) -> Result<()> {
        (0..requests).try_for_each(|_| client.ask(&self.request, 200).map(drop))
    }
}

/// The total in strace's report, which comes only after the program has ended.
fn total(report: &Path) -> Result<f64> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(report).unwrap_or_default();
        // Its columns: share, seconds, microseconds a call, calls, errors if there are any, name.
        if let Some(line) = text.lines().find(|line| line.ends_with("total")) {
            return Ok(line.split_whitespace().nth(3).ok_or("no calls in strace's total")?.parse()?);
        }
        if start.elapsed() > REPORT_LIMIT {
            return Err("strace wrote no total".into());
        }
        sleep(Duration::from_millis(10));
    }
}

/// How many instructions the threads of a server under callgrind have executed so far.
fn executed(server: &Server) -> Result<f64> {
    let mut vgdb = Command::new("vgdb");
    let output = vgdb.arg(format!("--pid={}", server.pid())).args(["status", "internal"]).output()?;
    let status = String::from_utf8(output.stdout)?;
    // "events-THREAD: COUNT"; those of its frames are "events-THREAD-FRAME: COUNT".
    let counts = status.lines().filter_map(|line| line.strip_prefix("events-")?.split_once(": "));
    let counts: Vec<f64> =
        counts.filter_map(|(thread, count)| thread.parse::<u32>().ok().and(count.parse().ok())).collect();
    if counts.is_empty() {
        return Err("vgdb tells no counts: it needs the permission to trace processes".into());
    }
    Ok(counts.iter().sum())
}
