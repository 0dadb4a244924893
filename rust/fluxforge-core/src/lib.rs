//! `FluxForge`'s hot path in pure Rust.
//!
//! Bytes become durable in [`append`], are closed by [`seal`], mended by [`recover`], and become
//! Arrow in [`parse`] and Parquet in [`part`]. [`segment`] is the specification of the format that
//! all of them share.
#![deny(unsafe_code)]
#![warn(missing_docs)]

// -- the segment: written, closed, mended ------------------------------------------------------
pub mod append;
pub mod clock;
pub mod recover;
pub mod seal;
pub mod segment;
pub mod vfs;

mod rules;
mod simd;

// -- a connection's frames, as they come -----------------------------------------------------------
pub mod intake;

// -- the segment: looked at ----------------------------------------------------------------------
pub mod inspect;

// -- the segment: read into Arrow --------------------------------------------------------------
pub mod parse;
pub mod part;
pub mod schema;

mod side_by_side;

// -- any bytes ---------------------------------------------------------------------------------
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
