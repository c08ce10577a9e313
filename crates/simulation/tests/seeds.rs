//! The part of the simulation that every change has to pass: few seeds, and the proof that they
//! would find something. `cargo run -p raft-kv-simulation --release -- --seeds 1000` runs more.

use std::sync::atomic::{AtomicU64, Ordering};

use raft_kv_simulation::{Outcome, Plan, simulate};

/// Seeds of the gate, and what befalls nodes in each of them.
const SEEDS: u64 = 6;
const STEPS: u32 = 12;

fn plan(seed: u64) -> Plan {
    Plan {
        steps: STEPS,
        ..Plan::new(seed)
    }
}

#[test]
fn what_must_hold_holds_for_some_seeds() {
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed > SEEDS {
                        return;
                    }
                    let report = simulate(plan(seed));
                    assert_eq!(
                        report.outcome,
                        Outcome::Held,
                        "again: cargo run -p raft-kv-simulation --release -- --seed {seed} \
                         --steps {STEPS} --trace"
                    );
                    assert!(
                        report.counts[0] > 0,
                        "seed {seed}: nothing was acknowledged"
                    );
                }
            });
        }
    });
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let runs = [simulate(plan(7)), simulate(plan(7))];
    assert_eq!(runs[0].trace_hash, runs[1].trace_hash);
    assert_eq!(runs[0].counts, runs[1].counts);
    let other = simulate(plan(8));
    assert_ne!(runs[0].trace_hash, other.trace_hash);
}
