/* Opening, locking, reading and writing one session file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ws_internal.h"

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define FIRST_WAIT_NS 50000L
#define LONGEST_WAIT_NS 2000000L

ssize_t ws_file_read(int fd, uint8_t *out, size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, out + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* The part of a record that a short write left over. */
static int write_rest(int fd, const uint8_t *from, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, from, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                errno = ENOSPC;
            return -1;
        }
        from += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int ws_file_write(int fd, const uint8_t *header,
                  const uint8_t *rest, size_t rest_len, uint64_t offset)
{
    struct iovec parts[2] = {
        {(void *)(uintptr_t)header, WS_HEADER_LEN},
        {(void *)(uintptr_t)rest, rest_len},
    };
    ssize_t n;
    size_t done;

    do
        n = pwritev(fd, parts, 2, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    done = (size_t)n;
    if (done < WS_HEADER_LEN) {
        if (write_rest(fd, header + done, WS_HEADER_LEN - done,
                       offset + done) < 0)
            return -1;
        done = WS_HEADER_LEN;
    }
    return write_rest(fd, rest + (done - WS_HEADER_LEN),
                      rest_len - (done - WS_HEADER_LEN), offset + done);
}

/* What a failed open says about the file rather than about the system. */
static int open_failure(void)
{
    switch (errno) {
    case ENOENT:
        return WS_ABSENT;
    case EEXIST:
        return WS_EXISTS;
    case ELOOP:
    case EISDIR:
    case ENXIO:
    case ENODEV:
        return WS_UNSAFE;
    default:
        return WS_ERRNO;
    }
}

int ws_file_open(int dirfd, const char *path, int flags, int *fd)
{
    do
        *fd = openat(dirfd, path, flags | OPEN_FLAGS, 0600);
    while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? open_failure() : WS_OK;
}

int ws_file_check(int fd, struct stat *info)
{
    if (fstat(fd, info) < 0)
        return WS_ERRNO;
    if (!S_ISREG(info->st_mode) || info->st_uid != geteuid())
        return WS_UNSAFE;
    return WS_OK;
}

int ws_file_lock(int fd, int operation, double timeout)
{
    struct timespec wait = {0, FIRST_WAIT_NS};
    double left = timeout;

    while (flock(fd, operation | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue; /* with LOCK_NB it did not wait: no handler is late */
        if (errno != EWOULDBLOCK)
            return WS_ERRNO;
        if (left <= 0)
            return WS_BUSY;
        if (nanosleep(&wait, NULL) < 0)
            return WS_INTERRUPTED;
        left -= (double)wait.tv_nsec / 1e9;
        if (wait.tv_nsec < LONGEST_WAIT_NS)
            wait.tv_nsec *= 2;
    }
    return WS_OK;
}

int ws_file_release(int fd, int locked, int status)
{
    int saved = errno;

    if (locked)
        (void)flock(fd, LOCK_UN);
    if (close(fd) < 0 && status >= 0 && errno != EINTR)
        return WS_ERRNO;
    errno = saved;
    return status;
}

int ws_file_named(int dirfd, const char *path, const struct stat *info)
{
    struct stat now;

    if (fstatat(dirfd, path, &now, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? WS_ABSENT : WS_ERRNO;
    if (now.st_dev != info->st_dev || now.st_ino != info->st_ino)
        return WS_ABSENT;
    return WS_OK;
}
