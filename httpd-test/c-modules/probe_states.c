/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * What an MPM must bear from process_connection hooks: every return value and
 * every connection state, on virtual hosts that say "ProbeOddState <mode>".
 */

#include "probe.h"

/* How a suspended connection comes back; httpd's own MPMs do not offer it. */
#include "mpm_rust_event.h"

#define SUSPEND_MS 300
#define EARLY_MS 50
#define BUF_SIZE 4000

typedef struct {
    probe_mode_e mode;
    int calls; /* of the process_connection hook */
    int suspends;
    int resumes;
    int eof;
    int want_write;
    apr_int64_t suspended_at;
    apr_size_t len;
    char *buf; /* BUF_SIZE, on odd virtual hosts only */
} probe_conn_t;

static const char *const mode_names[] = {
    "normal", "clogging", "declined", "untouched", "done", "keepalive",
    "error", "handler", "badstate", "suspend", "suspend-early",
    "suspend-write", "suspend-close", "waitio"
};

const char *probe_mode_parse(const char *name, probe_mode_e *mode)
{
    apr_size_t i;

    for (i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (!strcasecmp(name, mode_names[i])) {
            *mode = (probe_mode_e)i;
            return NULL;
        }
    }
    return "no such ProbeOddState";
}

static probe_conn_t *get_conn(conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &mpm_probe_module);
}

/* ---- lines in and out ---- */

static void put(conn_rec *c, int flush, const char *fmt, ...)
{
    apr_bucket_brigade *bb = apr_brigade_create(c->pool, c->bucket_alloc);
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = apr_pvsprintf(c->pool, fmt, ap);
    va_end(ap);
    ap_fputs(c->output_filters, bb, text);
    if (flush) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(c->bucket_alloc));
    }
    ap_pass_brigade(c->output_filters, bb);
    apr_brigade_destroy(bb);
}

/* Reads what there is (blocking: at least something) into the buffer. */
static void fill(conn_rec *c, probe_conn_t *pc, apr_read_type_e block)
{
    apr_bucket_brigade *bb = apr_brigade_create(c->pool, c->bucket_alloc);
    apr_size_t room = BUF_SIZE - pc->len;
    apr_status_t rv;

    if (room == 0) {
        pc->eof = 1;
        return;
    }
    rv = ap_get_brigade(c->input_filters, bb, AP_MODE_READBYTES, block,
                        (apr_off_t)room);
    if (rv == APR_SUCCESS) {
        rv = apr_brigade_flatten(bb, pc->buf + pc->len, &room);
        pc->len += rv == APR_SUCCESS ? room : 0;
    }
    else if (!APR_STATUS_IS_EAGAIN(rv)) {
        pc->eof = 1;
    }
    apr_brigade_destroy(bb);
}

/* Takes a line out of the buffer, reading as needed; NULL: there is none. */
static char *get_line(conn_rec *c, probe_conn_t *pc, apr_read_type_e block)
{
    for (;;) {
        char *end = memchr(pc->buf, '\n', pc->len);
        apr_size_t before = pc->len;

        if (end) {
            apr_size_t n = (apr_size_t)(end - pc->buf);
            char *line = apr_pstrmemdup(c->pool, pc->buf, n);
            pc->len -= n + 1;
            memmove(pc->buf, end + 1, pc->len);
            return line;
        }
        if (pc->eof) {
            return NULL;
        }
        fill(c, pc, block);
        if (pc->len == before && block == APR_NONBLOCK_READ) {
            return NULL;
        }
    }
}

/* ---- the modes ---- */

/* One answer per round; the MPM has to flush it. */
static int keepalive_round(conn_rec *c, probe_conn_t *pc)
{
    char *line = get_line(c, pc, APR_BLOCK_READ);

    if (!line) {
        c->cs->state = CONN_STATE_LINGER;
        return OK;
    }
    put(c, 0, "round %d: %s\n", pc->calls, line);
    c->keepalive = AP_CONN_KEEPALIVE;
    c->cs->state = CONN_STATE_KEEPALIVE;
    return OK;
}

/*
 * Echoes lines; "count" tells how often the hook was called, "write" waits for
 * the socket to be writable and then says so, "quit" closes.
 */
