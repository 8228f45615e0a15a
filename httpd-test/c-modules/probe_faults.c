/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/* Children that fail: by exit code, by crash, by scribbling on the scoreboard. */

#include <string.h>
#include <unistd.h>

#include "probe.h"

/* Ends this child at once, as the MPM's own fatal errors do: no answer. */
int probe_exit_handler(request_rec *r)
{
    _exit((int)probe_arg_int(r, "code", 0));
}

/* A real fault, not a signal from outside. */
int probe_crash_handler(request_rec *r)
{
    int *volatile nowhere = NULL;

    return *nowhere;
}

static void scribble_child(int slot, int byte, pid_t pid, int threads)
{
    process_score *ps = ap_get_scoreboard_process(slot);
    pid_t child = pid ? pid : ps->pid;
    int i;

    memset(ps, byte, sizeof(*ps));
    ps->pid = child;
    for (i = 0; i < threads; i++) {
        worker_score *ws = ap_get_scoreboard_worker_from_indexes(slot, i);

        memset(ws, byte, sizeof(*ws));
        ws->pid = child;
    }
}

/*
 * Fills every entry of the scoreboard with a byte. Process ids stay what they
 * are, or become pid, of used and of unused entries.
 */
int probe_scribble_handler(request_rec *r)
{
    int byte = (int)probe_arg_int(r, "byte", 0xff);
    pid_t pid = (pid_t)probe_arg_int(r, "pid", 0);
    int slot, daemons = 0, threads = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &daemons);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    for (slot = 0; slot < daemons; slot++) {
        scribble_child(slot, byte, pid, threads);
    }
    memset(&ap_get_scoreboard_global()->running_generation, byte,
           sizeof(ap_generation_t));
    ap_rprintf(r, "pid: %" APR_PID_T_FMT "\nchildren: %d\nthreads: %d\n",
               getpid(), daemons, threads);
    return OK;
}
