//! `sipload --target A --caller A --vendor A [--transport udp|tcp] [--rate N] [--calls N] [--hold-ms N] [--run N] [--until-told]`:
//! places calls through a switch and prints one JSON line.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use std::time::Duration;
use strowger_tests::load::{Plan, Transport, run};

fn main() -> anyhow::Result<()> {
    let mut plan = Plan {
        target: "127.0.0.1:5060".parse()?,
        caller: "127.0.0.1:5080".parse()?,
        vendor: "127.0.0.1:5090".parse()?,
        transport: Transport::Udp,
        rate: 300.0,
        calls: 3000,
        hold: Duration::ZERO,
        drain: Duration::from_secs(5),
        run: u64::from(std::process::id()),
        hold_until_told: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--until-told" {
            plan.hold_until_told = true;
            continue;
        }
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--target" => plan.target = value.parse()?,
            "--caller" => plan.caller = value.parse()?,
            "--vendor" => plan.vendor = value.parse()?,
            "--transport" => {
                plan.transport = match value.as_str() {
                    "udp" => Transport::Udp,
                    "tcp" => Transport::Tcp,
                    _ => bail!("--transport is udp or tcp"),
                }
            }
            "--rate" => plan.rate = value.parse()?,
            "--calls" => plan.calls = value.parse()?,
            "--hold-ms" => plan.hold = Duration::from_millis(value.parse()?),
            "--run" => plan.run = value.parse()?,
            _ => bail!("unknown option {word}"),
        }
    }
    println!("{}", run(&plan)?.to_json());
    Ok(())
}
