/* Read, create, commit and remove: one session, one call. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ws_internal.h"

/* How far a record's time may be from the kernel's before mtime is set. */
#define MTIME_TOLERANCE 0.1

/*
 * What a new file has at least: both slots of a small session, so that its
 * length does not change while its records fit into them.  A power loss might
 * otherwise leave a longer record in a file that has its old length.
 */
#define FIRST_LEN 1024

/* Hands over the live record, or says how much room it needs. */
static int64_t give_record(const ws_slots *slots, uint8_t *out)
{
    uint64_t start = ws_slot_start(slots->live);
    uint64_t len = ws_record_len(slots->header);

    if (slots->same)
        return 0;
    if (slots->needed == 0 && start + len <= slots->page_len) {
        if (len > slots->body_capacity)
            return (int64_t)len;
        memcpy(out, slots->page + start, (size_t)len);
    }
    return (int64_t)len;
}

/* A torn slot was seen: only a look under the lock tells what it means. */
static int scan_locked(ws_slots *slots, int fd, const char *name,
                       double timeout)
{
    ws_info info;
    int status = ws_file_lock(fd, LOCK_SH, timeout);

    if (status != WS_OK)
        return status;
    status = ws_file_check(fd, &info);
    if (status == WS_OK)
        status = ws_slots_scan(slots, fd, info.size, name, 1);
    (void)flock(fd, LOCK_UN);
    return status;
}

int64_t ws_session_read(const char *path, const char *name,
                        const ws_keys *keys, const uint8_t *known,
                        size_t known_len, void *out, size_t capacity,
                        double timeout)
{
    ws_slots slots;
    ws_info info;
    int64_t len = WS_ABSENT;
    int fd;
    int status = ws_file_open(AT_FDCWD, path, O_RDONLY, &fd);

    if (status != WS_OK)
        return status;
    slots.body = out;
    slots.body_capacity = capacity;
    slots.known = known;
    slots.known_len = known_len;
    status = ws_file_check(fd, &info);
    if (status != WS_OK) {
        len = status;
    } else if (info.size > 0) {
        status = ws_slots_scan(&slots, fd, info.size, name, 0);
        if (status == WS_DAMAGED)
            status = scan_locked(&slots, fd, name, timeout);
        len = status == WS_OK ? give_record(&slots, out) : status;
    }
    status = ws_file_release(fd, 0, WS_OK);
    if (keys != NULL && len > 0 && (uint64_t)len <= capacity &&
        !ws_mac_verifies(keys, name, out, (size_t)len))
        len = WS_FORGED;
    return status == WS_OK || len < 0 ? len : status;
}

/* The kernel's mtime must agree with the record's time for the sweep. */
static int agree_mtime(int fd, double stored)
{
    struct timespec now;
    struct timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
    double off;

    clock_gettime(CLOCK_REALTIME, &now);
    off = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - stored;
    if (off > -MTIME_TOLERANCE && off < MTIME_TOLERANCE)
        return 0;
    if (!(stored > -1e11 && stored < 1e11))
        return 0;
    times[1].tv_sec = (time_t)stored;
    if ((double)times[1].tv_sec > stored)
        times[1].tv_sec--;
    times[1].tv_nsec = (long)((stored - (double)times[1].tv_sec) * 1e9);
    if (times[1].tv_nsec > 999999999L)
        times[1].tv_nsec = 999999999L;
    return futimens(fd, times);
}

/* Completes a copy of the header and writes the record into the slot. */
static int write_record(int fd, const char *name, uint8_t *header,
                        const uint8_t *record, size_t record_len,
                        uint64_t sequence, uint64_t offset, int durability,
                        size_t least)
{
    uint32_t crc = ws_crc32(0, (const uint8_t *)name, WS_NAME_LEN);

    memcpy(header, record, WS_HEADER_LEN);
    ws_put_u64(header + WS_SEQUENCE_AT, sequence);
    crc =
        ws_crc32(crc, header + WS_SEQUENCE_AT, WS_HEADER_LEN - WS_SEQUENCE_AT);
    crc = ws_crc32(crc, record + WS_HEADER_LEN, record_len - WS_HEADER_LEN);
    ws_put_u32(header + WS_CRC_AT, crc);
    if (ws_file_write(fd, header, record + WS_HEADER_LEN,
                      record_len - WS_HEADER_LEN, offset, least) < 0)
        return WS_ERRNO;
    if (agree_mtime(fd, WS_STORED(header)) < 0)
        return WS_ERRNO;
    if (durability > 0 && fdatasync(fd) < 0)
        return WS_UNSYNCED;
    return WS_OK;
}

/*
 * Sets the marks that the record asks for, before it is written: a wrong one
 * is found by the sweep, a missing one is not.  Of a limit of its own only
 * when that is new, since the sweep takes the mark away from long ones.
 */
