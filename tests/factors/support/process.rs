//! One running binary: its output, its port, its signals, its exit.

use super::{Duration, SOON, Value, until};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

pub type Env = BTreeMap<OsString, OsString>;

/// A child process, killed when dropped.
pub struct Process {
    child: Child,
    stdout: Capture,
    stderr: Capture,
    port: u16,
}

/// The exit code and the output of a process.
#[derive(Debug)]
pub struct Exit {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Process {
    pub fn spawn(program: &str, env: &Env, dir: &Path) -> Self {
        let mut child = command(program, env, dir)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} did not start: {error}"));
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
        Self { child, stdout, stderr, port: 0 }
    }

    /// Waits for the log line with the port.
    pub async fn listening(mut self) -> Self {
        let port = until("web logs `listening` with its port", SOON, async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("exited ({status}) before listening: {:?} {:?}", self.lines(), self.stderr_lines());
            }
            let line = self.logs().into_iter().find(|line| line["message"] == "listening")?;
            line["port"].as_u64()
        })
        .await;
        self.port = u16::try_from(port).expect("a port");
        self
    }

    pub fn port(&self) -> u16 {
        assert_ne!(self.port, 0, "this process listens on no port");
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process can be signalled");
    }

    /// Sends SIGTERM.
    pub fn stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGSTOP and waits until every thread has stopped, which takes a while on a busy machine.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("the process can be waited for");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "the process has exited");
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the exit and for the end of both streams.
    pub async fn exit(&mut self, timeout: Duration) -> Exit {
        let status =
            until("the process exits", timeout, async || self.child.try_wait().expect("the process can be waited for"))
                .await;
        self.resume_reading();
        until("both streams end", SOON, async || (self.stdout.ended() && self.stderr.ended()).then_some(())).await;
        Exit {
            code: status.code().unwrap_or(-1),
            out: self.stdout.lines().join("\n"),
            err: self.stderr.lines().join("\n"),
        }
    }

    /// Stops reading stdout: output stays in the pipe.
    pub fn stop_reading(&self) {
        self.stdout.set_open(false);
    }

    pub fn resume_reading(&self) {
        self.stdout.set_open(true);
    }

    pub fn lines(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// The lines of stderr.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// The lines of stdout that are JSON.
    pub fn logs(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a log line.
    pub async fn log(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, SOON, async || self.logs().into_iter().find(|line| wanted(line))).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.resume_reading();
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("output of the process:\n{}", [self.lines(), self.stderr_lines()].concat().join("\n"));
        }
    }
}

/// Runs a program until it exits.
pub async fn run(program: &str, args: &[&str], input: &str, env: &Env, dir: &Path) -> Exit {
    let mut command = command(program, env, dir);
    command.args(args).stdin(Stdio::piped());
    let input = input.to_owned();
    let mut child = command.spawn().expect("the program starts");
    let pid = Pid::from_child(&child);
    let ended = tokio::task::spawn_blocking(move || {
        // This fails if the program exits without reading its input, which is allowed.
        child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).ok();
        child.wait_with_output().expect("the program exits")
    });
    let Ok(output) = tokio::time::timeout(Duration::from_secs(60), ended).await else {
        kill_process(pid, Signal::KILL).ok(); // otherwise the runtime waits for the blocking task
        panic!("{program} did not exit");
    };
    let output = output.expect("the program was waited for");
    Exit {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        err: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

fn command(program: &str, env: &Env, dir: &Path) -> Command {
    let mut command = Command::new(path_of(program));
    command.env_clear().envs(env).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn path_of(program: &str) -> &'static str {
    match program {
        "web" => env!("CARGO_BIN_EXE_web"),
        "worker" => env!("CARGO_BIN_EXE_worker"),
        "migrate" => env!("CARGO_BIN_EXE_migrate"),
        "seed" => env!("CARGO_BIN_EXE_seed"),
        "reset" => env!("CARGO_BIN_EXE_reset"),
        "doctor" => env!("CARGO_BIN_EXE_doctor"),
        "config" => env!("CARGO_BIN_EXE_config"),
        "account" => env!("CARGO_BIN_EXE_account"),
        "jobs" => env!("CARGO_BIN_EXE_jobs"),
        "console" => env!("CARGO_BIN_EXE_console"),
        other => panic!("no such program: {other}"),
    }
}

/// A stream that a separate thread reads. A test can pause the reading.
struct Capture {
    lines: Arc<Mutex<Vec<String>>>,
    open: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Capture {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new((Mutex::new(true), Condvar::new()));
        let (read, gate) = (Arc::clone(&lines), Arc::clone(&open));
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                read.lock().expect("no reader panicked").push(line);
                let (open, changed) = &*gate;
                let open = open.lock().expect("no reader panicked");
                drop(changed.wait_while(open, |open| !*open).expect("no reader panicked"));
            }
        });
        Self { lines, open, thread }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panicked").clone()
    }

    fn set_open(&self, open: bool) {
        *self.open.0.lock().expect("no reader panicked") = open;
        self.open.1.notify_all();
    }

    fn ended(&self) -> bool {
        self.thread.is_finished()
    }
}
