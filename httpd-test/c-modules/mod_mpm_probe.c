/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/* Module record, directives, event log, and the handlers below /probe/. */

#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "apr_md5.h"
#include "probe.h"

probe_counters_t probe_counters;

apr_int64_t probe_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (apr_int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

const char *probe_arg(request_rec *r, const char *name, const char *otherwise)
{
    char *args, *pair, *last = NULL;
    apr_size_t len = strlen(name);

    if (!r->args) {
        return otherwise;
    }
    args = apr_pstrdup(r->pool, r->args);
    for (pair = apr_strtok(args, "&", &last); pair;
         pair = apr_strtok(NULL, "&", &last)) {
        if (!strncmp(pair, name, len) && pair[len] == '=') {
            return pair + len + 1;
        }
    }
    return otherwise;
}

apr_int64_t probe_arg_int(request_rec *r, const char *name,
                          apr_int64_t otherwise)
{
    const char *value = probe_arg(r, name, NULL);

    return value ? apr_atoi64(value) : otherwise;
}

/* ---- what the MPM tells ---- */

static int query_handler(request_rec *r)
{
    int code = (int)probe_arg_int(r, "code", AP_MPMQ_MPM_STATE);
    int value = -4711;
    apr_status_t rv = ap_mpm_query(code, &value);

    if (rv == APR_ENOTIMPL) {
        ap_rputs("ENOTIMPL\n", r);
    }
    else {
        ap_rprintf(r, "%d %d\n", rv, value);
    }
    return OK;
}

static int query_or(int code, int otherwise)
{
    int value;

    return ap_mpm_query(code, &value) == APR_SUCCESS ? value : otherwise;
}

/* Where the connection's scoreboard handle points, found by address. */
static void find_slot(conn_rec *c, int *child, int *thread)
{
    int daemons = query_or(AP_MPMQ_HARD_LIMIT_DAEMONS, 0);
    int threads = query_or(AP_MPMQ_HARD_LIMIT_THREADS, 0);
    worker_score *mine = c->sbh ? ap_get_scoreboard_worker(c->sbh) : NULL;

    for (*child = 0; mine && *child < daemons; ++*child) {
        for (*thread = 0; *thread < threads; ++*thread) {
            if (mine == ap_get_scoreboard_worker_from_indexes(*child,
                                                              *thread)) {
                return;
            }
        }
    }
    *child = *thread = -1;
}

static int conn_handler(request_rec *r)
{
    conn_rec *c = r->connection;
    conn_rec *master = c->master ? c->master : c;
    apr_os_thread_t tid = apr_os_thread_current();
    int child, thread;

    apr_sleep(probe_arg_int(r, "ms", 0) * 1000);
    find_slot(master, &child, &thread);
    ap_rprintf(r, "id: %ld\n", c->id);
    ap_rprintf(r, "pid: %" APR_PID_T_FMT "\n", getpid());
    ap_rprintf(r, "generation: %d\n", query_or(AP_MPMQ_GENERATION, -1));
    ap_rprintf(r, "state: %d\n", query_or(AP_MPMQ_MPM_STATE, -1));
    ap_rprintf(r, "cs: %d\n", c->cs != NULL);
    ap_rprintf(r, "cs_state: %d\n", c->cs ? (int)c->cs->state : -1);
    ap_rprintf(r, "sbh: %d\n", c->sbh != NULL);
    ap_rprintf(r, "current_thread: %d\n", c->current_thread != NULL);
    ap_rprintf(r, "secondary: %d\n", c->master != NULL);
    ap_rprintf(r, "keepalives: %d\n", c->keepalives);
    ap_rprintf(r, "child_slot: %d\n", child);
    ap_rprintf(r, "thread_slot: %d\n", thread);
    ap_rprintf(r, "tid: %lu\n", (unsigned long)tid);
    ap_rprintf(r, "mpm: %s\n", ap_show_mpm());
    if (child >= 0) {
        process_score *ps = ap_get_scoreboard_process(child);
        worker_score *ws = ap_get_scoreboard_worker_from_indexes(child,
                                                                 thread);
        ap_rprintf(r, "slot_pid: %" APR_PID_T_FMT "\n", ps->pid);
        ap_rprintf(r, "slot_generation: %d\n", ps->generation);
        ap_rprintf(r, "slot_status: %d\n", ws->status);
        ap_rprintf(r, "slot_tid: %lu\n", (unsigned long)ws->tid);
    }
    return OK;
}

static int counters_handler(request_rec *r)
{
    conn_rec *c = r->connection;
    int child, thread;

    find_slot(c->master ? c->master : c, &child, &thread);
    ap_rprintf(r, "pid: %" APR_PID_T_FMT "\n", getpid());
    ap_rprintf(r, "pre_connection: %u\n",
               apr_atomic_read32(&probe_counters.pre_connection));
    ap_rprintf(r, "incomplete: %u\n",
               apr_atomic_read32(&probe_counters.incomplete));
    ap_rprintf(r, "process_connection: %u\n",
               apr_atomic_read32(&probe_counters.process_connection));
    ap_rprintf(r, "suspend: %u\n",
               apr_atomic_read32(&probe_counters.suspend));
    ap_rprintf(r, "resume: %u\n", apr_atomic_read32(&probe_counters.resume));
    ap_rprintf(r, "closed: %u\n", apr_atomic_read32(&probe_counters.closed));
    if (child >= 0) {
        ap_rprintf(r, "suspended_now: %u\n",
                   ap_get_scoreboard_process(child)->suspended);
    }
    return OK;
}

/* ---- load ---- */

static int sleep_handler(request_rec *r)
{
    apr_int64_t ms = probe_arg_int(r, "ms", 100);

    apr_sleep(ms * 1000);
    ap_rprintf(r, "slept %" APR_INT64_T_FMT " ms\n", ms);
    return OK;
}

/* The head goes out at once, the body ms later. */
static int slowhead_handler(request_rec *r)
{
    apr_int64_t ms = probe_arg_int(r, "ms", 100);

    ap_rputs("head\n", r);
    ap_rflush(r);
    apr_sleep(ms * 1000);
    ap_rputs("body\n", r);
    return OK;
}

/* n bytes, each of its offset's low seven bits; with length=1 counted. */
static int bytes_handler(request_rec *r)
{
    apr_int64_t left = probe_arg_int(r, "n", 1024);
    char block[16384];
    apr_size_t i;

    for (i = 0; i < sizeof(block); i++) {
        block[i] = (char)(i & 127);
    }
    ap_set_content_type(r, "application/octet-stream");
    if (probe_arg_int(r, "length", 0)) {
        ap_set_content_length(r, left);
    }
    while (left > 0) {
        int n = left < (apr_int64_t)sizeof(block) ? (int)left
                                                  : (int)sizeof(block);
        if (ap_rwrite(block, n, r) < 0) {
            return AP_FILTER_ERROR;
        }
        left -= n;
    }
    return OK;
}

/* Ends the connection after the response; with short=1 by a short lingering. */
static int close_handler(request_rec *r)
{
    conn_rec *c = r->connection;

    c->keepalive = AP_CONN_CLOSE;
    if (probe_arg_int(r, "short", 0)) {
        apr_table_setn(c->notes, "short-lingering-close", "1");
    }
    ap_rputs("closing\n", r);
    return OK;
}

/* Reads the request's body, answers with its size and MD5. */
static int digest_handler(request_rec *r)
{
    static const char hex[] = "0123456789abcdef";
    apr_bucket_brigade *bb = apr_brigade_create(r->pool,
                                                r->connection->bucket_alloc);
    apr_md5_ctx_t md5;
    unsigned char sum[APR_MD5_DIGESTSIZE];
    char text[2 * APR_MD5_DIGESTSIZE + 1];
    apr_off_t total = 0;
    int i, seen_eos = 0;

    apr_md5_init(&md5);
    while (!seen_eos) {
        apr_bucket *b;
        apr_status_t rv = ap_get_brigade(r->input_filters, bb,
                                         AP_MODE_READBYTES, APR_BLOCK_READ,
                                         16384);
        if (rv != APR_SUCCESS) {
            return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
        }
        for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
             b = APR_BUCKET_NEXT(b)) {
            const char *data;
            apr_size_t len;

            if (APR_BUCKET_IS_EOS(b)) {
                seen_eos = 1;
                break;
            }
            if (APR_BUCKET_IS_METADATA(b)) {
                continue;
            }
            rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
            if (rv != APR_SUCCESS) {
                return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
            }
            apr_md5_update(&md5, data, len);
            total += len;
        }
        apr_brigade_cleanup(bb);
    }
    apr_md5_final(sum, &md5);
    for (i = 0; i < APR_MD5_DIGESTSIZE; i++) {
        text[2 * i] = hex[sum[i] >> 4];
        text[2 * i + 1] = hex[sum[i] & 15];
    }
    text[2 * APR_MD5_DIGESTSIZE] = '\0';
    ap_rprintf(r, "%" APR_OFF_T_FMT " %s\n", total, text);
    return OK;
}

