//! XI: writes log lines to stdout, unbuffered, without ever blocking the process.

use std::time::{Duration, Instant};
use std::{io, io::Write, os::fd::AsFd, os::fd::BorrowedFd, os::fd::OwnedFd, sync::Mutex, sync::PoisonError};

use rustix::fs::{FileType, OFlags, fstat, open};
use rustix::{event::PollFd, event::PollFlags, event::Timespec, event::poll, io::Errno, stdio::stdout};

use crate::metrics::LOG_LINES_DROPPED;

/// How long to wait for the reader of a full pipe, at most once per [`WAIT_EVERY`].
const WAIT: Duration = Duration::from_millis(20);
const WAIT_EVERY: Duration = Duration::from_secs(1);
/// `PIPE_BUF`: a pipe that polls as writable accepts this many bytes at once.
const PIPE_BUF: usize = 4096;

/// A static, as the process has one stdout, and the panic hook has no access to state.
static OUTPUT: Mutex<Option<Output>> = Mutex::new(None);

/// A writer: each write is one whole line, written or dropped before it returns.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut outlet = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
        outlet.get_or_insert_with(Output::open).line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How writes avoid blocking.
enum Mode {
    /// A private O_NONBLOCK descriptor of the pipe: other processes may share stdout's flags.
    Own(OwnedFd),
    /// A regular file never blocks.
    File,
    /// Poll stdout before each write.
    Asked,
}

struct Output {
    way: Mode,
    /// The rest of a partly written line: it is written first, so that no line is torn.
    rest: Vec<u8>,
    /// The last time that a write waited for the reader.
    waited: Option<Instant>,
    /// Dropped lines that are not reported yet.
    unreported: u64,
}

impl Output {
    fn open() -> Self {
        Self { way: Mode::find(), rest: Vec::new(), waited: None, unreported: 0 }
    }

    /// Writes a line or drops it. The next line that can be written reports the number of dropped lines.
    fn line(&mut self, line: &[u8]) {
        let message = "log lines dropped: stdout was not read";
        if self.unreported > 0
            && self.put(&super::line::line("WARN", module_path!(), message, "dropped", self.unreported))
        {
            self.unreported = 0;
        }
        if self.unreported > 0 || !self.put(line) {
            self.unreported += 1;
            LOG_LINES_DROPPED.inc();
        }
    }

    /// Returns whether the line was written, at least in part: the rest then comes first at the next write.
    fn put(&mut self, line: &[u8]) -> bool {
        let rest = std::mem::take(&mut self.rest);
        let out = self.push(&rest);
        if out < rest.len() {
            self.rest = rest[out..].to_vec();
            return false;
        }
        let out = self.push(line);
        if out > 0 {
            self.rest = line[out..].to_vec();
        }
        out > 0
    }

    /// Writes as much as possible without blocking, and returns how many bytes.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let mut out = 0;
        while out < bytes.len() {
            match self.write(&bytes[out..]) {
                Ok(count) => out += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.wait() => {}
                Err(_) => break,
            }
        }
        out
    }

    fn write(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        match &self.way {
            Mode::Own(own) => rustix::io::write(own, bytes),
            Mode::File => rustix::io::write(stdout(), bytes),
            Mode::Asked if writable(stdout(), Duration::ZERO) => {
                rustix::io::write(stdout(), &bytes[..bytes.len().min(PIPE_BUF)])
            }
            Mode::Asked => Err(Errno::AGAIN),
        }
    }

    /// Waits a moment for a slow reader. Returns whether the pipe is writable.
    fn wait(&mut self) -> bool {
        if self.waited.is_some_and(|waited| waited.elapsed() < WAIT_EVERY) {
            return false;
        }
        self.waited = Some(Instant::now());
        let fd = if let Mode::Own(own) = &self.way { own.as_fd() } else { stdout() };
        writable(fd, WAIT)
    }
}

fn writable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let limit = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
    // Any event counts: if the pipe is broken, the write returns the error.
    poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0)
}

impl Mode {
    fn find() -> Self {
        match fstat(stdout()).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Fifo) => reopen().map_or(Self::Asked, Self::Own),
            Ok(FileType::RegularFile) => Self::File,
            _ => Self::Asked,
        }
    }
}

/// Opens the pipe again, for a descriptor with its own O_NONBLOCK flag.
fn reopen() -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let own = open("/proc/self/fd/1", flags, rustix::fs::Mode::empty()).ok()?;
    // A larger pipe for a slow reader: the most that an unprivileged user may set.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&own, 1 << 20);
    Some(own)
}
