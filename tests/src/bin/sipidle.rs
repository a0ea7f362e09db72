//! Keeps its processor awake until its standard input is closed: runs on and on, and through the
//! kernel at short intervals, where interrupts are waiting. Started at the lowest priority it is
//! in nobody's way. It says `ready` first.
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
