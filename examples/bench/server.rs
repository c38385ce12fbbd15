//! The server that is measured, and a minimal HTTP client.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, milliseconds};

/// Concurrent clients.
const CLIENTS: usize = 16;
/// The kernel's unit of CPU time in `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server process with its own port. Its output to a pipe is read and discarded.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        Self::spawn(Command::new(program), Stdio::piped())
    }

    pub(crate) fn spawn(mut command: Command, stdout: Stdio) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut child = command.env("PORT", port.to_string()).stdout(stdout).spawn()?;
        if let Some(mut stdout) = child.stdout.take() {
            thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        }
        Ok(Self { child, port })
    }

    pub(crate) fn until_ready(&self) -> Result<()> {
        self.until_ok("/health/ready")
    }

    pub(crate) fn until_ok(&self, path: &str) -> Result<()> {
        let start = Instant::now();
        while self.client().and_then(|mut client| client.send(&get(path, ""), 200)).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                return Err(format!("{path} did not return 200").into());
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Stops the server and returns how many milliseconds that took.
    pub(crate) fn stop(mut self) -> Result<f64> {
        let start = Instant::now();
        let status = self.terminate()?;
        if !status.success() {
            return Err(format!("web exited with {status}").into());
        }
        Ok(milliseconds(start))
    }

    /// Sends SIGTERM and waits for the exit. A program without a handler is killed by the signal.
    pub(crate) fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        Ok(self.child.wait()?)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // Fails if the process has exited.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    pub(crate) fn client(&self) -> Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        Ok(Client(BufReader::new(stream)))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    /// A field of `/proc/PID/status`, in MiB.
    pub(crate) fn memory(&self, name: &str) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kib: f64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
        Ok(kib / 1024.0)
    }

    /// The CPU time so far, in seconds.
    fn time(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
        Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
    }

    /// The CPU time per request, in microseconds.
    pub(crate) fn cost(&self, request: &str, count: usize) -> Result<f64> {
        let before = self.time()?;
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        let mut client = self.client()?;
                        (0..count).try_for_each(|_| client.send(request, 200).map(drop))
                    })
                })
                .collect();
            let mut outcomes = clients.into_iter().map(ScopedJoinHandle::join);
            outcomes.try_for_each(|outcome| outcome.map_err(|_| "a client panicked")?)
        })?;
        Ok((self.time()? - before) * 1e6 / (CLIENTS * count) as f64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// One keep-alive connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Sends a request and returns the lines of the response's head. The status must match.
    pub(crate) fn send(&mut self, request: &str, status: u16) -> Result<Vec<String>> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap_or("0").parse()?];
        self.0.read_exact(&mut body)?;
        let first = head.first().map(String::as_str).unwrap_or_default();
        if !first.starts_with(&format!("HTTP/1.1 {status} ")) {
            return Err(format!("{first}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(head)
    }
}

pub(crate) fn get(path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n")
}
