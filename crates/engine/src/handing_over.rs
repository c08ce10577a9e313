//! What a node that closes leads is handed to others first: they would wait for a lease, and then
//! for an election, before anybody leads it again.

use std::sync::Arc;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::Shared;
use crate::group::Group;
use crate::limits::{HAND_OVER_WAIT, HEIR_INTERVAL};
use crate::membership::{check_could_lead, voters_by_progress};
use crate::sleep::rouse;

/// Hands all groups that this node leads to a voter that answers, has the log and the code; side by
/// side, and only for so long. A group without such a voter stays as it is.
pub(crate) async fn hand_over(shared: &Shared, groups: &[Arc<Group>]) {
    if shared.failure().is_some() {
        return;
    }
    let led = groups.iter().filter(|group| group.beats());
    let handing = led.map(|group| hand_over_one(shared, group));
    // What is not done by then is elected as if this node had died.
    drop(timeout(HAND_OVER_WAIT, join_all(handing)).await);
}

async fn hand_over_one(shared: &Shared, group: &Arc<Group>) -> Option<()> {
    if !group.sleep.is_down() && !others_answer(shared, group) {
        return None;
    }
    let raft = group.raft()?.clone();
    rouse(group).await;
    let asked = Instant::now();
    raft.trigger().heartbeat().await.ok()?;
    let _changing = group.changing.lock().await;
    loop {
        group.lease.leading_term()?;
        let voters = voters_by_progress(group, &raft).await.ok()?;
        let heard = voters
            .into_iter()
            .filter(|voter| group.lease.heard_since(*voter, asked));
        for heir in heard {
            if check_could_lead(shared, group, heir).await.is_err() {
                continue;
            }
            tracing::info!(
                group = group.id,
                to = heir,
                "closes, and hands leadership over"
            );
            group.lease.withhold();
            raft.trigger().transfer_leader(heir).await.ok()?;
            group.wait_for_other_leader().await;
            return Some(());
        }
        sleep(HEIR_INTERVAL).await;
    }
}

/// Whether any other voter has answered lately. While a group sleeps nobody does.
fn others_answer(shared: &Shared, group: &Group) -> bool {
    let Some(lately) = Instant::now().checked_sub(shared.election_timeout()) else {
        return true;
    };
    let sets = group.members.lock().voter_sets();
    let mut voters = sets.iter().flatten();
    voters.any(|voter| group.lease.heard_since(*voter, lately))
}
