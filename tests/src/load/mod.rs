//! A load generator: caller and vendor in one thread, several thousand calls per second on one
//! core. It never retransmits, so that each retransmission counted is the switch's, and anything
//! the switch loses is a failed call.

mod caller;
mod pipe;
mod vendor;
mod wire;

pub use pipe::Transport;

use caller::Caller;
use pipe::Pipe;
use serde_json::json;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vendor::Vendor;

/// The load to generate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Address of the switch.
    pub target: SocketAddr,
    /// Address of the caller.
    pub caller: SocketAddr,
    /// Address of the vendor.
    pub vendor: SocketAddr,
    /// Transport on both sides.
    pub transport: Transport,
    /// Calls started per second.
    pub rate: f64,
    /// Number of calls.
    pub calls: usize,
    /// Time from answer to BYE.
    pub hold: Duration,
    /// How long to wait for open calls after the last one was started and held.
    pub drain: Duration,
    /// Distinguishes the Call-IDs of successive runs.
    pub run: u64,
    /// Hang up only after a line on standard input.
    pub hold_until_told: bool,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Calls started.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls that ended with their BYE answered.
    pub completed: u64,
    /// Calls refused.
    pub refused: u64,
    /// Code of the last refusal; 0 if none.
    pub last_refusal: u16,
    /// Calls without an end.
    pub lost: u64,
    /// Retransmissions received, both sides.
    pub retransmissions: u64,
    /// Seconds from the first INVITE to the last.
    pub sending_s: f64,
    /// INVITE delay added by the switch, microseconds: median.
    pub added_p50_us: u32,
    /// INVITE delay added by the switch, microseconds: 99th percentile.
    pub added_p99_us: u32,
    /// INVITE delay added by the switch, microseconds: maximum.
    pub added_max_us: u32,
    /// Time from INVITE to 200 at the caller, microseconds: 99th percentile.
    pub answer_p99_us: u32,
}

impl Report {
    /// One JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "calls": self.calls, "answered": self.answered, "completed": self.completed,
            "refused": self.refused, "last_refusal": self.last_refusal, "lost": self.lost,
            "retransmissions": self.retransmissions, "sending_s": self.sending_s,
            "added_p50_us": self.added_p50_us, "added_p99_us": self.added_p99_us,
            "added_max_us": self.added_max_us,
            "answer_p99_us": self.answer_p99_us,
        })
    }
}

/// Messages taken from one socket before the other gets its turn.
const BATCH: usize = 64;

