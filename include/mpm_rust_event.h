/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/**
 * @file mpm_rust_event.h
 * @brief What mod_mpm_rust_event offers to other modules beyond the hooks that
 *        every MPM of httpd 2.4 implements.
 *
 * Each function is an optional function: retrieve it with
 * APR_RETRIEVE_OPTIONAL_FN when the configuration has been read
 * (ap_hook_optional_fn_retrieve or child_init). It is NULL under another MPM.
 */
#ifndef MPM_RUST_EVENT_H
#define MPM_RUST_EVENT_H

#include "apr_optional.h"
#include "httpd.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Give a connection back to the MPM that a process_connection hook suspended
 * by returning with c->cs->state set to CONN_STATE_SUSPENDED.
 *
 * What comes next is in c->cs->state: CONN_STATE_PROCESSING runs the
 * process_connection hooks again, CONN_STATE_LINGER closes,
 * CONN_STATE_WRITE_COMPLETION (also when the state is left as it is) flushes
 * and then keeps the connection alive.
 *
 * From any thread, even before the hook has returned. But while the hook may
 * still be on its way out (the suspend_connection hook tells when it is not),
 * c->cs->state must be left alone: the MPM reads it to see that the connection
 * is suspended. The caller must not touch the connection afterwards.
 *
 * @param c The connection.
 * @return APR_SUCCESS; APR_EINVAL for a connection that is not this MPM's
 *         (a secondary one, or one of the control process).
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, mpm_rust_event_resume_suspended,
                        (conn_rec *c));

#ifdef __cplusplus
}
#endif

#endif