static int waitio_round(conn_rec *c, probe_conn_t *pc)
{
#if PROBE_HAS_WAITIO
    char *line;

    if (pc->want_write) {
        pc->want_write = 0;
        put(c, 1, "writable\n");
    }
    while ((line = get_line(c, pc, APR_NONBLOCK_READ))) {
        if (!strcmp(line, "quit")) {
            put(c, 0, "bye\n");
            c->cs->state = CONN_STATE_LINGER;
            return OK;
        }
        if (!strcmp(line, "count")) {
            put(c, 1, "calls %d\n", pc->calls);
        }
        else if (!strcmp(line, "write")) {
            pc->want_write = 1;
            c->cs->sense = CONN_SENSE_WANT_WRITE;
            break;
        }
        else {
            put(c, 1, "echo %s\n", line);
        }
    }
    c->cs->state = pc->eof ? CONN_STATE_LINGER : CONN_STATE_ASYNC_WAITIO;
#else
    c->cs->state = CONN_STATE_LINGER;
#endif
    return OK;
}

static void resume_by_timer(void *baton)
{
    conn_rec *c = baton;
    probe_conn_t *pc = get_conn(c);
    APR_OPTIONAL_FN_TYPE(mpm_rust_event_resume_suspended) *resume =
        APR_RETRIEVE_OPTIONAL_FN(mpm_rust_event_resume_suspended);
    apr_status_t rv;

    switch (pc->mode) {
    case PROBE_SUSPEND_WRITE:
        put(c, 0, "written by a timer\n");
        c->cs->state = CONN_STATE_WRITE_COMPLETION;
        break;
    case PROBE_SUSPEND_CLOSE:
        put(c, 0, "closed by a timer\n");
        c->cs->state = CONN_STATE_LINGER;
        break;
    default:
        c->cs->state = CONN_STATE_PROCESSING;
        break;
    }
    rv = resume(c);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, ap_server_conf,
                     "probe: resume_suspended failed");
    }
}

/*
 * Suspends, and answers each line when it is processed again. In the modes that
 * read first, a line that is a number says for how many milliseconds.
 */
static int suspend_round(conn_rec *c, probe_conn_t *pc)
{
    int ms = SUSPEND_MS;
    char *line;

    if (!APR_RETRIEVE_OPTIONAL_FN(mpm_rust_event_resume_suspended)) {
        get_line(c, pc, APR_BLOCK_READ);
        put(c, 0, "no resume function\n");
        c->cs->state = CONN_STATE_LINGER;
        return OK;
    }
    if (pc->suspended_at) {
        apr_int64_t ms = (probe_now() - pc->suspended_at) / 1000;

        pc->suspended_at = 0;
        line = get_line(c, pc, APR_BLOCK_READ);
        if (line) {
            put(c, 1, "%s after %" APR_INT64_T_FMT " ms, call %d, "
                "suspends %d, resumes %d\n", line, ms, pc->calls,
                pc->suspends, pc->resumes);
        }
        if (!line || strcmp(line, "again")) {
            c->cs->state = CONN_STATE_LINGER;
            return OK;
        }
    }
    else if (pc->mode != PROBE_SUSPEND && pc->mode != PROBE_SUSPEND_EARLY) {
        line = get_line(c, pc, APR_BLOCK_READ);
        if (!line) {
            c->cs->state = CONN_STATE_LINGER;
            return OK;
        }
        if (apr_isdigit(*line)) {
            ms = atoi(line);
        }
    }
    if (pc->mode == PROBE_SUSPEND || pc->mode == PROBE_SUSPEND_EARLY) {
        pc->suspended_at = probe_now();
    }
    /* An MPM that goes on as after a write keeps the connection only so. */
    c->keepalive = AP_CONN_KEEPALIVE;
    c->cs->state = CONN_STATE_SUSPENDED;
    if (pc->mode == PROBE_SUSPEND_EARLY) {
        ap_mpm_register_timed_callback(0, resume_by_timer, c);
        apr_sleep(apr_time_from_msec(EARLY_MS));
    }
    else {
        ap_mpm_register_timed_callback(apr_time_from_msec(ms),
                                       resume_by_timer, c);
    }
    return OK;
}

static int simple_round(conn_rec *c, probe_conn_t *pc)
{
    char *line = get_line(c, pc, APR_BLOCK_READ);

    put(c, 0, "%s: %s\n", mode_names[pc->mode], line ? line : "EOF");
    switch (pc->mode) {
    case PROBE_DONE:
        return DONE;
    case PROBE_ERROR:
        return HTTP_INTERNAL_SERVER_ERROR;
    case PROBE_HANDLER:
        c->cs->state = CONN_STATE_HANDLER;
        return OK;
    case PROBE_BADSTATE:
        c->cs->state = (conn_state_e)((int)CONN_STATE_NUM + 7);
        return OK;
    default:
        return OK;
    }
}

