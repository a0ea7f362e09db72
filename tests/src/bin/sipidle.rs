//! Keeps its CPU awake until standard input is closed: a busy loop that enters the kernel at short
//! intervals, so that pending interrupts are handled. At the lowest priority it delays nothing. It
//! prints `ready` first.
#![forbid(unsafe_code)]

use std::io::Read;

fn main() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    println!("ready");
    loop {
        for _ in 0..20 {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }
}
