//! One file per command.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod expiring;
pub(crate) mod explain;
pub(crate) mod guard;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod render;
pub(crate) mod retest;
pub(crate) mod schema;