static int mark(int fd, const ws_info *info, const uint8_t *record,
                uint32_t idle_before)
{
    unsigned mode = info->mode & 07777;

    if (WS_IDLE(record) > 0 && WS_IDLE(record) != idle_before)
        mode |= WS_MODE_OWN_LIMIT;
    if (WS_FLAGS(record) & WS_FLAG_SUPERSEDED)
        mode |= WS_MODE_SUPERSEDED;
    if (mode == (info->mode & 07777) || fchmod(fd, mode) == 0)
        return WS_OK;
    return WS_ERRNO;
}

/*
 * Under LOCK_EX: is this still the session, and which record is live?  known,
 * with its length, is the caller's to set.
 */
static int look_locked(ws_slots *slots, int fd, const char *path,
                       const char *name, const ws_info *info)
{
    int status =
        info->nlink == 1 ? WS_OK : ws_file_named(AT_FDCWD, path, info);

    if (status != WS_OK)
        return status;
    if (info->size == 0)
        return WS_ABSENT;
    slots->body = NULL;
    return ws_slots_scan(slots, fd, info->size, name, 1);
}

/* Opens the session to be written: locked, with its live record found. */
static int take(ws_slots *slots, const char *path, const char *name,
                double timeout, ws_info *info, int *fd)
{
    int status = ws_file_take(AT_FDCWD, path, O_RDWR, timeout, info, fd);

    if (status != WS_OK)
        return status;
    status = look_locked(slots, *fd, path, name, info);
    if (status != WS_OK)
        (void)ws_file_release(*fd, 1, status);
    return status;
}

/* Under LOCK_EX: writes the record that follows the live one. */
static int write_next(ws_slots *slots, const ws_info *info, const char *name,
                      uint8_t *header, const uint8_t *record,
                      size_t record_len, int durability)
{
    int target = ws_first_slot(record_len, slots->live);

    if (mark(slots->fd, info, record, WS_IDLE(slots->header)) != WS_OK ||
        ws_slots_clean(slots, target, record_len) < 0)
        return WS_ERRNO;
    return write_record(slots->fd, name, header, record, record_len,
                        WS_SEQUENCE(slots->header) + 1, ws_slot_start(target),
                        durability,
                        WS_IN_PAGE(target) ? ws_slot_size(target) : 0);
}

/* counted may be empty: whoever calls has seen to the count. */
static int look_for_count(const char *counted)
{
    ws_info info;
    int status = *counted ? ws_file_look(AT_FDCWD, counted, &info) : WS_ABSENT;

    return status == WS_OK ? WS_COUNTED : status == WS_ABSENT ? WS_OK : status;
}

/*
 * Whoever has begun to count meanwhile may have come by before it was done, or
 * after.  Where this look fails, the sweep will correct the count.
 */
static int look_again(const char *counted, int status)
{
    if (status == WS_OK && look_for_count(counted) == WS_COUNTED)
        return WS_COUNTED_SINCE;
    return status;
}

