/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

#include "shim.h"

#include "ap_mmn.h"
#include "apr_errno.h"

const int mre_apr_enotimpl = APR_ENOTIMPL;
const int mre_apr_einval = APR_EINVAL;
const int mre_apr_egeneral = APR_EGENERAL;
const int mre_exit_sick = APEXIT_CHILDSICK;
const int mre_exit_fatal = APEXIT_CHILDFATAL;
const int mre_global_only = GLOBAL_ONLY;

int mre_conn_aborted(const conn_rec *c)
{
    return c->aborted;
}

int mre_conn_keepalive_wanted(const conn_rec *c)
{
    return c->keepalive == AP_CONN_KEEPALIVE;
}

int mre_conn_clogging(const conn_rec *c)
{
    return c->clogging_input_filters;
}

int mre_conn_input_pending(const conn_rec *c)
{
    return c->data_in_input_filters;
}

int mre_conn_output_pending(const conn_rec *c)
{
    return c->data_in_output_filters;
}

int mre_server_keepalive_timeout_set(const server_rec *s)
{
    return s->keep_alive_timeout_set;
}

int mre_status_is_eagain(apr_status_t rv)
{
    return APR_STATUS_IS_EAGAIN(rv);
}

int mre_status_is_eintr(apr_status_t rv)
{
    return APR_STATUS_IS_EINTR(rv);
}

int mre_status_is_timeup(apr_status_t rv)
{
    return APR_STATUS_IS_TIMEUP(rv);
}

int mre_status_is_eexist(apr_status_t rv)
{
    return APR_STATUS_IS_EEXIST(rv);
}

int mre_status_is_notfound(apr_status_t rv)
{
    return APR_STATUS_IS_NOTFOUND(rv);
}
