/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

#include "newer.h"

#include "http_connection.h"
#include "http_protocol.h"
#include "http_log.h"
#include "ap_listen.h"
#include "ap_mmn.h"
#include "mpm_common.h"
#include "unixd.h"

#include <stddef.h>

/* From APR 1.8 on, httpd's headers make these names macros for APR's functions. */
#undef ap_thread_create
#undef ap_thread_main_create
#undef ap_thread_current_after_fork

#define WEAK __attribute__((weak))

/* Declared here once more, since older headers don't have them. */
WEAK int ap_pre_connection(conn_rec *c, void *csd);
WEAK void ap_run_child_stopping(apr_pool_t *pchild, int graceful);
WEAK apr_status_t ap_thread_create(apr_thread_t **thread, apr_threadattr_t *attr,
                                   apr_thread_start_t body, void *data,
                                   apr_pool_t *pool);
WEAK apr_status_t ap_thread_main_create(apr_thread_t **thread, apr_pool_t *pool);
WEAK void ap_thread_current_after_fork(void);
WEAK apr_status_t apr_thread_current_create(apr_thread_t **current,
                                            apr_threadattr_t *attr,
                                            apr_pool_t *pool);
WEAK void apr_thread_current_after_fork(void);

int mre_pre_connection(conn_rec *c, void *csd)
{
    int rc;

    if (ap_pre_connection)
        return ap_pre_connection(c, csd);
    rc = ap_run_pre_connection(c, csd);
    if (rc != OK && rc != DONE)
        c->aborted = 1;
    return rc;
}

void mre_run_child_stopping(apr_pool_t *pchild, int graceful)
{
    if (ap_run_child_stopping)
        ap_run_child_stopping(pchild, graceful);
}

apr_status_t mre_thread_create(apr_thread_t **thread, apr_threadattr_t *attr,
                               apr_thread_start_t body, void *data,
                               apr_pool_t *pool)
{
    if (ap_thread_create)
        return ap_thread_create(thread, attr, body, data, pool);
    return apr_thread_create(thread, attr, body, data, pool);
}

apr_status_t mre_thread_main_create(apr_thread_t **thread, apr_pool_t *pool)
{
    if (ap_thread_main_create)
        return ap_thread_main_create(thread, pool);
    if (apr_thread_current_create)
        return apr_thread_current_create(thread, NULL, pool);
    *thread = NULL;
    return APR_SUCCESS;
}

void mre_thread_current_after_fork(void)
{
    if (ap_thread_current_after_fork)
        ap_thread_current_after_fork();
    else if (apr_thread_current_after_fork)
        apr_thread_current_after_fork();
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 136)
_Static_assert(offsetof(process_score, wait_io)
               == offsetof(process_score, bucket) + sizeof(int),
               "wait_io follows bucket");
#endif

apr_uint32_t *mre_process_wait_io(process_score *process)
{
    return (apr_uint32_t *)(&process->bucket + 1);
}

/* What is required, oldest first. */
#pragma weak ap_mpm_podx_open
#pragma weak ap_mpm_podx_check
#pragma weak ap_mpm_podx_signal
#pragma weak ap_mpm_podx_close
#pragma weak ap_run_suspend_connection
#pragma weak ap_run_resume_connection
#pragma weak ap_duplicate_listeners
#pragma weak ap_close_listeners_ex
#pragma weak ap_hook_protocol_switch
#pragma weak ap_log_mpm_common
#pragma weak ap_unixd_mpm_get_retained_data
#pragma weak ap_unixd_mpm_set_signals
#pragma weak ap_update_sb_handle

typedef void (*function_t)(void);

static const struct {
    const char *name;
    function_t address;
} required[] = {
#define REQUIRED(name) {#name, (function_t)name}
    REQUIRED(ap_mpm_podx_open), /* 2.4.7 */
    REQUIRED(ap_mpm_podx_check),
    REQUIRED(ap_mpm_podx_signal),
    REQUIRED(ap_mpm_podx_close),
    REQUIRED(ap_run_suspend_connection), /* 2.4.10 */
    REQUIRED(ap_run_resume_connection),
    REQUIRED(ap_duplicate_listeners), /* 2.4.17 */
    REQUIRED(ap_close_listeners_ex),
    REQUIRED(ap_hook_protocol_switch),
    REQUIRED(ap_log_mpm_common),
    REQUIRED(ap_unixd_mpm_get_retained_data), /* 2.4.26 */
    REQUIRED(ap_unixd_mpm_set_signals),
    REQUIRED(ap_update_sb_handle), /* 2.4.33 */
};

const char *mre_missing_function(void)
{
    size_t i;

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (!required[i].address)
            return required[i].name;
    }
    return NULL;
}
