/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * Timed callbacks: batches of timers, registered by a worker, by a timer, by a
 * thread that is not the MPM's, or in child_init; how many fired, how late, and
 * whether any fired early or twice.
 */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "probe.h"

#define MAX_BATCHES 64
#define INIT_BATCH 0 /* what child_init registers */

typedef struct batch_t batch_t;

typedef struct {
    batch_t *batch;
    apr_int64_t due; /* CLOCK_MONOTONIC, us */
    apr_int64_t fired_at;
    apr_os_thread_t by;
    volatile apr_uint32_t fired;
} probe_timer_t;

struct batch_t {
    int n;
    int chain;              /* each timer registers the next one */
    int align;              /* all of them for one point in time */
    apr_int64_t takes_us;   /* how long each callback sleeps */
    apr_int64_t delay_us;
    apr_int64_t spread_us;
    apr_status_t rv;        /* first failure of the registration */
    volatile apr_uint32_t registered;
    probe_timer_t *timers;
};

static batch_t *batches[MAX_BATCHES];
static volatile apr_uint32_t batch_count = 1;

/* ---- firing and registering ---- */

static void fire(void *baton);

static void register_one(batch_t *batch, int i, apr_int64_t base)
{
    probe_timer_t *t = &batch->timers[i];
    apr_int64_t delay = batch->delay_us + batch->spread_us * i / batch->n;
    apr_int64_t now = probe_now();
    apr_status_t rv;

    if (batch->align) {
        delay -= now - base;
        delay = delay < 0 ? 0 : delay;
    }
    t->batch = batch;
    t->due = now + delay;
    rv = ap_mpm_register_timed_callback(delay, fire, t);
    if (rv != APR_SUCCESS && batch->rv == APR_SUCCESS) {
        batch->rv = rv;
    }
    apr_atomic_inc32(&batch->registered);
}

static void register_batch(batch_t *batch)
{
    apr_int64_t base = probe_now();
    int i, n = batch->chain ? 1 : batch->n;

    for (i = 0; i < n; i++) {
        register_one(batch, i, base);
    }
}

static void fire(void *baton)
{
    probe_timer_t *t = baton;
    batch_t *batch = t->batch;
    int next = (int)(t - batch->timers) + 1;

    t->fired_at = probe_now();
    t->by = apr_os_thread_current();
    apr_atomic_inc32(&t->fired);
    apr_sleep(batch->takes_us);
    if (batch->chain && next < batch->n) {
        register_one(batch, next, 0);
    }
}

static void fire_batch(void *baton)
{
    register_batch(baton);
}

/*
 * ---- a thread of the module's own ----
 * It waits as long as the process lives: its mutex and condition belong to no
 * pool, whose end would wait for the waiter.
 */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    apr_thread_t *thread;
    batch_t *work;
    int running;
    sigset_t mask;
} own = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .cond = PTHREAD_COND_INITIALIZER
};

static void *APR_THREAD_FUNC own_thread(apr_thread_t *thread, void *dummy)
{
    pthread_mutex_lock(&own.mutex);
    pthread_sigmask(SIG_BLOCK, NULL, &own.mask);
    own.running = 1;
    for (;;) {
        while (!own.work) {
            pthread_cond_wait(&own.cond, &own.mutex);
        }
        register_batch(own.work);
        own.work = NULL;
    }
    return NULL; /* never: the process's end ends it */
}

static void start_own_thread(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv = apr_thread_create(&own.thread, NULL, own_thread,
                                        NULL, p);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, "probe: no thread");
    }
}

static const char *blocked(int signum)
{
    return sigismember(&own.mask, signum) ? "blocked" : "open";
}

int probe_thread_handler(request_rec *r)
{
    if (!own.thread) {
        return HTTP_NOT_FOUND;
    }
    pthread_mutex_lock(&own.mutex);
    ap_rprintf(r, "running: %d\n", own.running);
    ap_rprintf(r, "SIGTERM: %s\n", blocked(SIGTERM));
    ap_rprintf(r, "SIGHUP: %s\n", blocked(SIGHUP));
    ap_rprintf(r, "SIGUSR1: %s\n", blocked(SIGUSR1));
    ap_rprintf(r, "SIGWINCH: %s\n", blocked(SIGWINCH));
    ap_rprintf(r, "SIGINT: %s\n", blocked(SIGINT));
    pthread_mutex_unlock(&own.mutex);
    return OK;
}

