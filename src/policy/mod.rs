//! Pure decisions of the MPM.
//!
//! Every rule that can be stated as "given these facts, do that" lives here: what the limits of the configuration become,
//! whether a child may accept another connection, where a connection goes next, when children are started or stopped, what a
//! dead child means, what `ap_mpm_query` answers. A function takes facts (and, where time matters, durations or a monotonic
//! time in milliseconds), and returns a value; the caller logs, forks, closes and polls. That keeps each rule testable by a
//! table, without httpd, and keeps the layers above free of arithmetic.
//!
//! What belongs here: no I/O, no clock, no logging, no import outside `std` and this folder, no `unsafe`. Numbers of the
//! configuration are `i32`, because that is what httpd's `atoi` makes of the administrator's text: any value may arrive, so
//! arithmetic on them is saturating or done in 64 bits, and no function panics.
//!
//! Message texts appear only where they carry the numbers of a decision ([`correction`], [`conn_state::closing_text`]);
//! they include the `AHnnnnn: ` prefix and equal event's, since administrators search for them.

#![forbid(unsafe_code)]

pub mod accept_failure;
pub mod admission;
pub mod child_exit;
pub mod conn_state;
pub mod correction;
pub mod limits;
pub mod maintenance;
pub mod onset;
pub mod query;
pub mod reload;
pub mod saturation;
pub mod shift;
pub mod turnover;
