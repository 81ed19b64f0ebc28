//! Creel's operator configuration: strict JSON5 and TOML with line and column, and the unit plan derived from it.
//!
//! [`Loader`] reads a file into a [`Config`] or says everything that is wrong with it. [`Config::plan`] derives
//! the units without their secrets, and [`Plan::diff`] says what a change of the file does to them. Only
//! [`disk`] touches the file system.

pub mod agents;
pub mod bindings;
pub mod channels;
mod check;
pub mod config;
pub mod disk;
pub mod edit;
pub mod elevated;
pub mod endpoint;
pub mod fault;
pub mod files;
pub mod found;
pub mod gateway;
mod include;
mod json5;
pub mod load;
pub mod messages;
pub mod models;
pub mod node;
mod noun;
pub mod operation;
pub mod overrides;
pub mod paths;
pub mod plan;
pub mod sandbox;
pub mod scalar;
pub mod schema;
pub mod session;
pub mod shape;
pub mod sources;
pub mod store;
mod substitute;
mod toml_text;
pub mod unbuilt;
pub mod welcome;

/// The environment, read once by whoever has one.
pub type Env = std::collections::BTreeMap<String, String>;

pub use config::{Config, ResolvedAgent};
pub use fault::{Complaint, Complaints};
pub use found::{Found, discovered_providers};
pub use load::{LoadError, Loaded, Loader};
pub use overrides::Overrides;
pub use paths::Paths;
pub use plan::{Plan, UnitChange, UnitName};
pub use schema::schema;
pub use shape::Show;
