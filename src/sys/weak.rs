//! Weak references to what httpd got in the course of 2.4: a server that lacks one of these functions can then load this
//! module and be told so in words, where the dynamic linker would only name a symbol. `mre_missing_function` looks them
//! up; nothing calls them when it has found one missing. What older servers can do without is in include/newer.c.
//!
//! One object file holds all references of the release build (one codegen unit, link-time optimisation), so that the
//! directives reach them; ci/versions sees to it that they have.

std::arch::global_asm!(
    ".weak ap_mpm_podx_open",
    ".weak ap_mpm_podx_check",
    ".weak ap_mpm_podx_signal",
    ".weak ap_mpm_podx_close",
    ".weak ap_run_suspend_connection",
    ".weak ap_run_resume_connection",
    ".weak ap_duplicate_listeners",
    ".weak ap_close_listeners_ex",
    ".weak ap_hook_protocol_switch",
    ".weak ap_log_mpm_common",
    ".weak ap_unixd_mpm_get_retained_data",
    ".weak ap_unixd_mpm_set_signals",
    ".weak ap_update_sb_handle",
);
