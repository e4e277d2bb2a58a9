/*
 * What a test cannot wait for, for LD_PRELOAD: a clock that is ahead
 * (SHIM_AHEAD, seconds), transfers that end early (SHIM_SHORT=1), as a signal
 * or a full disk may end them, sleeps of a busy machine that last SHIM_SLOW
 * times as long as they were asked to (the clock says so; nobody sleeps), and
 * a seccomp filter that does not know statx (SHIM_NO_STATX=1).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static size_t shortened(size_t length)
{
    static unsigned seed = 1;

    if (getenv("SHIM_SHORT") == NULL || length < 2)
        return length;
    seed = seed * 1103515245u + 12345u;
    return 1 + (seed >> 8) % length;
}

static long long slept; /* nanoseconds, that nobody slept */

static void add(struct timespec *time, long long nanoseconds)
{
    nanoseconds += time->tv_nsec;
    time->tv_sec += nanoseconds / 1000000000;
    time->tv_nsec = nanoseconds % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    const char *ahead = getenv("SHIM_AHEAD");

    if (result == 0 && clock == CLOCK_REALTIME && ahead != NULL)
        now->tv_sec += atol(ahead);
    if (result == 0 && clock == CLOCK_MONOTONIC)
        add(now, slept);
    return result;
}

static int oversleep(long long nanoseconds, const char *factor)
{
    if (nanoseconds > 0)
        slept += nanoseconds * atol(factor);
    return 0;
}

int nanosleep(const struct timespec *wait, struct timespec *left)
{
    const char *factor = getenv("SHIM_SLOW");

    if (factor == NULL)
        return REAL(nanosleep)(wait, left);
    return oversleep(wait->tv_sec * 1000000000LL + wait->tv_nsec, factor);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wait,
                    struct timespec *left)
{
    const char *factor = getenv("SHIM_SLOW");
    long long wanted = wait->tv_sec * 1000000000LL + wait->tv_nsec;
    struct timespec now = {0, 0};

    if (factor == NULL)
        return REAL(clock_nanosleep)(clock, flags, wait, left);
    if (flags & TIMER_ABSTIME)
        clock_gettime(clock, &now);
    return oversleep(wanted - now.tv_sec * 1000000000LL - now.tv_nsec,
                     factor);
}

int statx(int fd, const char *path, int flags, unsigned mask,
          struct statx *found)
{
    if (getenv("SHIM_NO_STATX") == NULL)
        return REAL(statx)(fd, path, flags, mask, found);
    errno = EPERM;
    return -1;
}

ssize_t pread(int fd, void *out, size_t length, off_t offset)
{
    return REAL(pread)(fd, out, shortened(length), offset);
}

ssize_t pread64(int fd, void *out, size_t length, off_t offset)
{
    return REAL(pread)(fd, out, shortened(length), offset);
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t offset)
{
    return REAL(pwrite)(fd, from, shortened(length), offset);
}

ssize_t pwrite64(int fd, const void *from, size_t length, off_t offset)
{
    return REAL(pwrite)(fd, from, shortened(length), offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (getenv("SHIM_SHORT") == NULL)
        return REAL(pwritev)(fd, parts, count, offset);
    return pwrite(fd, parts[0].iov_base, parts[0].iov_len, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev(fd, parts, count, offset);
}

ssize_t write(int fd, const void *from, size_t length)
{
    return REAL(write)(fd, from, fd > 2 ? shortened(length) : length);
}
