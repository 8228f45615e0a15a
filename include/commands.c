/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * The table of directives: command_rec has a union and initialiser macros that
 * only C can fill in. Apart from shim.c because it refers to functions of the
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
 * ListenTCPDeferAccept came with 2.4.66. Weak, so that one binary also loads
 * into older servers; the table then goes without the directive, as theirs do.
 */
__attribute__((weak)) AP_DECLARE_NONSTD(const char *)
ap_set_listentcpdeferaccept(cmd_parms *cmd, void *dummy, const char *arg);

/* The directives of httpd's own listener code, spelled out rather than taken
 * from LISTEN_COMMANDS, whose set depends on the headers of the build. */
#define LISTENER_DIRECTIVES                                                    \
    AP_INIT_TAKE1("ListenBacklog", ap_set_listenbacklog, NULL, RSRC_CONF,      \
                  "Length of the queue of connections not yet accepted"),      \
    AP_INIT_TAKE1("ListenCoresBucketsRatio", ap_set_listencbratio, NULL,       \
                  RSRC_CONF, "CPU cores per bucket of listening sockets"),     \
    AP_INIT_TAKE_ARGV("Listen", ap_set_listener, NULL, RSRC_CONF,              \
                      "[address:]port and optionally a protocol"),             \
    AP_INIT_TAKE1("SendBufferSize", ap_set_send_buffer_size, NULL, RSRC_CONF,  \
                  "Socket send buffer in bytes"),                              \
    AP_INIT_TAKE1("ReceiveBufferSize", ap_set_receive_buffer_size, NULL,       \
                  RSRC_CONF, "Socket receive buffer in bytes")

#define MPM_DIRECTIVE(name, setter, help)                                      \
    AP_INIT_TAKE1(name, setter, NULL, RSRC_CONF, help)

command_rec mre_commands[] = {
    LISTENER_DIRECTIVES,
    MPM_DIRECTIVE("StartServers", mre_set_start_servers,
                  "Child processes launched at start"),
    MPM_DIRECTIVE("ServerLimit", mre_set_server_limit,
                  "Upper limit of child processes, finishing ones included"),
    MPM_DIRECTIVE("MinSpareThreads", mre_set_min_spare_threads,
                  "Idle threads to keep ready for a burst of requests"),
    MPM_DIRECTIVE("MaxSpareThreads", mre_set_max_spare_threads,
                  "Idle threads above which children are stopped"),
    MPM_DIRECTIVE("MaxClients", mre_set_max_clients,
                  "Deprecated name of MaxRequestWorkers"),
    MPM_DIRECTIVE("MaxRequestWorkers", mre_set_max_request_workers,
                  "Requests served at the same time"),
    MPM_DIRECTIVE("ThreadsPerChild", mre_set_threads_per_child,
                  "Worker threads of each child process"),
    MPM_DIRECTIVE("ThreadLimit", mre_set_thread_limit,
                  "Upper limit of ThreadsPerChild for the life of the server"),
    MPM_DIRECTIVE("AsyncRequestWorkerFactor", mre_set_worker_factor,
                  "Connections accepted per idle worker thread, beyond ThreadsPerChild"),
    AP_GRACEFUL_SHUTDOWN_TIMEOUT_COMMAND,
    MPM_DIRECTIVE("ListenTCPDeferAccept", ap_set_listentcpdeferaccept,
                  "Seconds of the socket option TCP_DEFER_ACCEPT"),
    {NULL}
};

/* Runs when the module is loaded, before httpd reads the table. */
__attribute__((constructor)) static void trim_commands(void)
{
    const size_t last = sizeof(mre_commands) / sizeof(mre_commands[0]) - 2;

    if (!&ap_set_listentcpdeferaccept)
        memset(&mre_commands[last], 0, sizeof(mre_commands[last]));
}
