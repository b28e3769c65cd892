//! The local stack: an emulated AWS (MiniStack) on this machine, to which the real `sam deploy` deploys the real template.
//! Also the outputs and the users of any deployed stack.
//!
//! `make dev`, `make status`, `make follow`, the end-to-end tests and `make verify` use this crate. The Makefile
//! provides the tools in `.tools/` and the functions' builds for this machine in `target/local/`.

mod alarms;
mod deploy;
mod emulator;
mod environment;
pub mod follow;
mod gate;
mod group;
pub mod invoke;
pub mod logs;
pub mod samples;
mod serve;
mod shown;
pub mod sign_in;
mod stack;
pub mod status;
pub mod variables;

pub use deploy::deploy;
pub use emulator::{Emulator, Reach, Settings, free_port};
pub use environment::{command_for, http, region, sample_event, staging, without_proxy};
pub use serve::Server;
pub use stack::{Stack, StackFile, sdk_config};

/// AWS region of the emulator, as `samconfig.toml` has it for `local`.
pub const REGION: &str = "eu-west-1";

/// Name of the local stack, as `samconfig.toml` has it.
pub const STACK: &str = "order-api-local";

/// Web origin of the local stack, as `samconfig.toml` has it for `local`.
pub const WEB_ORIGIN: &str = "http://localhost:5173";
