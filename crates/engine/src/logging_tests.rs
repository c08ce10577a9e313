use super::*;
use crate::events::StateMachineHost;
use crate::limits::LINES_WAITING_MAX;

struct NoHost;

impl StateMachineHost for NoHost {
    fn wake(&self) {}
}

fn queue() -> Arc<EventQueue> {
    Arc::new(EventQueue::new(Arc::new(NoHost), 1 << 20))
}

/// The levels and texts of what waits.
fn lines(queue: &EventQueue) -> Vec<(u32, String)> {
    let mut bytes = Vec::new();
    while queue.drain(&mut bytes, usize::MAX) {}
    let mut lines = Vec::new();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut at = 0;
    while at < bytes.len() {
        assert_eq!(word(at + 4), 10);
        let text = &bytes[at + 20..at + 20 + word(at + 16) as usize];
        lines.push((word(at + 12), String::from_utf8(text.to_vec()).unwrap()));
        at += word(at) as usize;
    }
    lines
}

fn said(level: LogLevel, say: impl FnOnce()) -> Vec<(u32, String)> {
    let queue = queue();
    let log = dispatch(Some(level), &queue);
    tracing::dispatcher::with_default(&log, say);
    lines(&queue)
}

#[test]
fn a_line_is_json_with_its_fields() {
    let of = |text: &str| format!(r#"{{"target":"{}",{text}}}"#, module_path!());
    let text = "a \"quoted\" \\ \n end\u{e9}";
    let found = said(LogLevel::Info, || {
        tracing::warn!(
            group = 7,
            node = 1_u64 << 51,
            yes = true,
            part = 0.5,
            "first"
        );
        tracing::info!(text, debug = ?["x"], nothing = f64::NAN, "second");
    });
    let second = r#""message":"second","text":"a \"quoted\" \\ \u000a endé","debug":"[\"x\"]""#;
    let expected = [
        (
            2,
            of(r#""message":"first","group":7,"node":2251799813685248,"yes":true,"part":0.5"#),
        ),
        (3, of(second)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_long_value_is_cut() {
    let found = said(LogLevel::Info, || {
        tracing::info!(long = "é".repeat(LINE_VALUE_BYTES_MAX), "said");
    });
    let (_, line) = &found[0];
    assert_eq!(line.matches('é').count(), LINE_VALUE_BYTES_MAX / 2);
    assert!(line.ends_with("é\"}"));
}

#[test]
fn only_severe_lines_are_given_out_and_openraft_only_where_everything_is() {
    let say = || {
        tracing::error!("e");
        tracing::warn!("w");
        tracing::info!("i");
        tracing::debug!("d");
        tracing::trace!("t");
        tracing::error!(target: "openraft::core", "raft");
        tracing::info!(target: "openraft::core", "chatter");
        tracing::error!(target: "h2", "foreign");
        let _span = tracing::error_span!("span").entered();
    };
    let levels = |level| -> Vec<u32> { said(level, say).iter().map(|line| line.0).collect() };
    assert_eq!(levels(LogLevel::Error), [1]);
    assert_eq!(levels(LogLevel::Warn), [1, 2]);
    assert_eq!(levels(LogLevel::Info), [1, 2, 3]);
    assert_eq!(levels(LogLevel::Debug), [1, 2, 3, 4, 4]);
    assert!("loud".parse::<LogLevel>().is_err());
}

#[tokio::test]
async fn what_a_nodes_tasks_start_says_its_lines_to_that_node() {
    let (first, second) = (queue(), queue());
    let task = |number: u32| async move {
        crate::world::spawn(async move {
            tokio::task::yield_now().await;
            tracing::info!(number, "in a task of a task");
        })
        .await
        .unwrap();
    };
    let on = |queue| dispatch(Some(LogLevel::Info), queue);
    use tracing::instrument::WithSubscriber;
    futures::future::join(
        task(1).with_subscriber(on(&first)),
        task(2).with_subscriber(on(&second)),
    )
    .await;
    for (queue, number) in [(first, 1), (second, 2)] {
        let found = lines(&queue);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains(&format!("\"number\":{number}}}")));
    }
}

#[test]
fn a_flood_is_cut_by_kind() {
    let found = said(LogLevel::Info, || {
        for number in 0..1000 {
            tracing::info!(number, "flood");
        }
        tracing::info!("of another kind");
    });
    assert_eq!(found.len() as u32, LINES_OF_A_KIND_MAX + 1);
    let last = &found[LINES_OF_A_KIND_MAX as usize - 1].1;
    let further = r#""further":"left out for up to 10 s"}"#;
    assert!(last.ends_with(further), "{last}");
}

#[test]
fn what_was_left_out_is_counted_and_told_later() {
    let since = Instant::now();
    let (lines, left_out) = (0, 0);
    let mut kind = Kind {
        since,
        lines,
        left_out,
    };
    for number in 1..=LINES_OF_A_KIND_MAX {
        assert_eq!(kind.count(since), Some((number, 0)));
    }
    let before = since + LINES_SPAN - Duration::from_millis(1);
    assert_eq!(kind.count(since), None);
    assert_eq!(kind.count(before), None);
    assert_eq!(kind.count(since + LINES_SPAN), Some((1, 2)));
    assert_eq!(kind.count(since + LINES_SPAN), Some((2, 0)));
}

#[test]
fn lines_that_nobody_takes_are_left_out() {
    let queue = queue();
    for _ in 0..2 * LINES_WAITING_MAX {
        let (level, text) = (LogLevel::Info, String::from("{}"));
        queue.push_line(Event::LogLine { level, text });
    }
    assert_eq!(lines(&queue).len(), LINES_WAITING_MAX);
    let (level, text) = (LogLevel::Info, String::from("{}"));
    queue.push_line(Event::LogLine { level, text });
    assert_eq!(lines(&queue).len(), 1);
}
