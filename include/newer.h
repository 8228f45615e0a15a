/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * Functions that httpd got in the course of 2.4. One binary serves all of its
 * releases, so nothing here may be an ordinary reference: httpd loads modules
 * with RTLD_NOW, and a name that the server lacks would end the load with the
 * dynamic linker's words. The references are weak; each function below does
 * what a server without the newer one expects of its MPM instead.
 */
#ifndef MPM_RUST_EVENT_NEWER_H
#define MPM_RUST_EVENT_NEWER_H

#include "httpd.h"
#include "scoreboard.h"
#include "apr_thread_proc.h"

/* 2.4.50: before it, an MPM ran the hook and noted a refusal itself. */
int mre_pre_connection(conn_rec *c, void *csd);

/* 2.4.49: a hook that older servers don't have. */
void mre_run_child_stopping(apr_pool_t *pchild, int graceful);

/* 2.4.53, and APR's own from 1.8: before them, threads didn't know themselves. */
apr_status_t mre_thread_create(apr_thread_t **thread, apr_threadattr_t *attr,
                               apr_thread_start_t body, void *data,
                               apr_pool_t *pool);
apr_status_t mre_thread_main_create(apr_thread_t **thread, apr_pool_t *pool);
void mre_thread_current_after_fork(void);

/*
 * process_score.wait_io (2.4.63). It follows the member that was the last one
 * before; whether the running server has it, its revision tells.
 */
apr_uint32_t *mre_process_wait_io(process_score *process);

/*
 * The name of a function that this module can't do without and the server
 * lacks (it is older than 2.4.33); NULL when there is none. src/sys/weak.rs
 * makes Rust's references to the same functions weak.
 */
const char *mre_missing_function(void);

#endif
