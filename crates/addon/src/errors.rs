//! Errors as they cross: a JavaScript `Error` whose `code` the TypeScript side turns into its typed
//! error. Nothing here ends the process.

use std::any::Any;

use napi::{Env, JsError, Status};
use raft_kv_engine::EngineError;

/// The value of an error's `code` property.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub &'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// An error with its code.
pub type Failure = napi::Error<Code>;

/// The result of a call from JavaScript.
pub type Result<T> = std::result::Result<T, Failure>;

/// An argument that the binding cannot take.
pub fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Code("INVALID_ARGUMENT"), message.into())
}

/// A call on an engine that was closed.
pub fn closed() -> Failure {
    Failure::new(Code("CLOSED"), "the engine is closed")
}

/// An error of the engine with its own code.
pub fn from_engine(error: &EngineError) -> Failure {
    Failure::new(Code(error.code()), error.to_string())
}

/// A panic that was caught: a defect of raft-kv, reported as such.
pub fn from_panic(payload: &(dyn Any + Send)) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Failure::new(
        Code("INTERNAL"),
        format!("the native engine panicked: {text}"),
    )
}

/// A failure of the N-API itself, which only a defect or the end of the process brings about.
pub fn from_napi(error: napi::Error) -> Failure {
    Failure::new(Code("INTERNAL"), error.reason.clone())
}

/// The same error in the form that a promise is rejected with.
pub fn rejection(env: Env, failure: Failure) -> napi::Error<Status> {
    napi::Error::from(JsError::from(failure).into_unknown(env))
}
