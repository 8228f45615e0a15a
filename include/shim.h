/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * C macros and bit-fields of httpd that no foreign-function interface can
 * expand, each behind one plain function. Nothing here decides anything.
 */
#ifndef MPM_RUST_EVENT_SHIM_H
#define MPM_RUST_EVENT_SHIM_H

#include "httpd.h"
#include "http_config.h"
#include "mpm_common.h"

/* Values that exist only as macros with casts or expressions. */
extern const int mre_apr_enotimpl;
extern const int mre_apr_einval;
extern const int mre_apr_egeneral;
extern const int mre_exit_sick;
extern const int mre_exit_fatal;
extern const int mre_global_only;

/* Bit-fields of conn_rec. */
int mre_conn_aborted(const conn_rec *c);
int mre_conn_keepalive_wanted(const conn_rec *c);
int mre_conn_clogging(const conn_rec *c);
int mre_conn_input_pending(const conn_rec *c);
int mre_conn_output_pending(const conn_rec *c);

/* Bit-field of server_rec: KeepAliveTimeout was given in this server. */
int mre_server_keepalive_timeout_set(const server_rec *s);

/* APR_STATUS_IS_* comparisons that cover a family of codes. */
int mre_status_is_eagain(apr_status_t rv);
int mre_status_is_eintr(apr_status_t rv);
int mre_status_is_timeup(apr_status_t rv);
int mre_status_is_eexist(apr_status_t rv);
int mre_status_is_notfound(apr_status_t rv);

/* The table of directives; the setters are Rust's. */
extern command_rec mre_commands[];

#endif
