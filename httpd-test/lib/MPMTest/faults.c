/* Licensed under the Apache License, Version 2.0: see the file LICENSE. */

/*
 * Preloaded into a server under test: a system call fails while there is a
 * file of its name in the directory MPMTEST_FAULTS. The file says how many
 * calls of each process succeed before that ("0", "3"). The file "tasks" is a
 * limit of tasks for the server, its parent and children together, as
 * RLIMIT_NPROC is for a user: then fork and pthread_create fail. The file
 * "slow_threads" says how many milliseconds pthread_create takes.
 * MPMTest::Messages compiles it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <unistd.h>

/* The number in the file of that name; -1 if there is none. */
static int number(const char *name)
{
    const char *dir = getenv("MPMTEST_FAULTS");
    char path[4096];
    int n = 0;
    FILE *f;

    if (!dir) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "r");
    if (!f) {
        return -1;
    }
    if (fscanf(f, "%d", &n) != 1) {
        n = 0;
    }
    fclose(f);
    return n;
}

static int fails(const char *name, int *calls)
{
    int allowed = number(name);

    return allowed >= 0
        && __atomic_fetch_add(calls, 1, __ATOMIC_SEQ_CST) >= allowed;
}

/* Threads of a process; one that has not been reaped counts as well. */
static int threads_of(int pid)
{
    char path[64], line[1024], *p;
    int n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (!f) {
        return 0;
    }
    if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')'))
        && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u"
                         " %*u %*d %*d %*d %*d %d", &n) != 1) {
        n = 0;
    }
    fclose(f);
    return n > 0 ? n : 1;
}

static int same_program(int pid)
{
    struct stat mine, other;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    return !stat("/proc/self/exe", &mine) && !stat(path, &other)
        && mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

/* Tasks of the whole server: of this process or its parent, and the children. */
static int tasks(void)
{
    int parent = same_program(getppid()) ? getppid() : getpid();
    int n = threads_of(parent), child;
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    f = fopen(path, "r");
    if (!f) {
        return n;
    }
    while (fscanf(f, "%d", &child) == 1) {
        n += threads_of(child);
    }
    fclose(f);
    return n;
}

static int no_room(void)
{
    int limit = number("tasks");

    return limit >= 0 && tasks() >= limit;
}

/* The real function behind ours. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Fails with the error number, after so many calls. */
#define FAULT(name, result, error)                                            \
    do {                                                                      \
        static int calls;                                                     \
        if (fails(name, &calls)) {                                            \
            errno = error;                                                    \
            return result;                                                    \
        }                                                                     \
    } while (0)

int epoll_create1(int flags)
{
    FAULT("epoll_create", -1, EMFILE);
    return REAL(epoll_create1)(flags);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD) {
        FAULT("epoll_add", -1, ENOSPC);
    }
    return REAL(epoll_ctl)(epfd, op, fd, event);
}

pid_t fork(void)
{
    FAULT("fork", -1, EAGAIN);
    if (no_room()) {
        errno = EAGAIN;
        return -1;
    }
    return REAL(fork)();
}

int pipe(int fds[2])
{
    FAULT("pipe", -1, EMFILE);
    return REAL(pipe)(fds);
}

int pipe2(int fds[2], int flags)
{
    FAULT("pipe", -1, EMFILE);
    return REAL(pipe2)(fds, flags);
}

pid_t setsid(void)
{
    FAULT("setsid", -1, EPERM);
    return REAL(setsid)();
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    FAULT("bind", -1, EADDRINUSE);
    return REAL(bind)(fd, address, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *argument)
{
    int slow_ms = number("slow_threads");

    FAULT("pthread_create", EAGAIN, EAGAIN);
    if (slow_ms > 0) {
        usleep(slow_ms * 1000);
    }
    if (no_room()) {
        return EAGAIN;
    }
    return REAL(pthread_create)(thread, attributes, start, argument);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    FAULT("pthread_sigmask", EINVAL, EINVAL);
    return REAL(pthread_sigmask)(how, set, old);
}

int pthread_join(pthread_t thread, void **value)
{
    FAULT("pthread_join", EINVAL, EINVAL);
    return REAL(pthread_join)(thread, value);
}

/*
 * The file "accept" says after how many calls, with which error number, and
 * at which port, or 0 for any; calls at other ports are not counted.
 */
static int accept_fails(int fd)
{
    static int calls;
    struct sockaddr_in name;
    socklen_t length = sizeof(name);
    const char *dir = getenv("MPMTEST_FAULTS");
    char path[4096];
    int allowed, error, port, got = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/accept", dir ? dir : "");
    f = dir ? fopen(path, "r") : NULL;
    if (f) {
        got = fscanf(f, "%d %d %d", &allowed, &error, &port);
        fclose(f);
    }
    if (got != 3
        || (port && (getsockname(fd, (struct sockaddr *)&name, &length)
                     || ntohs(name.sin_port) != port))
        || __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST) < allowed) {
        return 0;
    }
    errno = error;
    return 1;
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return accept_fails(fd) ? -1 : REAL(accept)(fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return accept_fails(fd) ? -1 : REAL(accept4)(fd, address, length, flags);
}

/* Of IPv4 connections only; the descriptor is closed all the same. */
static int is_connection(int fd)
{
    struct sockaddr_storage name;
    socklen_t name_length = sizeof(name);
    int listens = 0;
    socklen_t length = sizeof(listens);

    return !getsockname(fd, (struct sockaddr *)&name, &name_length)
        && name.ss_family == AF_INET
        && !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length)
        && !listens;
}

int close(int fd)
{
    static int calls;

    if (is_connection(fd) && fails("close", &calls)) {
        REAL(close)(fd);
        errno = EIO;
        return -1;
    }
    return REAL(close)(fd);
}
