/* Opening, locking, reading and writing one session file. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ws_internal.h"

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
/* Nobody asks when a session was read, and noting it costs a tenth of that. */
#ifndef O_NOATIME
#define O_NOATIME 0
#endif
#define COPIED_LEN (1 << 14) /* of a record, to be written by one call */
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

/* Writes all of it, however many calls that takes. */
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

int ws_file_write(int fd, const uint8_t *header, const uint8_t *rest,
                  size_t rest_len, uint64_t offset, size_t least)
{
    uint8_t whole[COPIED_LEN];
    size_t len = WS_HEADER_LEN + rest_len;

    if (len > sizeof whole) {
        if (write_rest(fd, header, WS_HEADER_LEN, offset) < 0)
            return -1;
        return write_rest(fd, rest, rest_len, offset + WS_HEADER_LEN);
    }
    /* Copying a little is cheaper than telling of two parts. */
    memcpy(whole, header, WS_HEADER_LEN);
    memcpy(whole + WS_HEADER_LEN, rest, rest_len);
    for (; len < least; len++)
        whole[len] = 0;
    return write_rest(fd, whole, len, offset);
}

static int overwrite(int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[WS_PAGE_LEN];

    while (from < to) {
        size_t len =
            to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;

        if (write_rest(fd, zeros, len, from) < 0)
            return -1;
        from += len;
    }
    return 0;
}

int ws_file_wipe(int fd, uint64_t from, uint64_t to)
{
    uint64_t page = (from + WS_PAGE_LEN - 1) / WS_PAGE_LEN * WS_PAGE_LEN;
    uint64_t last = (to + WS_PAGE_LEN - 1) / WS_PAGE_LEN * WS_PAGE_LEN;

    if (page >= to)
        return overwrite(fd, from, to);
    if (overwrite(fd, from, page) < 0)
        return -1;
#ifdef FALLOC_FL_PUNCH_HOLE
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)page,
                  (off_t)(last - page)) == 0)
        return 0;
#endif
    (void)last;
    return overwrite(fd, page, to);
}

/* What a failed open says about the file rather than about the system. */
static int open_failure(void)
{
    if (errno == ENOENT || errno == EEXIST)
        return errno == ENOENT ? WS_ABSENT : WS_EXISTS;
    if (errno == ELOOP || errno == EISDIR || errno == ENXIO || errno == ENODEV)
        return WS_UNSAFE;
    return WS_ERRNO;
}

int ws_file_open(int dirfd, const char *path, int flags, int *fd)
{
    flags |= OPEN_FLAGS | O_NOATIME;
    while ((*fd = openat(dirfd, path, flags, 0600)) < 0) {
        if (errno == EPERM && flags & O_NOATIME)
            flags &= ~O_NOATIME; /* another user's */
        else if (errno != EINTR)
            return open_failure();
    }
    return WS_OK;
}

/*
 * Where there is statx it does not ask for times: a time that was looked at
 * makes the next write take a new one at once, which costs half as much as the
 * write (multigrain timestamps, Linux 6.13).
 */
int ws_file_look(int fd, const char *path, ws_info *info)
{
    int empty = path[0] == '\0';
    struct stat st;
#ifdef STATX_TYPE
    struct statx stx;
    int flags = empty ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;

    if (statx(fd, path, flags,
              STATX_TYPE | STATX_MODE | STATX_UID | STATX_NLINK | STATX_SIZE |
                  STATX_INO,
              &stx) == 0) {
        info->mode = stx.stx_mode;
        info->uid = stx.stx_uid;
        info->nlink = stx.stx_nlink;
        info->size = stx.stx_size;
        info->inode = stx.stx_ino;
        info->device = (uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor;
        return WS_OK;
    }
    /* EPERM: a seccomp filter that is older than statx. */
    if (errno != ENOSYS && errno != EPERM)
        return errno == ENOENT ? WS_ABSENT : WS_ERRNO;
#endif
    if ((empty ? fstat(fd, &st)
               : fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW)) < 0)
        return errno == ENOENT ? WS_ABSENT : WS_ERRNO;
    info->mode = st.st_mode;
    info->uid = st.st_uid;
    info->nlink = st.st_nlink;
    info->size = (uint64_t)st.st_size;
    info->inode = st.st_ino;
    info->device = st.st_dev;
    return WS_OK;
}

int ws_file_check(int fd, ws_info *info)
{
    if (ws_file_look(fd, "", info) != WS_OK)
        return WS_ERRNO;
    if (!S_ISREG(info->mode) || info->uid != geteuid())
        return WS_UNSAFE;
    return WS_OK;
}

double ws_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int ws_file_lock(int fd, int operation, double timeout)
{
    struct timespec wait = {0, FIRST_WAIT_NS};
    double until = 0; /* of a lock that is free nobody asks the time */

    while (flock(fd, operation | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue; /* with LOCK_NB it did not wait: no handler is late */
        if (errno != EWOULDBLOCK)
            return WS_ERRNO;
        if (until <= 0)
            until = ws_clock() + timeout;
        /* A busy machine sleeps longer than it was told: ask the clock. */
        if (timeout <= 0 || ws_clock() >= until)
            return WS_BUSY;
        if (nanosleep(&wait, NULL) < 0)
            return WS_INTERRUPTED;
        if (wait.tv_nsec < LONGEST_WAIT_NS)
            wait.tv_nsec *= 2;
    }
    return WS_OK;
}

int ws_file_take(int dirfd, const char *path, int flags, double timeout,
                 ws_info *info, int *fd)
{
    int status = ws_file_open(dirfd, path, flags, fd);

    if (status != WS_OK)
        return status;
    status = ws_file_lock(*fd, LOCK_EX, timeout);
    if (status == WS_OK)
        status = ws_file_check(*fd, info);
    if (status != WS_OK)
        (void)ws_file_release(*fd, 1, status);
    return status;
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

int ws_file_named(int dirfd, const char *path, const ws_info *info)
{
    ws_info now;
    int status = ws_file_look(dirfd, path, &now);

    if (status == WS_OK &&
        (now.device != info->device || now.inode != info->inode))
        return WS_ABSENT;
    return status;
}

int ws_shard_walk(const char *directory, size_t prefix_len, ws_visit *visit,
                  void *context)
{
    struct dirent *entry;
    DIR *listing;
    int error;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? WS_ABSENT : WS_ERRNO;
    listing = fdopendir(fd);
    if (listing == NULL)
        return ws_file_release(fd, 0, WS_ERRNO);
    while (errno = 0, (entry = readdir(listing)) != NULL) {
        size_t len = strspn(entry->d_name, "0123456789abcdef");

        if (entry->d_name[len] == '\0' && len + prefix_len == WS_NAME_LEN)
            visit(context, fd, entry->d_name);
    }
    error = errno;
    closedir(listing);
    errno = error;
    return error == 0 ? WS_OK : WS_ERRNO;
}
