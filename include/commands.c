/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * The table of directives: command_rec has a union and initialiser macros that
 * only C can fill in. The texts are what an administrator reads after a wrong
 * number of arguments, hence httpd's own. Apart from shim.c because it refers to functions of the
 * server, which the unit tests, linked without a server, don't have.
 */
#include "shim.h"

#include "ap_listen.h"

#include <string.h>

/* The setters, in src/entry/directives.rs. */
const char *mre_set_start_servers(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_server_limit(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_thread_limit(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_threads_per_child(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_min_spare_threads(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_max_spare_threads(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_max_request_workers(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_max_clients(cmd_parms *cmd, void *dir, const char *arg);
const char *mre_set_worker_factor(cmd_parms *cmd, void *dir, const char *arg);

/*
 * ListenTCPDeferAccept came with 2.4.66, ListenCoresBucketsRatio with 2.4.17.
 * Weak, so that one binary also loads into older servers; the table then goes
 * without the directive, as theirs do.
 */
__attribute__((weak)) AP_DECLARE_NONSTD(const char *)
ap_set_listentcpdeferaccept(cmd_parms *cmd, void *dummy, const char *arg);
#pragma weak ap_set_listencbratio

/* The directives of httpd's own listener code, spelled out rather than taken
 * from LISTEN_COMMANDS, whose set depends on the headers of the build. */
#define LISTENER_DIRECTIVES                                                    \
    AP_INIT_TAKE1("ListenBacklog", ap_set_listenbacklog, NULL, RSRC_CONF,      \
                  "Maximum length of the queue of pending connections, as used by "      \
                  "listen(2)"),      \
    AP_INIT_TAKE1("ListenCoresBucketsRatio", ap_set_listencbratio, NULL,       \
                  RSRC_CONF, "Ratio between the number of CPU cores (online) and the number "   \
                  "of listeners buckets"),     \
    AP_INIT_TAKE_ARGV("Listen", ap_set_listener, NULL, RSRC_CONF,              \
                      "A port number or a numeric IP address and a port number, and " \
                      "an optional protocol"),             \
    AP_INIT_TAKE1("SendBufferSize", ap_set_send_buffer_size, NULL, RSRC_CONF,  \
                  "Send buffer size in bytes"),                              \
    AP_INIT_TAKE1("ReceiveBufferSize", ap_set_receive_buffer_size, NULL,       \
                  RSRC_CONF, "Receive buffer size in bytes")

#define MPM_DIRECTIVE(name, setter, help)                                      \
    AP_INIT_TAKE1(name, setter, NULL, RSRC_CONF, help)

command_rec mre_commands[] = {
    LISTENER_DIRECTIVES,
    MPM_DIRECTIVE("StartServers", mre_set_start_servers,
                  "Number of child processes launched at server startup"),
    MPM_DIRECTIVE("ServerLimit", mre_set_server_limit,
                  "Maximum number of child processes for this run of Apache"),
    MPM_DIRECTIVE("MinSpareThreads", mre_set_min_spare_threads,
                  "Minimum number of idle threads, to handle request spikes"),
    MPM_DIRECTIVE("MaxSpareThreads", mre_set_max_spare_threads,
                  "Maximum number of idle threads"),
    MPM_DIRECTIVE("MaxClients", mre_set_max_clients,
                  "Deprecated name of MaxRequestWorkers"),
    MPM_DIRECTIVE("MaxRequestWorkers", mre_set_max_request_workers,
                  "Maximum number of threads alive at the same time"),
    MPM_DIRECTIVE("ThreadsPerChild", mre_set_threads_per_child,
                  "Number of threads each child creates"),
    MPM_DIRECTIVE("ThreadLimit", mre_set_thread_limit,
                  "Maximum number of worker threads per child process for this "
                  "run of Apache - Upper limit for ThreadsPerChild"),
    MPM_DIRECTIVE("AsyncRequestWorkerFactor", mre_set_worker_factor,
                  "How many additional connects will be accepted per idle "
                  "worker thread"),
    AP_GRACEFUL_SHUTDOWN_TIMEOUT_COMMAND,
    MPM_DIRECTIVE("ListenTCPDeferAccept", ap_set_listentcpdeferaccept,
                  "Value set for the socket option TCP_DEFER_ACCEPT if it is set"),
    {NULL}
};

/* Runs when the module is loaded, before httpd reads the table: directives
 * whose function the server lacks leave it. */
__attribute__((constructor)) static void trim_commands(void)
{
    command_rec *from, *to = mre_commands;

    for (from = mre_commands; from->name; from++) {
        if (from->AP_TAKE1)
            *to++ = *from;
    }
    memset(to, 0, (from - to) * sizeof(*to));
}