/* Resuming an HTTP/2 stream's connection, which is none of the MPM's. */
int probe_resume_handler(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(mpm_rust_event_resume_suspended) *resume =
        APR_RETRIEVE_OPTIONAL_FN(mpm_rust_event_resume_suspended);

    if (!resume || !r->connection->master) {
        return HTTP_NOT_FOUND;
    }
    ap_rprintf(r, "resume: %s\n",
               resume(r->connection) == APR_EINVAL ? "EINVAL" : "other");
    return OK;
}

/* ---- hooks ---- */

static int on_process_connection(conn_rec *c)
{
    probe_conn_t *pc = get_conn(c);

    apr_atomic_inc32(&probe_counters.process_connection);
    if (!pc || c->master) {
        return DECLINED;
    }
    pc->calls++;
    switch (pc->mode) {
    case PROBE_NORMAL:
    case PROBE_CLOGGING:
    case PROBE_DECLINED:
        return DECLINED;
    case PROBE_KEEPALIVE:
        return keepalive_round(c, pc);
    case PROBE_SUSPEND:
    case PROBE_SUSPEND_EARLY:
    case PROBE_SUSPEND_WRITE:
    case PROBE_SUSPEND_CLOSE:
        return suspend_round(c, pc);
    case PROBE_WAITIO:
        return waitio_round(c, pc);
    default:
        return simple_round(c, pc);
    }
}

static apr_status_t on_close(void *dummy)
{
    apr_atomic_inc32(&probe_counters.closed);
    return APR_SUCCESS;
}

static int on_pre_connection(conn_rec *c, void *csd)
{
    const probe_config_t *conf =
        ap_get_module_config(c->base_server->module_config, &mpm_probe_module);

    if (!c->master && !PROBE_IS_OUTGOING(c)) {
        probe_conn_t *pc = apr_pcalloc(c->pool, sizeof(*pc));

        pc->mode = conf->mode;
        c->clogging_input_filters = pc->mode == PROBE_CLOGGING;
        if (pc->mode != PROBE_NORMAL) {
            pc->buf = apr_palloc(c->pool, BUF_SIZE);
        }
        ap_set_module_config(c->conn_config, &mpm_probe_module, pc);
        apr_atomic_inc32(&probe_counters.pre_connection);
        if (!c->cs || !c->sbh || !c->current_thread) {
            apr_atomic_inc32(&probe_counters.incomplete);
        }
        apr_pool_cleanup_register(c->pool, NULL, on_close,
                                  apr_pool_cleanup_null);
    }
    return OK;
}

static void on_suspend(conn_rec *c, request_rec *r)
{
    probe_conn_t *pc = get_conn(c);

    apr_atomic_inc32(&probe_counters.suspend);
    if (pc) {
        pc->suspends++;
    }
}

static void on_resume(conn_rec *c, request_rec *r)
{
    probe_conn_t *pc = get_conn(c);

    apr_atomic_inc32(&probe_counters.resume);
    if (pc) {
        pc->resumes++;
    }
}

/*
 * HTTP itself never declines a connection. For the mode "declined" its hook is
 * replaced, in the list of hooks, by one that does on those virtual hosts.
 */
static ap_HOOK_process_connection_t *http_process_connection;

static int http_or_decline(conn_rec *c)
{
    probe_conn_t *pc = get_conn(c);

    if (pc && pc->mode == PROBE_DECLINED) {
        return DECLINED;
    }
    return http_process_connection(c);
}

void probe_states_post_config(apr_pool_t *p)
{
    apr_array_header_t *hooks = ap_hook_get_process_connection();
    ap_LINK_process_connection_t *link;
    int i;

    for (i = 0; hooks && i < hooks->nelts; i++) {
        link = &APR_ARRAY_IDX(hooks, i, ap_LINK_process_connection_t);
        if (!strcmp(link->szName, "http_core.c")
            && link->pFunc != http_or_decline) {
            http_process_connection = link->pFunc;
            link->pFunc = http_or_decline;
        }
    }
}

void probe_states_register_hooks(apr_pool_t *p)
{
    ap_hook_pre_connection(on_pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(on_process_connection, NULL, NULL,
                               APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(on_suspend, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_resume_connection(on_resume, NULL, NULL, APR_HOOK_MIDDLE);
}
