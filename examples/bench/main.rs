//! Measures the programs in a directory, prints one line per figure, and fails if a count exceeds its budget. Run by
//! `script/bench`, which starts the services and migrates.

mod counts;
mod server;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use std::{env, fs};

use server::{Server, get};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PASSWORD: &str = "a password of the bench";
const SIGN_INS: usize = 100;
/// Starts and stops, of which the median is reported.
const STARTS: usize = 10;
/// Alternating rounds of floor and service, of which the median is reported: other load affects both alike.
const ROUNDS: usize = 5;
/// Requests per client and round.
const LIVE: usize = 4_000;
const READS: usize = 1_000;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("argument 1 is missing: the directory of the programs")?;
    let scratch = arguments.next().ok_or("argument 2 is missing: a directory for temporary files")?;
    starts_and_stops(&folder)?;
    let web = Server::start(&folder.join("web"))?;
    web.until_ready()?;
    let account = sign_ins(&folder, &web)?;
    let floor = Server::start(&folder.join("examples/floor"))?;
    floor.until_ok("/health/live")?;
    compare(&web, &floor, "/health/live", "/health/live", &account, LIVE, 1.7)?;
    compare(&web, &floor, "/api/v1/accounts/current", "/read", &account, READS, 1.3)?;
    sizes(&folder)?;
    drop((web, floor));
    if counts::all(&folder, &scratch, &account)? { Ok(()) } else { Err("a count exceeds its budget".into()) }
}

/// Prints one figure and its budget, if any. Returns whether it is within the budget.
fn report(what: &str, figure: f64, unit: &str, budget: Option<f64>) -> bool {
    let digits = match unit {
        "ms" | "instr" => 0,
        "×" => 2,
        _ => 1,
    };
    let (limit, suffix) = match budget {
        Some(budget) if figure > budget => (format!("≤ {budget:.0$}", digits), "  OVER"),
        Some(budget) => (format!("≤ {budget:.0$}", digits), ""),
        None => (String::new(), ""),
    };
    println!("{what:<60} {figure:>8.digits$} {unit:<5} {limit:>8}{suffix}");
    suffix.is_empty()
}

fn starts_and_stops(folder: &Path) -> Result<()> {
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let start = Instant::now();
        let web = Server::start(&folder.join("web"))?;
        web.until_ready()?;
        starts.push(milliseconds(start));
        // Wait until the work after the start is done.
        sleep(Duration::from_secs(1));
        stops.push(web.stop()?);
    }
    report("start to ready (median of 10)", median(starts), "ms", Some(100.0));
    report("SIGTERM to exit, idle (median of 10)", median(stops), "ms", Some(50.0));
    Ok(())
}

/// A hundred accounts sign in at once while a signed-in client reads. Returns its cookie.
fn sign_ins(folder: &Path, web: &Server) -> Result<String> {
    let emails: Vec<String> = (0..=SIGN_INS).map(|n| format!("bench-{n}@example.com")).collect();
    for email in &emails {
        create(folder, email)?;
    }
    // Wait for another round of health probes.
    sleep(Duration::from_secs(6));
    let idle = web.memory("VmRSS")?;
    report("RSS, idle", idle, "MiB", Some(16.0));

    let cookie = sign_in(web, &emails[SIGN_INS], SIGN_INS)?;
    let (barrier, done) = (Barrier::new(SIGN_INS + 1), AtomicBool::new(false));
    let (took, reads) = thread::scope(|scope| -> Result<_> {
        let sign_in = |n: usize| {
            barrier.wait();
            sign_in(web, &emails[n], n)
        };
        let all: Vec<_> = (0..SIGN_INS).map(|n| scope.spawn(move || sign_in(n))).collect();
        let reader = scope.spawn(|| read_until(web, &cookie, &done));
        barrier.wait();
        let start = Instant::now();
        let outcomes: Vec<_> = all.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        let took = milliseconds(start);
        for outcome in outcomes {
            outcome.map_err(|_| "a sign-in panicked")??;
        }
        Ok((took, reader.join().map_err(|_| "the reader panicked")??))
    })?;
    report("100 sign-ins at once: until the last is done", took, "ms", None);
    report("  RSS, peak", web.memory("VmHWM")?, "MiB", Some(150.0));
    report("  signed-in read meanwhile, p99", percentile(reads, 0.99), "ms", Some(100.0));
    sleep(Duration::from_secs(5));
    report("  RSS five seconds later", web.memory("VmRSS")?, "MiB", Some(idle + 32.0));
    Ok(cookie)
}

fn create(folder: &Path, email: &str) -> Result<()> {
    let mut child = Command::new(folder.join("account"))
        .args(["create", "--password", email])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    writeln!(stdin, "{PASSWORD}")?;
    drop(stdin);
    if !child.wait()?.success() {
        return Err(format!("account create {email} failed").into());
    }
    Ok(())
}

/// The cookie of a new session. Each sign-in has its own IP address, because of the rate limits.
fn sign_in(web: &Server, email: &str, n: usize) -> Result<String> {
    let body = format!("{{\"email\":\"{email}\",\"password\":\"{PASSWORD}\"}}");
    let head = format!(
        "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.{n}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let head = web.client()?.send(&(head + &body), 201)?;
    let cookie = head.iter().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next());
    Ok(cookie.ok_or("no cookie in the response")?.to_owned())
}

/// Reads about a hundred times a second until `done`, and returns how many milliseconds each took.
fn read_until(web: &Server, cookie: &str, done: &AtomicBool) -> Result<Vec<f64>> {
    let request = get("/api/v1/accounts/current", cookie);
    let mut client = web.client()?;
    let mut times = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        client.send(&request, 200)?;
        times.push(milliseconds(start));
        sleep(Duration::from_millis(5));
    }
    Ok(times)
}

/// Sends requests to the service and the floor in turn, and reports the CPU time per request of each.
fn compare(
    web: &Server, floor: &Server, path: &str, floor_path: &str, cookie: &str, count: usize, budget: f64,
) -> Result<()> {
    let (request, plain) = (get(path, cookie), get(floor_path, ""));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (web, floor) = (web.cost(&request, count)?, floor.cost(&plain, count)?);
        // The first round is the warm-up.
        if round > 0 {
            ours.push(web);
            theirs.push(floor);
        }
    }
    let ratios = ours.iter().zip(&theirs).map(|(web, floor)| web / floor);
    let ratio = median(ratios.collect());
    report(&format!("GET {path}: CPU per request"), median(ours), "µs", None);
    report(&format!("  floor, {floor_path}"), median(theirs), "µs", None);
    report("  ratio", ratio, "×", Some(budget));
    Ok(())
}

fn sizes(folder: &Path) -> Result<()> {
    let mut total = 0.0;
    for source in fs::read_dir("src/bin")? {
        let program = source?.path().file_stem().ok_or("a program without a name")?.to_owned();
        let size = fs::metadata(folder.join(&program))?.len() as f64 / f64::from(1 << 20);
        report(&format!("size of {}", program.display()), size, "MiB", None);
        total += size;
    }
    report("size of all programs", total, "MiB", None);
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(values: Vec<f64>) -> f64 {
    percentile(values, 0.5)
}

fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part) as usize;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
