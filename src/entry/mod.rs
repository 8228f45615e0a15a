//! L4: the functions that C calls: each casts, guards, converts, and calls a
//! safe function below.

pub mod configuration;
pub mod connections;
pub mod directives;
pub mod optional;
pub mod running;
