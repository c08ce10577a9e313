use std::sync::atomic::AtomicUsize;

use futures::FutureExt;

use super::*;

#[derive(Default)]
struct CountedHost(AtomicUsize);

impl StateMachineHost for CountedHost {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn queue(bytes_max: usize) -> (Arc<CountedHost>, EventQueue) {
    let host = Arc::new(CountedHost::default());
    (host.clone(), EventQueue::new(host, bytes_max))
}

fn entry(group: u32, index: u64) -> Event {
    Event::Entry {
        group,
        index,
        term: 2,
        entry: Bytes::from_static(b"12345678"),
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
        .collect()
}

#[test]
fn events_have_these_words() {
    let (_, queue) = queue(1000);
    let five = u32::from_le_bytes(*b"1234");
    let six = u32::from_le_bytes(*b"5678");
    let cases = [
        (entry(7, 1 << 32), vec![36, 1, 7, 0, 1, 2, 0, five, six]),
        (
            Event::LeaderChanged {
                group: 7,
                leader: 1 << 40,
                term: 3,
            },
            vec![28, 2, 7, 0, 256, 3, 0],
        ),
        (
            Event::LeaderReady { group: 7, term: 3 },
            vec![20, 3, 7, 3, 0],
        ),
        (
            Event::BeginSnapshot {
                group: 7,
                number: 9,
            },
            vec![20, 4, 7, 9, 0],
        ),
        (Event::InstallSnapshot { group: 7 }, vec![12, 5, 7]),
        (
            Event::SnapshotChunk {
                group: 7,
                chunk: Bytes::from_static(&[1, 0, 0, 0, 2]),
            },
            vec![24, 6, 7, 5, 1, 2],
        ),
        (Event::SnapshotInstalled { group: 7 }, vec![12, 7, 7]),
        (
            Event::CommandsRefused {
                group: 7,
                reason: Reason::NotLeader,
                leader: 4,
                requests: vec![8, 9],
                unknown: true,
            },
            vec![52, 8, 7, 1, 2, 4, 0, 8, 0, 9, 0, 1, 1],
        ),
        (
            Event::StorageFailed {
                kind: FailureKind::Full,
                text: "abcd".into(),
            },
            vec![24, 9, 0, 1, 4, u32::from_le_bytes(*b"abcd")],
        ),
        (
            Event::SnapshotMayContinue {
                group: 7,
                number: 9,
            },
            vec![20, 11, 7, 9, 0],
        ),
    ];
    for (event, expected) in cases {
        let mut bytes = Vec::new();
        queue.push(event);
        assert!(!queue.drain(&mut bytes, 1));
        assert_eq!(words(&bytes), expected);
        assert_eq!(queue.bytes(), 0);
    }
}

#[test]
fn a_line_of_the_log_has_these_words() {
    let (_, queue) = queue(1000);
    let (level, text) = (LogLevel::Info, String::from("{}"));
    queue.push(Event::LogLine { level, text });
    let mut bytes = Vec::new();
    assert!(!queue.drain(&mut bytes, 1));
    assert_eq!(
        words(&bytes),
        [24, 10, 0, 3, 2, u32::from_le_bytes(*b"{}\0\0")]
    );
}

#[test]
fn wakes_once_for_each_filling() {
    let (host, queue) = queue(1000);
    let wakes = || host.0.load(Ordering::SeqCst);
    (0..3).for_each(|index| queue.push(entry(1, index)));
    assert_eq!(wakes(), 1);
    let mut bytes = Vec::new();
    assert!(queue.drain(&mut bytes, 72), "the third event waits");
    assert_eq!(bytes.len(), 72);
    queue.push(entry(1, 3));
    assert_eq!(wakes(), 1, "the queue was not empty");
    assert!(!queue.drain(&mut bytes, 1000));
    assert_eq!(bytes.len(), 4 * 36);
    queue.push(entry(1, 4));
    assert_eq!(wakes(), 2);
}

#[test]
fn a_full_queue_holds_back_until_it_is_drained_or_stopped() {
    let (_, queue) = queue(72);
    let stop = AtomicBool::new(false);
    for index in 0..2 {
        assert_eq!(
            queue.push_bounded(entry(1, index), &stop).now_or_never(),
            Some(Ok(()))
        );
    }
    let mut third = Box::pin(queue.push_bounded(entry(1, 2), &stop));
    assert_eq!(third.as_mut().now_or_never(), None);
    queue.push(Event::LeaderReady { group: 1, term: 1 });
    assert_eq!(third.as_mut().now_or_never(), None, "only entries wait");
    let mut bytes = Vec::new();
    assert!(queue.drain(&mut bytes, 1));
    assert_eq!(third.as_mut().now_or_never(), Some(Ok(())));
    drop(third);
    assert_eq!(queue.push_bounded(entry(1, 3), &stop).now_or_never(), None);
    let mut stopped = Box::pin(queue.push_bounded(entry(1, 3), &stop));
    assert_eq!(stopped.as_mut().now_or_never(), None);
    stop.store(true, Ordering::SeqCst);
    queue.nudge();
    assert_eq!(stopped.as_mut().now_or_never(), Some(Err(Stopped)));
}

#[test]
fn forgets_a_groups_state_but_not_its_refusals() {
    let (_, queue) = queue(1000);
    queue.push(entry(1, 0));
    queue.push(entry(2, 0));
    queue.push(Event::CommandsRefused {
        group: 1,
        reason: Reason::Closed,
        leader: 0,
        requests: vec![5],
        unknown: true,
    });
    queue.forget(1);
    let mut bytes = Vec::new();
    queue.drain(&mut bytes, 1000);
    let words = words(&bytes);
    assert_eq!((words[1], words[2]), (1, 2));
    assert_eq!((words[10], words[11]), (8, 1));
    assert_eq!(words.len(), 9 + 10);
}
