//! The log: lines to standard error, written by a separate thread. Logging never blocks: if the
//! reader is slow, lines are dropped, counted and reported in the log.

use crate::alarms::{AlarmKind, Alarms};
use anyhow::{Context, Result};
use config::{LogConfig, LogFormat};
use std::borrow::Cow;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of lines waiting to be written.
const WAITING: usize = 4096;

/// Maximum length of a line, bytes; the rest is cut off.
const LINE_BYTES: usize = 8192;

/// How long writing the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Lines that were dropped since start.
static LOST: AtomicU64 = AtomicU64::new(0);

/// The guard of the log: dropping it waits briefly for the last lines.
#[derive(Debug)]
pub struct Log {
    lines: SyncSender<Line>,
}

#[derive(Debug)]
enum Line {
    Text(String),
    /// Answered once everything before it is written.
    Mark(SyncSender<()>),
}

impl Drop for Log {
    fn drop(&mut self) {
        let end = Instant::now() + LAST_LINES;
        let (mark, marked) = mpsc::sync_channel(1);
        let mut mark = Line::Mark(mark);
        loop {
            match self.lines.try_send(mark) {
                Ok(()) => break,
                // The queue is full: there is room as soon as one line is written.
                Err(TrySendError::Full(back)) if Instant::now() < end => mark = back,
                Err(_) => return,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = marked.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// Starts the log of this process, including panics.
///
/// # Errors
/// The filter is invalid, or a log is already running.
pub fn start(settings: &LogConfig) -> Result<Log> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.level).context("log.level")?;
    let writer = LineWriter::start(io::stderr())?;
    let log = Log { lines: writer.lines.clone() };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Escape sequences are never written, neither the program's nor a peer's.
        .with_ansi(false)
        .with_writer(writer);
    match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("the log does not start: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(log)
}

/// Lines that were dropped since start.
pub(crate) fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Raises the alarm if lines were dropped since `before`; returns the new total.
pub(crate) fn look_at_lost_lines(before: u64, alarms: &Alarms) -> u64 {
    let now = lost_lines();
    if now > before {
        let what = "lines are missing from the log";
        alarms.notice_more(AlarmKind::LogLinesLost, "log", now - before, what);
    }
    now
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    tracing::error!(thread, %place, "panic: {words}");
}

/// Passes lines to the writing thread. One write is one line.
#[derive(Clone, Debug)]
struct LineWriter {
    lines: SyncSender<Line>,
}

impl LineWriter {
    fn start(sink: impl Write + Send + 'static) -> io::Result<LineWriter> {
        let (lines, waiting) = mpsc::sync_channel(WAITING);
        let told = lost_lines();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&waiting, told, sink))?;
        Ok(LineWriter { lines })
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        self.clone()
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]);
        let text = platform::plain(text.trim_end_matches('\n')).into_owned() + "\n";
        match self.lines.try_send(Line::Text(text)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until the last sender is gone; `told` lines were lost before. Lines that the sink refuses
/// are lost silently.
fn write(lines: &Receiver<Line>, mut told: u64, mut sink: impl Write) {
    while let Ok(line) = lines.recv() {
        let text = match line {
            Line::Text(text) => text,
            Line::Mark(mark) => {
                let _ = mark.try_send(());
                continue;
            }
        };
        let lost = lost_lines();
        let text = if lost > told {
            let gap = format!("... {} lines of the log were lost here ...\n", lost - told);
            Cow::Owned(gap + &text)
        } else {
            Cow::Borrowed(&text)
        };
        told = lost;
        let _ = sink.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Blocks until its gate opens.
    struct Gated {
        gate: Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Stays open once the other end is dropped.
            let _ = self.gate.recv();
            self.written.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Without a separate thread the first line would block forever; without a bound memory would
    /// grow with each.
    #[test]
    fn who_logs_never_waits_and_the_gap_is_told() {
        let (gate, closed) = mpsc::channel();
        let written = Arc::new(Mutex::new(String::new()));
        let mut writer =
            LineWriter::start(Gated { gate: closed, written: written.clone() }).unwrap();
        let before = lost_lines();
        for number in 0..2 * WAITING {
            writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let lost = lost_lines() - before;
        assert!((WAITING as u64 - 1..=WAITING as u64).contains(&lost), "{lost}");
        // The alarm reports all lines since it began, not only the last ones.
        let alarms = Alarms::default();
        for before in [259, 4] {
            look_at_lost_lines(lost_lines() - before, &alarms);
        }
        assert_eq!(alarms.lines()[0].detail, "263 lines are missing from the log");
        drop(gate);
        drop(Log { lines: writer.lines.clone() });
        writer.write_all(b"after\n").unwrap();
        drop(Log { lines: writer.lines.clone() });
        let written = written.lock().unwrap();
        // Their sum; in two parts if the first line was written while others were still lost.
        let told = written.lines().filter_map(|line| line.strip_prefix("... ")?.split(' ').next());
        let told: u64 = told.map(|number| number.parse::<u64>().unwrap()).sum();
        assert_eq!(told, lost, "{written}");
        assert!(written.ends_with("after\n"));
    }

    #[test]
    fn a_line_stays_one_line_and_a_terminal_obeys_nothing() {
        let (gate, open) = mpsc::channel();
        drop(gate);
        let written = Arc::new(Mutex::new(String::new()));
        let mut writer = LineWriter::start(Gated { gate: open, written: written.clone() }).unwrap();
        writer.write_all(b"number 44\n2026 INFO all is well\x1b[2J\n").unwrap();
        writer.write_all(&[b'x'; 2 * LINE_BYTES]).unwrap();
        drop(Log { lines: writer.lines.clone() });
        let written = written.lock().unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines[0], "number 44\\n2026 INFO all is well\\u001b[2J");
        assert_eq!((lines.len(), lines[1].len()), (2, LINE_BYTES));
    }
}
