/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * mod_mpm_probe: asks an MPM what nothing else in httpd asks it, for the tests
 * in httpd-test/. Never load it into a server that serves anyone.
 */
#ifndef MPM_PROBE_H
#define MPM_PROBE_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "ap_mmn.h"
#include "ap_mpm.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_filter.h"

#include "apr_atomic.h"
#include "apr_lib.h"
#include "apr_optional.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_tables.h"
#include "apr_thread_proc.h"

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define PROBE_HAS_WAITIO 1
#else
#define PROBE_HAS_WAITIO 0
/* what 2.4.63 calls them */
#define CONN_STATE_KEEPALIVE CONN_STATE_CHECK_REQUEST_LINE_READABLE
#define CONN_STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 116)
#define PROBE_IS_OUTGOING(c) ((c)->outgoing)
#else
#define PROBE_IS_OUTGOING(c) 0
#endif

extern module AP_MODULE_DECLARE_DATA mpm_probe_module;
APLOG_USE_MODULE(mpm_probe);

/* What a virtual host's process_connection hook answers: probe_states.c. */
typedef enum {
    PROBE_NORMAL,        /* HTTP as usual */
    PROBE_CLOGGING,      /* HTTP, with an input filter that clogs */
    PROBE_DECLINED,      /* every hook declines, nobody touches the state */
    PROBE_UNTOUCHED,     /* OK, state still PROCESSING */
    PROBE_DONE,          /* DONE, state still PROCESSING */
    PROBE_KEEPALIVE,     /* OK with state KEEPALIVE, output not flushed */
    PROBE_ERROR,         /* 500 */
    PROBE_HANDLER,       /* OK with state HANDLER, which no hook may return */
    PROBE_BADSTATE,      /* OK with a number that is no state */
    PROBE_SUSPEND,       /* SUSPENDED, resumed by a timer as PROCESSING */
    PROBE_SUSPEND_EARLY, /* the same, resumed before the hook has returned */
    PROBE_SUSPEND_WRITE, /* SUSPENDED; a timer writes; WRITE_COMPLETION */
    PROBE_SUSPEND_CLOSE, /* SUSPENDED, resumed by a timer as LINGER */
    PROBE_WAITIO         /* a line protocol on ASYNC_WAITIO */
} probe_mode_e;

typedef struct {
    probe_mode_e mode;
    int slow_close_ms;       /* how long a close takes in this virtual host */
    /* These are meaningful in the main server only. */
    int child_init_timer_ms; /* -1: none */
    int child_init_sleep_ms;
    int thread;              /* start a thread of its own in child_init */
} probe_config_t;

/* Counters of this process, shown by /probe/counters. */
typedef struct {
    volatile apr_uint32_t pre_connection;
    volatile apr_uint32_t incomplete; /* there without what a hook may use */
    volatile apr_uint32_t process_connection;
    volatile apr_uint32_t suspend;
    volatile apr_uint32_t resume;
    volatile apr_uint32_t closed;
} probe_counters_t;

extern probe_counters_t probe_counters;

/* CLOCK_MONOTONIC in microseconds. */
apr_int64_t probe_now(void);

/* The value of name=value in the query string, or otherwise. */
apr_int64_t probe_arg_int(request_rec *r, const char *name,
                          apr_int64_t otherwise);
const char *probe_arg(request_rec *r, const char *name, const char *otherwise);

/* probe_faults.c */
int probe_exit_handler(request_rec *r);
int probe_crash_handler(request_rec *r);
int probe_scribble_handler(request_rec *r);

/* probe_timers.c */
int probe_timers_handler(request_rec *r);
int probe_timers_result_handler(request_rec *r);
int probe_thread_handler(request_rec *r);
void probe_timers_child_init(apr_pool_t *p, server_rec *s,
                             const probe_config_t *conf);

/* probe_states.c */
const char *probe_mode_parse(const char *name, probe_mode_e *mode);
int probe_resume_handler(request_rec *r);
void probe_states_register_hooks(apr_pool_t *p);
void probe_states_post_config(apr_pool_t *p);

/* probe_conns.c */
int probe_kernel_handler(request_rec *r);

#endif
