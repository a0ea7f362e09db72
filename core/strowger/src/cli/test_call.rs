//! `strowger call test` (ROUTE-83).

use super::{NodeArgs, print};
use anyhow::{Context, Result, bail};
use api::{AttemptView, CallLine, Client, RecordView, TestCallRequest};
use clap::Args;
use platform::plain_lines;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Polling interval of the call.
const LOOK: Duration = Duration::from_millis(100);

/// How long the record may take to appear after the call.
const RECORD_WAIT: Duration = Duration::from_secs(10);

/// Exit code of a program ended by Ctrl-C, as set by shells.
const INTERRUPTED: i32 = 130;

/// A test call.
#[derive(Debug, Args)]
pub(super) struct TestCallArgs {
    /// Vendor trunk, the only one attempted, whatever its prefixes.
    #[arg(long, value_name = "NAME")]
    trunk: String,
    /// Callee number as routed: the rewrite rules of the trunk still apply.
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// Caller number as routed. If omitted, the caller is anonymous.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    caller: String,
    /// Send a 1004 Hz tone at -10 dBm0 after the answer instead of silence.
    #[arg(long)]
    tone: bool,
    /// Seconds from the answer until hanging up, 1 to 300.
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u16,
    #[command(flatten)]
    node: NodeArgs,
}

impl TestCallArgs {
    /// Places the call and follows it to its end. Ctrl-C hangs up.
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let TestCallArgs { trunk, to, caller, tone, seconds, node } = self;
        let client = node.client()?;
        let interrupted = heed_interrupts()?;
        let request = TestCallRequest { trunk, callee: to, caller, tone, seconds };
        let id = client.place_test_call(&request)?.id;
        let mut told =
            Told { begun: Instant::now(), state: String::new(), attempts: 0, quiet: node.json };
        if !node.json {
            writeln!(out, "call {id} to {} over {}", request.callee, request.trunk)?;
        }
        let mut hung_up = false;
        while let Some(call) = client.call(&id)? {
            told.tell(out, &call)?;
            if interrupted.load(Ordering::Relaxed) && !hung_up {
                hung_up = true;
                // It may have ended meanwhile.
                let _ = client.hangup(&id);
            }
            thread::sleep(LOOK);
        }
        let record = record_of(&client, &id)?;
        print(out, node.json, &record, summary)?;
        if record.answer_ms.is_none() {
            bail!("not answered: {} ({})", record.end_reason, record.code_returned);
        }
        Ok(())
    }
}

/// State already printed of a call in progress.
struct Told {
    begun: Instant,
    state: String,
    attempts: u16,
    quiet: bool,
}

impl Told {
    /// Prints a line whenever the call has progressed.
    fn tell(&mut self, out: &mut impl Write, call: &CallLine) -> Result<()> {
        let same = (&self.state, self.attempts) == (&call.state, call.attempts);
        if self.quiet || same || call.state == "deciding" {
            return Ok(());
        }
        self.state.clone_from(&call.state);
        self.attempts = call.attempts;
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = format!("{:>7} s  {}, attempt {}", seconds(ms), call.state, call.attempts);
        writeln!(out, "{}", plain_lines(&line))?;
        out.flush()?;
        Ok(())
    }
}

/// The record of an ended call.
fn record_of(client: &Client, id: &str) -> Result<RecordView> {
    let until = Instant::now() + RECORD_WAIT;
    loop {
        let record = client.record_if_there(id)?.filter(|record| record.end_ms.is_some());
        if let Some(record) = record {
            return Ok(record);
        }
        if Instant::now() >= until {
            bail!(
                "the call is over, but its record still waits: `strowger cdr {id}` shows it later"
            );
        }
        thread::sleep(LOOK);
    }
}

/// Handles Ctrl-C from now on: the first one is noted, the second one ends the command.
fn heed_interrupts() -> Result<Arc<AtomicBool>> {
    const NOT_HEARD: &str = "Ctrl-C cannot be taken";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(NOT_HEARD)?;
    let mut interrupts = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt()).context(NOT_HEARD)?
    };
    let noted = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&noted);
    thread::spawn(move || {
        runtime.block_on(async {
            interrupts.recv().await;
            note.store(true, Ordering::Relaxed);
            interrupts.recv().await;
            std::process::exit(INTERRUPTED);
        });
    });
    Ok(noted)
}

/// The result of a test call.
fn summary(record: &RecordView) -> String {
    let mut out = String::new();
    for attempt in &record.attempts {
        let _ = writeln!(
            out,
            "attempt {:<6}{} at {}: {}",
            attempt.number,
            attempt.vendor,
            attempt.target,
            result(attempt)
        );
    }
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<14}{value}");
    };
    let none = || "none".to_owned();
    let ms = |ms: Option<u64>| ms.map_or_else(none, |ms| format!("after {} s", seconds(ms)));
    let since = |at: Option<u64>, sent: u64| ms(at.map(|at| at.saturating_sub(sent)));
    if let Some(attempt) = record.attempts.last().filter(|attempt| !attempt.skipped) {
        line("1st response", ms(attempt.first_response_ms.map(u64::from)));
        line("ringing", since(attempt.ringing_ms, attempt.sent_ms));
        line("PDD", ms(attempt.pdd_ms.map(u64::from)));
        line("answer", since(attempt.answer_ms, attempt.sent_ms));
        line("duration", format!("{} s", seconds(attempt.duration_ms)));
        let media = &attempt.media;
        let codec = if media.codec.is_empty() { "none".into() } else { media.codec.clone() };
        line("codec", codec.to_string());
        let counted = format!("{} packets sent, {} received", media.rtp_out, media.rtp_in);
        line("audio", counted);
        line("cost", record.cost.clone());
    }
    line("end", format!("{}, code {}", record.end_reason, record.code_returned));
    line("record", format!("strowger cdr {}", record.id));
    out
}

/// The status code of an attempt, or why it has none.
fn result(attempt: &AttemptView) -> String {
    match attempt.code {
        0 if attempt.skipped => format!("not made, {}", attempt.end_reason),
        0 => attempt.end_reason.clone(),
        code => format!("{code} {}", attempt.end_reason),
    }
}

/// Milliseconds as seconds with three decimals.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