/// Runs the plan.
///
/// # Errors
/// When a socket cannot be bound or used.
pub fn run(plan: &Plan) -> std::io::Result<Report> {
    let transport = plan.transport;
    let mut vendor_pipe = Pipe::of_vendor(transport, plan.vendor)?;
    let mut caller_pipe = Pipe::of_caller(transport, plan.caller, plan.target)?;
    let told = plan.hold_until_told.then(wait_for_line);

    let mut caller = Caller::new(plan, transport);
    let mut vendor = Vendor::new(plan.vendor, transport, plan.calls);
    let mut up: VecDeque<(Instant, usize)> = VecDeque::new();
    let mut begun = 0usize;
    let mut out = String::with_capacity(2048);
    let mut answers = Vec::with_capacity(2);
    let mut buffer = vec![0u8; 65_536];
    let start = Instant::now();
    let mut last_invite = start;
    let mut quiet_since = start;
    let mut announced = false;
    // Calls released together end at the rate at which they started.
    let mut released_at = None;
    let mut ended = 0usize;

    loop {
        let now = Instant::now();
        let mut idle = true;

        let due = ((now - start).as_secs_f64() * plan.rate) as usize + 1;
        while begun < plan.calls.min(due) {
            out.clear();
            last_invite = Instant::now();
            caller.invite(last_invite, begun, &mut out);
            caller_pipe.send(out.as_bytes(), plan.target)?;
            begun += 1;
            idle = false;
        }

        for _ in 0..BATCH {
            let Some((length, source)) = vendor_pipe.receive(&mut buffer)? else { break };
            idle = false;
            let Ok(message) = std::str::from_utf8(&buffer[..length]) else { continue };
            vendor.receive(Instant::now(), message, |call| caller.invited(call), &mut answers);
            for answer in answers.drain(..) {
                vendor_pipe.send(answer.as_bytes(), source)?;
            }
        }

        for _ in 0..BATCH {
            let Some((length, _)) = caller_pipe.receive(&mut buffer)? else { break };
            idle = false;
            let Ok(message) = std::str::from_utf8(&buffer[..length]) else { continue };
            out.clear();
            let now = Instant::now();
            if let Some(call) = caller.receive(now, message, &mut out) {
                up.push_back((now + plan.hold, call));
            }
            if !out.is_empty() {
                caller_pipe.send(out.as_bytes(), plan.target)?;
            }
        }

        if told.as_ref().is_none_or(|told| told.load(Ordering::Relaxed)) {
            released_at.get_or_insert(now);
        }
        let may_end = released_at.map_or(0, |at| match &told {
            Some(_) => ((now - at).as_secs_f64() * plan.rate) as usize + 1,
            None => usize::MAX,
        });
        while ended < may_end {
            match up.front() {
                Some((at, call)) if *at <= now => {
                    out.clear();
                    caller.hang_up(*call, &mut out);
                    caller_pipe.send(out.as_bytes(), plan.target)?;
                    up.pop_front();
                    ended += 1;
                    idle = false;
                }
                _ => break,
            }
        }

        if !announced && caller.answered + caller.failed == plan.calls as u64 && told.is_some() {
            announced = true;
            println!("up {}", caller.answered);
            std::io::stdout().flush()?;
        }
        if begun == plan.calls && caller.done + caller.failed == plan.calls as u64 {
            // Wait once more for retransmissions after the end.
            if idle && now - quiet_since > Duration::from_millis(600) {
                break;
            }
        } else if begun == plan.calls
            && up.is_empty()
            && now - last_invite > plan.hold + plan.drain
            && now - quiet_since > plan.drain
        {
            break;
        }
        if idle {
            std::thread::yield_now();
        } else {
            quiet_since = now;
        }
    }

    let mut answer_us: Vec<u32> =
        caller.set_up.iter().map(|t| u32::try_from(t.as_micros()).unwrap_or(u32::MAX)).collect();
    Ok(Report {
        calls: begun as u64,
        answered: caller.answered,
        completed: caller.done,
        refused: caller.failed,
        last_refusal: caller.last_failure,
        lost: caller.give_up(),
        retransmissions: caller.repeats + vendor.repeats,
        sending_s: (last_invite - start).as_secs_f64(),
        added_p50_us: percentile(&mut vendor.added_us, 50),
        added_p99_us: percentile(&mut vendor.added_us, 99),
        added_max_us: vendor.added_us.iter().copied().max().unwrap_or(0),
        answer_p99_us: percentile(&mut answer_us, 99),
    })
}

/// A flag set by a thread after one line (or the end) of standard input.
fn wait_for_line() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let setter = told.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        setter.store(true, Ordering::Relaxed);
    });
    told
}

fn percentile(values: &mut [u32], percent: usize) -> u32 {
    if values.is_empty() {
        return 0;
    }
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_and_vendor_understand_each_other_without_a_switch_between() {
        for (transport, last) in [(Transport::Udp, 2), (Transport::Tcp, 3)] {
            let vendor = SocketAddr::from(([127, 7, 0, last], 5060));
            let report = run(&Plan {
                target: vendor,
                caller: "127.7.0.1:5060".parse().unwrap(),
                vendor,
                transport,
                rate: 2000.0,
                calls: 500,
                hold: Duration::from_millis(20),
                drain: Duration::from_secs(2),
                run: 1,
                hold_until_told: false,
            })
            .unwrap();
            assert_eq!((report.answered, report.completed, report.lost), (500, 500, 0));
            assert_eq!(report.retransmissions, 0);
        }
    }
}
