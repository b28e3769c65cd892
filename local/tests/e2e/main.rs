//! End-to-end tests: the system through its public API, on the local stack that `make e2e` starts.
//!
//! `make verify` runs the suites `api`, `auth`, `idempotency` and `simulated` on any deployed stack. So they break
//! nothing, deploy nothing, and note what they make.
//!
//! Tests run in parallel, so each one has its own users, and one that breaks something has its own stack.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't continue has failed")]

mod alarms;
mod api;
mod auth;
mod dev;
mod environment;
mod events;
mod faults;
mod idempotency;
mod logs;
mod providers;
mod sign_in;
mod simulated;
mod smoke;
mod support;
mod verify;
mod watch;
mod workflow;
