//! The module records that httpd looks for, and what it calls first.

use crate::config::settings::settings;
use crate::entry::{configuration, connections, optional, running};
use crate::host::c::apr_pool_t;
use crate::host::hooks::{self, Hooks};
use crate::host::identity::{self, ModuleRecord};
use crate::host::{bucket, filter, guard, optional as functions, server};

/// For `LoadModule mpm_rust_event_module .../mod_mpm_rust_event.so`.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static mpm_rust_event_module: ModuleRecord = ModuleRecord::new(register_hooks);

/// For `LoadModule mpm_event_module .../mod_mpm_rust_event.so`: a configuration
/// that names event needs no change but the file's name.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static mpm_event_module: ModuleRecord = ModuleRecord::new(register_hooks);

/// Called by httpd when one of the two has been loaded; once more after each
/// restart, whether or not the file was really unloaded in between.
unsafe extern "C" fn register_hooks(_pool: *mut apr_pool_t) {
    guard::hook((), || {
        identity::settle([&mpm_rust_event_module, &mpm_event_module]);
        guard::install_panic_log();
        if server::missing_function().is_some() {
            hooks::register_refusal(Some(configuration::refuse_config), Some(running::on_mpm));
            return;
        }
        bucket::forget();
        settings().reset(false);
        settings().set_announced(false);
        functions::answer_to_both_names();
        optional::offer_all();
        filter::register_answer(connections::on_answer);
        hooks::register(&Hooks {
            open_logs: Some(configuration::on_open_logs),
            pre_config: Some(configuration::on_pre_config),
            post_config: Some(configuration::on_post_config),
            check_config: Some(configuration::on_check_config),
            mpm: Some(running::on_mpm),
            mpm_query: Some(running::on_mpm_query),
            mpm_register_timed_callback: Some(running::on_register_timed_callback),
            mpm_get_name: Some(configuration::on_get_name),
            pre_read_request: Some(connections::on_pre_read_request),
            post_read_request: Some(connections::on_post_read_request),
            insert_error_filter: Some(connections::on_insert_error_filter),
            pre_connection: Some(connections::on_pre_connection),
            protocol_switch: Some(connections::on_protocol_switch),
        });
    });
}
