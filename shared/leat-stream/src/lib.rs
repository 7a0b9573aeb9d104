//! What a live pipeline keeps and where it writes: entity state with its outbox, the endpoint, sinks, what serves.
//!
//! Each boundary is a small trait with an adapter for AWS and twins in memory and files, chosen by URL. None of the
//! futures needs to be `Send`: a function works on one invocation, on one thread.
#![allow(async_fn_in_trait)]

pub mod endpoint;
pub mod serving;
pub mod shards;
pub mod sink;
pub mod store;
pub mod take_over;

pub use leat_aws::within;