/* ---- dispatch ---- */

static const struct {
    const char *path;
    int (*handler)(request_rec *r);
} handlers[] = {
    { "/probe/query", query_handler },
    { "/probe/conn", conn_handler },
    { "/probe/counters", counters_handler },
    { "/probe/sleep", sleep_handler },
    { "/probe/slowhead", slowhead_handler },
    { "/probe/bytes", bytes_handler },
    { "/probe/close", close_handler },
    { "/probe/digest", digest_handler },
    { "/probe/timers", probe_timers_handler },
    { "/probe/timers/result", probe_timers_result_handler },
    { "/probe/thread", probe_thread_handler },
    { "/probe/resume", probe_resume_handler },
    { "/probe/exit", probe_exit_handler },
    { "/probe/crash", probe_crash_handler },
    { "/probe/scribble", probe_scribble_handler },
    { "/probe/kernel", probe_kernel_handler },
};

static int probe_handler(request_rec *r)
{
    apr_size_t i;

    if (!r->handler || strcmp(r->handler, "mpm-probe")) {
        return DECLINED;
    }
    ap_set_content_type(r, "text/plain");
    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (!strcmp(r->uri, handlers[i].path)) {
            return handlers[i].handler(r);
        }
    }
    return HTTP_NOT_FOUND;
}