int ws_session_create(const char *path, const char *name,
                      const uint8_t *record, size_t record_len,
                      const char *counted, int durability, double timeout)
{
    uint8_t header[WS_HEADER_LEN];
    double until = ws_clock() + timeout;
    ws_info info = {0};
    int fd;
    int status = ws_check_record(record, record_len);

    if (status == WS_OK)
        status = look_for_count(counted);
    if (status == WS_OK)
        status = ws_file_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, &fd);
    if (status != WS_OK)
        return status;
    /*
     * A sweep or a deletion may have come first; they leave at once.  A
     * signal does not end the wait: called again, this would find its own
     * file and take it for another one's.
     */
    do
        status = ws_file_lock(fd, LOCK_EX, until - ws_clock());
    while (status == WS_INTERRUPTED);
    if (status != WS_OK)
        goto done;
    status = ws_file_check(fd, &info);
    if (status == WS_OK && info.nlink == 0)
        status = WS_EXISTS;
    if (status == WS_OK && (info.mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
        status = WS_ERRNO;
    info.mode = 0600;
    if (status == WS_OK)
        status = mark(fd, &info, record, 0);
    if (status == WS_OK)
        status = write_record(fd, name, header, record, record_len, 1,
                              ws_slot_start(ws_first_slot(record_len, -1)),
                              durability, FIRST_LEN);
    if (status == WS_ERRNO || status == WS_UNSYNCED) {
        int saved = errno;

        status = WS_ERRNO;
        if (ws_file_named(AT_FDCWD, path, &info) == WS_OK)
            (void)unlink(path);
        errno = saved;
    }
done:
    return look_again(counted, ws_file_release(fd, 1, status));
}

int ws_session_commit(const char *path, const char *name,
                      const uint8_t *record, size_t record_len,
                      const uint8_t *expected, double now, double idle,
                      double lifetime, int durability, double timeout,
                      void *header)
{
    ws_slots slots;
    ws_info info;
    int fd;
    int status = ws_check_record(record, record_len);

    slots.known = NULL;
    if (status == WS_OK)
        status = take(&slots, path, name, timeout, &info, &fd);
    if (status != WS_OK)
        return status;
    memcpy(header, slots.header, WS_HEADER_LEN);
    status = ws_may_follow(&slots, record, expected, now, idle, lifetime);
    if (status == WS_OK)
        status = write_next(&slots, &info, name, header, record, record_len,
                            durability);
    return ws_file_release(fd, 1, status);
}

/* What ws_session_replace writes, made in out from the live record. */
static int64_t with_data(const ws_slots *slots, const char *name,
                         const ws_keys *keys, const uint8_t *data,
                         size_t data_len, int serializer, double now,
                         uint8_t *out)
{
    const uint8_t *live = slots->page + ws_slot_start(slots->live);
    uint64_t live_len = ws_record_len(slots->header);
    size_t kept =
        ws_env_at(slots->header) - WS_HEADER_LEN + WS_ENV_LEN(slots->header);
    double ahead = WS_STORED(slots->header) - now;

    if (!WS_IN_PAGE(slots->live) ||
        kept + data_len > WS_PAGE_LEN - WS_HEADER_LEN)
        return WS_LARGE;
    if (!slots->same && !ws_mac_verifies(keys, name, live, (size_t)live_len))
        return WS_FORGED;
    if (WS_ENV_LEN(live) > 0 && live[WS_SERIALIZER_AT] != serializer)
        return WS_CONFLICT;
    memcpy(out, live, WS_HEADER_LEN + kept);
    if (!(ahead > 0 && ahead <= WS_CLOCK_SLACK))
        ws_put_f64(out + WS_STORED_AT, now);
    ws_put_u32(out + WS_DATA_LEN_AT, (uint32_t)data_len);
    out[WS_SERIALIZER_AT] = (uint8_t)serializer;
    memcpy(out + WS_HEADER_LEN + kept, data, data_len);
    ws_mac(keys, 0, name, out, out + WS_HEADER_LEN, kept + data_len,
           out + WS_MAC_AT);
    return (int64_t)(WS_HEADER_LEN + kept + data_len);
}

int64_t ws_session_replace(const char *path, const char *name,
                           const ws_keys *keys, const uint8_t *known,
                           size_t known_len, const uint8_t *data,
                           size_t data_len, int serializer, double now,
                           double idle, double lifetime, int durability,
                           double timeout, uint8_t *out)
{
    uint8_t header[WS_HEADER_LEN];
    ws_slots slots;
    ws_info info;
    int64_t len;
    int fd, status;

    slots.known = known;
    slots.known_len = known_len;
    status = take(&slots, path, name, timeout, &info, &fd);
    if (status != WS_OK)
        return status;
    len = with_data(&slots, name, keys, data, data_len, serializer, now, out);
    status = len < 0 ? (int)len : ws_check_record(out, (size_t)len);
    if (status == WS_OK)
        status = ws_may_follow(&slots, out, slots.header, now, idle, lifetime);
    memcpy(header, slots.header, sizeof header);
    if (status == WS_OK)
        status = write_next(&slots, &info, name, header, out, (size_t)len,
                            durability);
    memcpy(out, header, sizeof header);
    status = ws_file_release(fd, 1, status);
    return status == WS_OK ? len : status;
}

int ws_session_remove(const char *path, const char *name,
                      const uint8_t *expected, int marked, const char *counted,
                      double timeout)
{
    ws_slots slots;
    ws_info info;
    int fd;
    int status = look_for_count(counted);

    if (status == WS_OK)
        status = ws_file_take(AT_FDCWD, path, O_RDONLY, timeout, &info, &fd);
    if (status != WS_OK)
        return status;
    if (info.size == 0)
        status = WS_ABSENT; /* somebody is about to make it */
    else
        status = ws_file_named(AT_FDCWD, path, &info);
    if (status == WS_OK && expected == NULL && !marked &&
        (info.mode & WS_MODE_SUPERSEDED))
        status = WS_SUPERSEDED;
    if (status == WS_OK && expected != NULL) {
        slots.known = NULL;
        status = look_locked(&slots, fd, path, name, &info);
        if (status == WS_OK &&
            memcmp(slots.header, expected, WS_HEADER_LEN) != 0)
            status = WS_CONFLICT;
    }
    if (status == WS_OK && unlink(path) < 0)
        status = WS_ERRNO;
    /* What is gone is gone, whatever the end of its file looks like. */
    (void)ws_file_release(fd, 1, status);
    return look_again(counted, status);
}
