/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * A kernel that fails or takes its time in what an MPM does with connections.
 * For servers with this module in LD_PRELOAD, too: the functions below then
 * stand in for libc's.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "probe.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static apr_int64_t add_fails_until; /* CLOCK_MONOTONIC, us */
static volatile apr_uint32_t waits_to_fail;
static volatile apr_uint32_t delay_us;
static volatile apr_uint32_t found_delay_us;

static void delay(void)
{
    apr_uint32_t us = apr_atomic_read32(&delay_us);
    int error = errno;

    if (us) {
        usleep(us);
    }
    errno = error;
}

typedef long syscall_fn(long number, ...);

long syscall(long number, ...)
{
    static syscall_fn *real;
    syscall_fn *call = __atomic_load_n(&real, __ATOMIC_ACQUIRE);
    long a[6], rv;
    va_list ap;
    int i;

    if (!call) {
        call = (syscall_fn *)dlsym(RTLD_NEXT, "syscall");
        __atomic_store_n(&real, call, __ATOMIC_RELEASE);
    }
    va_start(ap, number);
    for (i = 0; i < 6; i++) {
        a[i] = va_arg(ap, long);
    }
    va_end(ap);
    rv = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE) {
        delay();
    }
    return rv;
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int rv;

    if (op == EPOLL_CTL_ADD
        && probe_now() < __atomic_load_n(&add_fails_until, __ATOMIC_ACQUIRE)) {
        errno = ENOMEM;
        return -1;
    }
    rv = (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    if (op == EPOLL_CTL_ADD) {
        delay();
    }
    return rv;
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
    int rv;

    if (apr_atomic_read32(&waits_to_fail) != 0) {
        apr_atomic_dec32(&waits_to_fail);
        errno = ENOMEM;
        return -1;
    }
    rv = (int)syscall(SYS_epoll_pwait, epfd, events, max, timeout, NULL, 8);
    if (rv > 0 && timeout != 0) {
        usleep(apr_atomic_read32(&found_delay_us));
    }
    return rv;
}

int probe_kernel_handler(request_rec *r)
{
    apr_int64_t ms = probe_arg_int(r, "shortage", 0);

    __atomic_store_n(&add_fails_until, probe_now() + ms * 1000,
                     __ATOMIC_RELEASE);
    apr_atomic_set32(&waits_to_fail,
                     (apr_uint32_t)probe_arg_int(r, "waits", 0));
    apr_atomic_set32(&delay_us,
                     (apr_uint32_t)probe_arg_int(r, "delay", 0));
    apr_atomic_set32(&found_delay_us,
                     (apr_uint32_t)probe_arg_int(r, "found_delay", 0));
    ap_rputs("as you say\n", r);
    return OK;
}
#else
int probe_kernel_handler(request_rec *r)
{
    return HTTP_NOT_FOUND;
}
#endif
