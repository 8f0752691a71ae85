//! What a flood of wrong passwords costs in memory. Alone in its process, because the process' memory is what is read.
#![cfg(all(feature = "argon2", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "what a test stands on")]

use std::thread;

use auth_tower::{Password, Passwords};

/// The most memory that the process ever held, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

/// One thread with a runtime, and so with blocking threads, of its own, as actix has one per worker; and each makes its
/// `Passwords` itself, as a factory that runs once per worker does.
fn worker() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let passwords = Passwords::new();
        let clients = (0..25).map(|nth| {
            let passwords = passwords.clone();
            tokio::spawn(async move {
                let guess = Password::from(format!("guess {nth}"));
                // The line may be full; such a client costs no memory at all.
                let _ = passwords.verify(&guess, None).await;
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    });
}

#[test]
fn s4_memory_by_wrong_passwords_is_bounded_by_permits() {
    let cores = thread::available_parallelism().unwrap().get();
    let before = peak();
    for _ in 0..3 {
        thread::scope(|scope| {
            for _ in 0..(4 * cores) {
                scope.spawn(worker);
            }
        });
    }
    let grown = peak() - before;
    // 19 MiB for each check that may run at once, and some for threads and their stacks.
    let bound = cores * 19 + 24;
    assert!(grown <= bound, "grown by {grown} MiB, of {bound}");
}
