//! XI: the way out of the log lines, which is straight, but never blocks the process.

use std::time::{Duration, Instant};
use std::{io, io::Write, os::fd::AsFd, os::fd::BorrowedFd, os::fd::OwnedFd, sync::Mutex, sync::PoisonError};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::{event::PollFd, event::PollFlags, event::Timespec, event::poll, io::Errno, stdio::stdout};

use crate::metrics::LOG_LINES_DROPPED;

/// How long a reader may let a full pipe wait, once in every [`PATIENCE_EVERY`].
const PATIENCE: Duration = Duration::from_millis(20);
const PATIENCE_EVERY: Duration = Duration::from_secs(1);
/// What a pipe that says it is writable takes at once (`PIPE_BUF`).
const PIECE: usize = 4096;

/// A static, since the process has one stdout, and panics have no state at hand.
static OUTLET: Mutex<Option<Outlet>> = Mutex::new(None);

/// Takes a whole line at each write, and writes it before it returns, or drops it.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut outlet = OUTLET.lock().unwrap_or_else(PoisonError::into_inner);
        outlet.get_or_insert_with(Outlet::open).line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a write does not block.
enum Way {
    /// A private descriptor of the pipe that does not block: other processes may share stdout's flags.
    Own(OwnedFd),
    /// stdout is a regular file, which always takes what is written.
    File,
    /// stdout is asked first whether it takes more.
    Asked,
}

struct Outlet {
    way: Way,
    /// The end of a line that is half out: it goes first, so that no line is torn.
    rest: Vec<u8>,
    /// When the reader was last waited for.
    waited: Option<Instant>,
    /// Dropped lines that no line has reported.
    untold: u64,
}

impl Outlet {
    fn open() -> Self {
        Self { way: Way::find(), rest: Vec::new(), waited: None, untold: 0 }
    }

    /// Writes a line, or drops it; what was dropped is told of as soon as a line can be written again.
    fn line(&mut self, line: &[u8]) {
        let message = "log lines were dropped because nobody read them";
        if self.untold > 0 && self.put(&super::line::line("WARN", message, "dropped", self.untold)) {
            self.untold = 0;
        }
        if self.untold > 0 || !self.put(line) {
            self.untold += 1;
            LOG_LINES_DROPPED.inc();
        }
    }

    /// Whether the line is out, or a part of it, which the rest will follow.
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

    /// Writes what can be written now, and returns how much that is.
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
            Way::Own(own) => rustix::io::write(own, bytes),
            Way::File => rustix::io::write(stdout(), bytes),
            Way::Asked if writable(stdout(), Duration::ZERO) => {
                rustix::io::write(stdout(), &bytes[..bytes.len().min(PIECE)])
            }
            Way::Asked => Err(Errno::AGAIN),
        }
    }

    /// Gives a reader that is merely slow a moment. Returns whether there is room.
    fn wait(&mut self) -> bool {
        if self.waited.is_some_and(|waited| waited.elapsed() < PATIENCE_EVERY) {
            return false;
        }
        self.waited = Some(Instant::now());
        let fd = if let Way::Own(own) = &self.way { own.as_fd() } else { stdout() };
        writable(fd, PATIENCE)
    }
}

fn writable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    // Also where it is broken: writing tells.
    poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
}

impl Way {
    fn find() -> Self {
        match fstat(stdout()).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Fifo) => reopen().map_or(Self::Asked, Self::Own),
            Ok(FileType::RegularFile) => Self::File,
            _ => Self::Asked,
        }
    }
}

/// Opens the pipe anew, so that only our end of it does not block.
fn reopen() -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let own = open("/proc/self/fd/1", flags, Mode::empty()).ok()?;
    // More room for a reader that is late; as much as an ordinary user may ask for.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&own, 1 << 20);
    Some(own)
}
