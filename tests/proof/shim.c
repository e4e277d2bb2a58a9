/*
 * What a test cannot wait for, for LD_PRELOAD: a clock that is ahead
 * (SHIM_AHEAD, seconds), and transfers that end early (SHIM_SHORT=1), as a
 * signal or a full disk may end them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
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

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    const char *ahead = getenv("SHIM_AHEAD");

    if (result == 0 && clock == CLOCK_REALTIME && ahead != NULL)
        now->tv_sec += atol(ahead);
    return result;
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