/* ---- events, one line each in the error log ---- */

static void log_event(server_rec *s, const char *event, const char *more)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                 "probe: event=%s by=%" APR_PID_T_FMT " state=%d gen=%d%s",
                 event, getpid(), query_or(AP_MPMQ_MPM_STATE, -1),
                 query_or(AP_MPMQ_GENERATION, -1), more);
}

static int on_pre_mpm(apr_pool_t *p, ap_scoreboard_e sb_type)
{
    log_event(ap_server_conf, "pre_mpm",
              apr_psprintf(p, " sb_type=%d", (int)sb_type));
    return OK;
}

static int on_monitor(apr_pool_t *p, server_rec *s)
{
    log_event(s, "monitor", "");
    return DECLINED;
}

static void on_child_status(server_rec *s, pid_t pid, ap_generation_t gen,
                            int slot, mpm_child_status status)
{
    static const char *const names[] = { "started", "exited", "lost_slot" };
    char more[100];

    apr_snprintf(more, sizeof(more),
                 " pid=%" APR_PID_T_FMT " of_gen=%d slot=%d status=%s", pid,
                 (int)gen, slot, names[status]);
    log_event(s, "child_status", more);
}

static void on_end_generation(server_rec *s, ap_generation_t gen)
{
    char more[40];

    apr_snprintf(more, sizeof(more), " ended=%d", (int)gen);
    log_event(s, "end_generation", more);
}

static void on_child_init(apr_pool_t *p, server_rec *s)
{
    const probe_config_t *conf = ap_get_module_config(s->module_config,
                                                      &mpm_probe_module);
    log_event(s, "child_init", apr_psprintf(p, " euid=%d", (int)geteuid()));
    apr_sleep(conf->child_init_sleep_ms * 1000);
    probe_timers_child_init(p, s, conf);
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 110)
static void on_child_stopping(apr_pool_t *p, int graceful)
{
    log_event(ap_server_conf, "child_stopping",
              apr_psprintf(p, " graceful=%d", graceful));
}
#endif

