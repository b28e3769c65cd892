//! The system through its public API, on the local stack that `make e2e` starts.
//!
//! Each test works with users of its own, or breaks a stack of its own, so they run side by side.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod api;
mod auth;
mod dev;
mod events;
mod faults;
mod idempotency;
mod logs;
mod providers;
mod sign_in;
mod support;
mod watch;
mod workflow;
