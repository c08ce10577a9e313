//! Measures requests per second over loopback: `cargo test -p raft-kv-transport --release --test
//! throughput -- --ignored --nocapture`. Asserts nothing but that every answer is right.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement"
)]

mod support;

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use support::{echoed, numbered, soon, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn requests_per_second() {
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    for bytes in [100, 20 * 1024] {
        for outstanding in [1, 64, 512] {
            let before = peer.statistics();
            let from = Instant::now();
            let until = from + Duration::from_secs(2);
            let numbers = stream::iter(0..).take_while(|_| async { Instant::now() < until });
            let answered = numbers
                .map(|number| {
                    let answer = peer.request(1, numbered(number, bytes), soon());
                    async move { assert_eq!(answer.await, Ok(echoed(number, bytes))) }
                })
                .buffer_unordered(outstanding)
                .count()
                .await;
            let seconds = from.elapsed().as_secs_f64();
            let after = peer.statistics();
            let frames = after.sent_frames - before.sent_frames;
            println!(
                "{bytes} B, {outstanding} outstanding: {:.0}/s, {:.0} us each, {frames} frames",
                answered as f64 / seconds,
                seconds * 1e6 * outstanding as f64 / answered as f64,
            );
        }
    }
}
