//! Runs seeds: `raft-kv-simulation --seeds 1000 [--first N] [--nodes 3..5] [--steps N] [--trap NAME]
//! [--threads N] [--trace]`. Ends with 1 if something did not hold, and says how to see it again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raft_kv_simulation::{Outcome, Plan, Report, Trap, simulate};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

struct Arguments {
    plan: Plan,
    seeds: u64,
    threads: u64,
    trap: Option<&'static str>,
}

fn parse() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        plan: Plan::new(1),
        seeds: 1,
        threads: 2,
        trap: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        if option == "--trace" {
            arguments.plan.printed = true;
            continue;
        }
        let value = words.next().ok_or(format!("{option} needs a value"))?;
        let number = value.parse::<u64>();
        let number = number.map_err(|_| format!("{option} {value}: that is no number"));
        match option.as_str() {
            "--seeds" => arguments.seeds = number?,
            "--first" | "--seed" => arguments.plan.seed = number?,
            "--nodes" => arguments.plan.nodes = Some(number? as usize),
            "--steps" => arguments.plan.steps = number? as u32,
            "--threads" => arguments.threads = number?.max(1),
            "--trap" => {
                let known = Trap::ALL.iter().find(|(name, _)| *name == value);
                let names = Trap::ALL.map(|(name, _)| name).join(", ");
                let (name, trap) = known.ok_or(format!("traps are {names}"))?;
                arguments.plan.traps = trap.traps();
                arguments.trap = Some(name);
            }
            _ => return Err(format!("there is no option {option}")),
        }
    }
    Ok(arguments)
}

/// The command that shows a run again.
fn again(arguments: &Arguments, plan: Plan) -> String {
    let mut command = format!(
        "cargo run -p raft-kv-simulation --release -- --seed {} --steps {} --trace",
        plan.seed, plan.steps
    );
    if let Some(nodes) = plan.nodes {
        command += &format!(" --nodes {nodes}");
    }
    if let Some(trap) = arguments.trap {
        command += &format!(" --trap {trap}");
    }
    command
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let broken = AtomicBool::new(false);
    let told = Mutex::new((Instant::now(), [0_u64; 5]));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.min(arguments.seeds) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    if place >= arguments.seeds || broken.load(Ordering::SeqCst) {
                        return;
                    }
                    let seed = arguments.plan.seed + place;
                    let plan = Plan {
                        seed,
                        ..arguments.plan
                    };
                    let report = simulate(plan);
                    let done = done.fetch_add(1, Ordering::SeqCst) + 1;
                    if let Outcome::Broken(what) = &report.outcome {
                        broken.store(true, Ordering::SeqCst);
                        report.lines.iter().for_each(|line| eprintln!("{line}"));
                        eprintln!("seed {seed}, the {done}th: {what}");
                        eprintln!("again: {}", again(&arguments, plan));
                    }
                    tell(&mut told.lock(), &report, done, arguments.seeds);
                }
            });
        }
    });
    let (_, counts) = *told.lock();
    let [commands, leased, confirmed, starts, milliseconds] = counts;
    eprintln!(
        "{} seeds in {:.1} s: {commands} commands, {leased} leased and {confirmed} confirmed reads, \
         {starts} process starts in {:.1} virtual hours",
        done.load(Ordering::SeqCst),
        begun.elapsed().as_secs_f64(),
        milliseconds as f64 / 3_600_000.0
    );
    ExitCode::from(u8::from(broken.load(Ordering::SeqCst)))
}

fn tell((last, counts): &mut (Instant, [u64; 5]), report: &Report, done: u64, seeds: u64) {
    let [commands, leased, confirmed, starts] = report.counts;
    let all = [commands, leased, confirmed, starts, report.milliseconds];
    for (count, more) in counts.iter_mut().zip(all) {
        *count += more;
    }
    if last.elapsed() > PROGRESS_INTERVAL {
        *last = Instant::now();
        eprintln!("{done} of {seeds} seeds");
    }
}
