//! The library that the functions share.
//!
//! The domain, which knows nothing of AWS or HTTP:
//! - [`order`]: an order and its rules. Types that can't hold a bad value.
//! - [`caller`]: the caller of a request and their rights.
//! - [`page`]: pages of a list of orders.
//! - [`idempotency`]: operations that are carried out once, even if they are requested twice.
//! - [`money`]: amounts and prices.
//!
//! The way of a submitted order:
//! - [`workflow`]: the message that takes it through the queue and the state machine.
//! - [`steps`]: its steps.
//! - [`recovery`]: its end, if its execution failed.
//!
//! The services around it:
//! - [`store`]: orders and idempotency records in DynamoDB.
//! - [`providers`]: the payment provider and the restaurant.
//! - [`aws`]: the SDK's configuration; the queue, the state machine, the topic and secrets.
//!
//! The entry points of a function:
//! - [`http`]: HTTP requests.
//! - [`lambda`]: tasks of the state machine and messages of a queue.
//! - [`environment`], [`telemetry`]: configuration and logs. [`calls`] counts calls for the logs.

use std::error::Error;

pub mod aws;
pub mod caller;
mod calls;
pub mod environment;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod http;
pub mod idempotency;
pub mod lambda;
pub mod money;
pub mod order;
pub mod page;
pub mod providers;
pub mod recovery;
pub mod steps;
pub mod store;
pub mod telemetry;
pub mod workflow;

/// Cause of a failure. It is logged, and never sent to a client.
pub type Cause = Box<dyn Error + Send + Sync>;