/* ---- the HTTP interface ---- */

/* Batches live as long as the process: no timer can be cancelled. */
static batch_t *new_batch(int n, apr_int64_t ms)
{
    batch_t *batch = calloc(1, sizeof(*batch));

    batch->n = n;
    batch->delay_us = ms * 1000;
    batch->timers = calloc(n, sizeof(*batch->timers));
    return batch;
}

int probe_timers_handler(request_rec *r)
{
    int n = (int)probe_arg_int(r, "n", 1);
    const char *from = probe_arg(r, "from", "worker");
    apr_uint32_t number;
    batch_t *batch;

    if (n < 1 || n > 100000) {
        return HTTP_BAD_REQUEST;
    }
    number = apr_atomic_inc32(&batch_count);
    if (number >= MAX_BATCHES) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    batch = new_batch(n, probe_arg_int(r, "ms", 100));
    batch->spread_us = probe_arg_int(r, "spread", 0) * 1000;
    batch->chain = (int)probe_arg_int(r, "chain", 0);
    batch->align = (int)probe_arg_int(r, "align", 0);
    batch->takes_us = probe_arg_int(r, "takes", 0) * 1000;
    batches[number] = batch;

    if (!strcmp(from, "worker")) {
        register_batch(batch);
    }
    else if (!strcmp(from, "callback")) {
        batch->rv = ap_mpm_register_timed_callback(1000, fire_batch, batch);
    }
    else if (!strcmp(from, "thread") && own.thread) {
        pthread_mutex_lock(&own.mutex);
        own.work = batch;
        pthread_cond_signal(&own.cond);
        pthread_mutex_unlock(&own.mutex);
    }
    else {
        return HTTP_BAD_REQUEST;
    }
    ap_rprintf(r, "batch: %u\nrv: %d\n", number, batch->rv);
    return OK;
}

static int count_threads(const batch_t *batch)
{
    apr_os_thread_t seen[256];
    int i, k, count = 0;

    for (i = 0; i < batch->n; i++) {
        for (k = 0; k < count; k++) {
            if (apr_os_thread_equal(seen[k], batch->timers[i].by)) {
                break;
            }
        }
        if (k == count && batch->timers[i].fired && count < 256) {
            seen[count++] = batch->timers[i].by;
        }
    }
    return count;
}

int probe_timers_result_handler(request_rec *r)
{
    int number = (int)probe_arg_int(r, "batch", INIT_BATCH);
    int i, fired = 0, early = 0, twice = 0;
    apr_int64_t late, max = 0, sum = 0;
    const batch_t *batch;

    apr_sleep(probe_arg_int(r, "ms", 0) * 1000);
    if (number < 0 || number >= MAX_BATCHES || !batches[number]) {
        return HTTP_NOT_FOUND;
    }
    batch = batches[number];
    for (i = 0; i < batch->n; i++) {
        const probe_timer_t *t = &batch->timers[i];
        if (!t->fired) {
            continue;
        }
        fired++;
        twice += t->fired > 1;
        late = t->fired_at - t->due;
        early += late < 0;
        max = late > max ? late : max;
        sum += late;
    }
    ap_rprintf(r, "n: %d\nregistered: %u\nrv: %d\n", batch->n,
               batch->registered, batch->rv);
    ap_rprintf(r, "fired: %d\nearly: %d\ntwice: %d\n", fired, early, twice);
    ap_rprintf(r, "late_max_us: %" APR_INT64_T_FMT "\n", max);
    ap_rprintf(r, "late_mean_us: %" APR_INT64_T_FMT "\n",
               fired ? sum / fired : 0);
    ap_rprintf(r, "threads: %d\n", count_threads(batch));
    return OK;
}

void probe_timers_child_init(apr_pool_t *p, server_rec *s,
                             const probe_config_t *conf)
{
    if (conf->thread) {
        start_own_thread(p, s);
    }
    if (conf->child_init_timer_ms >= 0) {
        batches[INIT_BATCH] = new_batch(1, conf->child_init_timer_ms);
        register_batch(batches[INIT_BATCH]);
    }
}
