//! What the functions share.
//!
//! - [`order`]: the domain. Types that can't hold a bad value, and the rules of what may become of an order.
//! - [`caller`]: who asks, and what they may do.
//! - [`page`]: how a list of orders is cut into pages.
//! - [`idempotency`]: how a creation that is asked for twice is done once.
//! - [`providers`]: those who take payments and deliver orders.
//! - [`store`]: the orders in DynamoDB.
//! - [`workflow`]: the way of a submitted order, through the queue and the state machine.
//! - [`http`]: the edge. Requests are parsed into the domain's types here, and answers and errors become responses.
//! - [`config`], [`aws`], [`telemetry`]: how a function starts.

pub mod aws;
pub mod caller;
pub mod config;
pub mod http;
pub mod idempotency;
pub mod order;
pub mod page;
pub mod providers;
pub mod store;
pub mod telemetry;
pub mod workflow;