/* ---- configuration ---- */

static void *create_config(apr_pool_t *p, server_rec *s)
{
    probe_config_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->child_init_timer_ms = -1;
    return conf;
}

static const char *set_odd_state(cmd_parms *cmd, void *dummy, const char *arg)
{
    probe_config_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &mpm_probe_module);
    return probe_mode_parse(arg, &conf->mode);
}

static const char *set_slow_close(cmd_parms *cmd, void *dummy, const char *arg)
{
    probe_config_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &mpm_probe_module);
    conf->slow_close_ms = atoi(arg);
    return NULL;
}

static int on_pre_close_connection(conn_rec *c)
{
    const probe_config_t *conf =
        ap_get_module_config(c->base_server->module_config, &mpm_probe_module);

    if (conf->slow_close_ms) {
        apr_sleep(conf->slow_close_ms * 1000);
    }
    return OK;
}

static const char *set_child_init_timer(cmd_parms *cmd, void *dummy,
                                        const char *arg)
{
    probe_config_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &mpm_probe_module);
    conf->child_init_timer_ms = atoi(arg);
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_child_init_sleep(cmd_parms *cmd, void *dummy,
                                        const char *arg)
{
    probe_config_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &mpm_probe_module);
    conf->child_init_sleep_ms = atoi(arg);
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static apr_status_t sleep_at_the_end(void *ms)
{
    /* A signal that comes meanwhile doesn't end it. */
    apr_int64_t until = probe_now() + *(int *)ms * 1000;

    while (probe_now() < until) {
        apr_sleep(10000);
    }
    return APR_SUCCESS;
}

/* A subpool goes before pconf's own cleanups run, which are httpd's too. */
static const char *set_end_sleep(cmd_parms *cmd, void *dummy, const char *arg)
{
    apr_pool_t *sub;
    int *ms = apr_palloc(cmd->pool, sizeof(*ms));

    *ms = atoi(arg);
    apr_pool_create(&sub, cmd->pool);
    apr_pool_cleanup_register(sub, ms, sleep_at_the_end,
                              apr_pool_cleanup_null);
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_thread(cmd_parms *cmd, void *dummy, int on)
{
    probe_config_t *conf = ap_get_module_config(cmd->server->module_config,
                                                &mpm_probe_module);
    conf->thread = on;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("ProbeOddState", set_odd_state, NULL, RSRC_CONF,
                  "what this virtual host's process_connection hook answers"),
    AP_INIT_TAKE1("ProbeSlowClose", set_slow_close, NULL, RSRC_CONF,
                  "how many milliseconds a close takes in this virtual host"),
    AP_INIT_TAKE1("ProbeChildInitTimer", set_child_init_timer, NULL, RSRC_CONF,
                  "register a timer of so many milliseconds in child_init"),
    AP_INIT_TAKE1("ProbeChildInitSleep", set_child_init_sleep, NULL, RSRC_CONF,
                  "sleep so many milliseconds in child_init"),
    AP_INIT_TAKE1("ProbeEndSleep", set_end_sleep, NULL, RSRC_CONF,
                  "sleep so many milliseconds when the configuration goes"),
    AP_INIT_FLAG("ProbeThread", set_thread, NULL, RSRC_CONF,
                 "start a thread of the module's own in child_init"),
    { NULL }
};

static int post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    probe_states_post_config(p);
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(probe_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_mpm(on_pre_mpm, NULL, NULL, APR_HOOK_LAST);
    ap_hook_monitor(on_monitor, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_status(on_child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_end_generation(on_end_generation, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_close_connection(on_pre_close_connection, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    ap_hook_child_init(on_child_init, NULL, NULL, APR_HOOK_MIDDLE);
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 110)
    ap_hook_child_stopping(on_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
#endif
    probe_states_register_hooks(p);
}

module AP_MODULE_DECLARE_DATA mpm_probe_module = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    create_config,
    NULL,
    commands,
    register_hooks
};
