//! `NativeEngine`: groups and their members.

use std::collections::BTreeSet;

use bytes::Bytes;
use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use crate::{
    arguments::{id, integer_between, node, nodes, number},
    engine::NativeEngine,
    errors::Result,
    members::{NativeGroupStatus, NativeMember, members},
    options::NativeStoredGroup,
    promise::promise,
};

#[napi]
impl NativeEngine {
    /// The groups that the journal holds.
    #[napi(catch_unwind)]
    pub fn stored_groups(&self) -> Result<Vec<NativeStoredGroup>> {
        self.delivery.with_engine(|engine| {
            let stored = engine.stored_groups().into_iter();
            let converted = stored.map(|stored| NativeStoredGroup {
                group: stored.group,
                descriptor: stored.descriptor.to_vec().into(),
            });
            Ok(converted.collect())
        })
    }

    /// Creates a group of which this node is the only member, and resolves to its lease slot.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn create_group<'env>(
        &self,
        env: &'env Env,
        group: f64,
        descriptor: &[u8],
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let descriptor = Bytes::copy_from_slice(descriptor);
        let creating = engine.clone();
        promise(env, &engine, async move {
            creating.create_group(group, descriptor).await
        })
    }

    /// Creates a group with these members, of which this node is one, or opens the one that is
    /// stored; resolves to its lease slot.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn create_group_with<'env>(
        &self,
        env: &'env Env,
        group: f64,
        descriptor: &[u8],
        members: Vec<NativeMember>,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let descriptor = Bytes::copy_from_slice(descriptor);
        let members = self::members(members)?;
        let creating = engine.clone();
        promise(env, &engine, async move {
            creating.create_group_with(group, descriptor, members).await
        })
    }

    /// Opens a stored group, whose log is then replayed, and resolves to its lease slot.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn open_group<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let opening = engine.clone();
        promise(env, &engine, async move { opening.open_group(group).await })
    }

    /// Opens a stored group whose code is not there: it follows and stores, and does not apply.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn open_unbound<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let opening = engine.clone();
        promise(
            env,
            &engine,
            async move { opening.open_unbound(group).await },
        )
    }

    /// The group's code is there: opens the group, anew if it is open without it.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn bind_group<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let binding = engine.clone();
        promise(env, &engine, async move { binding.bind_group(group).await })
    }

    /// Stops a group and keeps what it stored.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close_group<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let closing = engine.clone();
        promise(
            env,
            &engine,
            async move { closing.close_group(group).await },
        )
    }

    /// Stops a group and deletes what it stored.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn remove_group<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let removing = engine.clone();
        promise(
            env,
            &engine,
            async move { removing.remove_group(group).await },
        )
    }

    /// Of the groups below a number only these exist: what others left here is forgotten.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn forget_removed<'env>(
        &self,
        env: &'env Env,
        below: f64,
        existing: Vec<f64>,
    ) -> Result<Object<'env>> {
        let (engine, below) = (self.delivery.engine()?, id("below", below)?);
        let existing = existing.into_iter().map(|group| id("existing", group));
        let existing = existing.collect::<Result<Vec<u32>>>()?;
        let forgetting = engine.clone();
        promise(env, &engine, async move {
            forgetting.forget_removed(below, existing).await
        })
    }

    /// How a group stands, as far as this node knows.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeGroupStatus>")]
    pub fn group_status<'env>(&self, env: &'env Env, group: f64) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let asking = engine.clone();
        promise(env, &engine, async move {
            let status = asking.group_status(group).await;
            status.map(NativeGroupStatus::from)
        })
    }

    /// Adds a member that gets the log and does not vote.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn add_learner<'env>(
        &self,
        env: &'env Env,
        group: f64,
        member: NativeMember,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let member = member.checked()?;
        let adding = engine.clone();
        promise(env, &engine, async move {
            adding.add_learner(group, member).await
        })
    }

    /// Waits until a member has caught up.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn wait_for_member<'env>(
        &self,
        env: &'env Env,
        group: f64,
        node: f64,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let node = self::node("node", node)?;
        let waiting = engine.clone();
        promise(env, &engine, async move {
            waiting.wait_for_member(group, node).await
        })
    }

    /// Makes these members the voters and those the learners; all others leave.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn change_members<'env>(
        &self,
        env: &'env Env,
        group: f64,
        voters: Vec<f64>,
        learners: Vec<f64>,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let voters: BTreeSet<u64> = nodes("voters", &voters)?;
        let learners = nodes("learners", &learners)?;
        let changing = engine.clone();
        promise(env, &engine, async move {
            changing.change_members(group, voters, learners).await
        })
    }

    /// Makes this node's member the only voter, and the others learners: a majority is lost.
    /// Resolves to the index of that membership; the group is closed then.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn recover_group<'env>(
        &self,
        env: &'env Env,
        group: f64,
        known_term: f64,
        members: Vec<NativeMember>,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let known_term = self::number("knownTerm", known_term)?;
        let members = self::members(members)?;
        let recovering = engine.clone();
        promise(env, &engine, async move {
            let index = recovering.recover_group(group, known_term, members).await;
            index.map(|index| index as f64)
        })
    }

    /// Hands leadership to another voter.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn transfer_leader<'env>(
        &self,
        env: &'env Env,
        group: f64,
        to: f64,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let to = node("to", to)?;
        let moving = engine.clone();
        promise(env, &engine, async move {
            moving.transfer_leader(group, to).await
        })
    }

    /// Confirms that this node leads; the event "read ready" follows.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn read_index<'env>(
        &self,
        env: &'env Env,
        group: f64,
        number: f64,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let number = self::number("number", number)?;
        let reading = engine.clone();
        promise(env, &engine, async move {
            reading.read_index(group, number).await
        })
    }

    /// Tells where a group lives that has no member here; no members: nowhere.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn set_members_elsewhere<'env>(
        &self,
        env: &'env Env,
        group: f64,
        members: Vec<NativeMember>,
    ) -> Result<Object<'env>> {
        let (engine, group) = (self.delivery.engine()?, id("group", group)?);
        let members = self::members(members)?;
        let telling = engine.clone();
        promise(env, &engine, async move {
            telling.set_members_elsewhere(group, members).await
        })
    }

    /// Answers the event "results wanted"; whether somebody still waits.
    #[napi(catch_unwind)]
    pub fn give_results(&self, ticket: f64, results: &[u8]) -> Result<bool> {
        let ticket = integer_between("ticket", ticket, 1, crate::limits::INTEGER_MAX)?;
        let results = Bytes::copy_from_slice(results);
        self.delivery
            .with_engine(|engine| Ok(engine.give_results(ticket, results)))
    }
}
