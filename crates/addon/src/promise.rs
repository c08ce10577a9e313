//! Promises that work on the engine's own runtime settles. N-API's runtime is not used: it would be
//! a second one, and is torn down without waiting for what it carries.

use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use napi::{
    Env, JsDeferred,
    bindgen_prelude::{Object, ToNapiValue},
};
use raft_kv_engine::{Engine, EngineError};

use crate::errors::{Result, closed, from_engine, from_napi, from_panic, rejection};

/// Runs on the JavaScript thread and makes the promise's value.
type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// A promise that is not settled yet. Dropping it rejects it, so that none stays pending when a
/// runtime stops with work in flight.
pub struct Pending<T: ToNapiValue + 'static>(Option<JsDeferred<T, Resolver<T>>>);

impl<T: ToNapiValue + Send + 'static> Pending<T> {
    /// Makes a promise and the means to settle it from any thread.
    pub fn new(env: &Env) -> Result<(Self, Object<'_>)> {
        let (deferred, promise) = env.create_deferred().map_err(from_napi)?;
        Ok((Self(Some(deferred)), promise))
    }

    /// Settles the promise; `arrive` turns the outcome into its value on the JavaScript thread.
    pub fn settle_with<V, A>(mut self, outcome: Result<V>, arrive: A)
    where
        V: Send + 'static,
        A: FnOnce(Env, V) -> Result<T> + Send + 'static,
    {
        if let Some(deferred) = self.0.take() {
            deferred.resolve(Box::new(move |env| {
                outcome
                    .and_then(|value| arrive(env, value))
                    .map_err(|error| rejection(env, error))
            }));
        }
    }

    /// Settles the promise with a value that crosses as it is.
    pub fn settle(self, outcome: Result<T>) {
        self.settle_with(outcome, |_, value| Ok(value));
    }
}

impl<T: ToNapiValue + 'static> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(deferred) = self.0.take() {
            deferred.resolve(Box::new(|env| Err(rejection(env, closed()))));
        }
    }
}

/// Runs `work` on the engine's runtime and returns the promise of its result.
pub fn promise<'env, T, F>(env: &'env Env, engine: &Engine, work: F) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, EngineError>> + Send + 'static,
{
    let (pending, promise) = Pending::new(env)?;
    engine.spawn(async move { pending.settle(caught(work).await) });
    Ok(promise)
}

/// Awaits `work`; a panic in it becomes an error.
pub async fn caught<T, F>(work: F) -> Result<T>
where
    F: Future<Output = std::result::Result<T, EngineError>>,
{
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome.map_err(|error| from_engine(&error)),
        Err(payload) => Err(from_panic(&*payload)),
    }
}
