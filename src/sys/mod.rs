//! L0: what bindgen makes of httpd's and APR's headers, the C shim's
//! declarations, and the assumptions about them that the rest relies on.
//!
//! Only `host` imports this layer.

#![allow(missing_docs)]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks)]
#![allow(unnecessary_transmutes)]

mod weak;

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

// `policy` spells these numbers out, since it may not import this layer.
const _: () = {
    assert!(CONN_STATE_KEEPALIVE == 0);
    assert!(CONN_STATE_PROCESSING == 1);
    assert!(CONN_STATE_WRITE_COMPLETION == 3);
    assert!(CONN_STATE_SUSPENDED == 4);
    assert!(CONN_STATE_LINGER == 5);
    assert!(CONN_STATE_LINGER_NORMAL == 6);
    assert!(CONN_STATE_LINGER_SHORT == 7);
    assert!(CONN_SENSE_DEFAULT == 0 && CONN_SENSE_WANT_READ == 1 && CONN_SENSE_WANT_WRITE == 2);
    assert!(SERVER_DEAD < SERVER_STARTING && SERVER_STARTING < SERVER_READY);
    assert!(SERVER_READY < SERVER_BUSY_READ && SERVER_BUSY_READ < SERVER_GRACEFUL);
    assert!(OK == 0 && DECLINED == -1 && DONE == -2);
};
