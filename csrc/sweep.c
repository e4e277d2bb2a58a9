/* Removing the expired sessions of one shard directory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "ws_internal.h"

/* Empty files that are older than this by the kernel's clock are reaped. */
#define ABANDONED_AFTER 3600.0

typedef struct {
    int dirfd;
    const char *prefix;
    size_t prefix_len;
    double now, idle, lifetime;
    double shortest; /* of the two limits, 0: there is none */
    double kernel_now;
    char *odd;
    size_t odd_left;
    ws_swept *swept;
} sweep;

static double seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The caller is told the names of as many odd files as there is room for. */
static void note_odd(sweep *s, const char *file)
{
    size_t len = strlen(file) + 1;

    s->swept->odd++;
    if (len > s->odd_left)
        return;
    memcpy(s->odd, file, len);
    s->odd += len;
    s->odd_left -= len;
}

static void note_failure(sweep *s, int status)
{
    s->swept->failed++;
    s->swept->error = status == WS_ERRNO ? errno : 0;
}

/* The metadata only says whether the record is worth a look. */
static int nominated(const sweep *s, const struct stat *info)
{
    double age = s->now - seconds(info->st_mtim);

    if (info->st_size == 0)
        return s->kernel_now - seconds(info->st_ctim) > ABANDONED_AFTER;
    if (info->st_mode & (WS_MODE_SUPERSEDED | WS_MODE_OWN_LIMIT))
        return 1;
    return s->shortest > 0 && age > s->shortest;
}

/* Is the record past its time?  A superseded one has a time of its own. */
static int record_over(const sweep *s, const ws_slots *slots)
{
    const uint8_t *header = slots->header;
    uint64_t at = ws_slot_start(slots->live) + WS_HEADER_LEN;
    uint8_t until[8];

    if (!(WS_FLAGS(header) & WS_FLAG_SUPERSEDED))
        return ws_record_expired(header, s->now, s->idle, s->lifetime);
    return ws_file_read(slots->fd, until, sizeof until, at) ==
               (ssize_t)sizeof until &&
           s->now >= ws_get_f64(until);
}

/*
 * Takes away marks that are wrong, of a crash between mark and record or of a
 * limit that is no more, and that of a limit which is none of the shorter
 * ones.  Is it a session that counts now?
 */
static int unmark(sweep *s, const ws_slots *slots, int fd, const ws_info *info)
{
    unsigned mode = info->mode & 07777;
    uint32_t own = WS_IDLE(slots->header);

    if (WS_FLAGS(slots->header) & WS_FLAG_SUPERSEDED)
        own = 0; /* it goes by another time */
    else
        mode &= ~(unsigned)WS_MODE_SUPERSEDED;
    if (own == 0 || (s->shortest > 0 && own >= s->shortest))
        mode &= ~(unsigned)WS_MODE_OWN_LIMIT;
    else if (s->swept->own == 0 || own < s->swept->own)
        s->swept->own = own;
    if (mode != (info->mode & 07777) && fchmod(fd, mode) < 0) {
        note_failure(s, WS_ERRNO);
        mode = info->mode;
    }
    return !(mode & WS_MODE_SUPERSEDED);
}

/* Under the lock, with the file shown to be the one of that name. */
static void judge(sweep *s, const char *file, int fd, const ws_info *info)
{
    char name[WS_NAME_LEN + 1];
    ws_slots slots;
    int status = WS_OK;
    int empty = info->size == 0;

    memcpy(name, s->prefix, s->prefix_len);
    memcpy(name + s->prefix_len, file, WS_NAME_LEN + 1 - s->prefix_len);
    slots.body = NULL;
    slots.known = NULL;
    if (!empty)
        status = ws_slots_scan(&slots, fd, info->size, name, 1);
    if (status == WS_ERRNO) {
        note_failure(s, status);
    } else if (status == WS_DAMAGED) {
        note_odd(s, file);
    } else if (status == WS_OK && (empty || record_over(s, &slots))) {
        if (unlinkat(s->dirfd, file, 0) < 0)
            note_failure(s, WS_ERRNO);
        else if (empty || (info->mode & WS_MODE_SUPERSEDED))
            s->swept->reaped++;
        else
            s->swept->removed++;
        return;
    }
    if (status == WS_OK)
        s->swept->live += unmark(s, &slots, fd, info);
    else
        s->swept->live += !(info->mode & WS_MODE_SUPERSEDED);
}

/* Takes the lock of a nominated file, once, and judges it. */
static void examine(sweep *s, const char *file, int counts)
{
    ws_info info;
    int fd;
    int status = ws_file_take(s->dirfd, file, O_RDONLY, 0, &info, &fd);

    if (status == WS_OK) {
        status = ws_file_named(s->dirfd, file, &info);
        if (status == WS_OK)
            judge(s, file, fd, &info);
        (void)ws_file_release(fd, 1, status);
    }
    if (status == WS_OK || status == WS_ABSENT)
        return;
    s->swept->live += counts;
    if (status == WS_BUSY)
        s->swept->busy++;
    else
        note_failure(s, status);
}

static void visit(void *context, int dirfd, const char *file)
{
    sweep *s = context;
    struct stat info;
    int counts;

    s->dirfd = dirfd;
    if (fstatat(dirfd, file, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            note_failure(s, WS_ERRNO);
        return;
    }
    if (!S_ISREG(info.st_mode))
        return;
    counts = info.st_size > 0 && !(info.st_mode & WS_MODE_SUPERSEDED);
    if (nominated(s, &info))
        examine(s, file, counts);
    else
        s->swept->live += counts;
}

int ws_shard_sweep(const char *directory, const char *prefix, double now,
                   double idle, double lifetime, char *odd,
                   size_t odd_capacity, ws_swept *swept)
{
    sweep s = {.prefix = prefix,
               .prefix_len = strlen(prefix),
               .now = now,
               .idle = idle,
               .lifetime = lifetime,
               .odd = odd,
               .odd_left = odd_capacity,
               .swept = swept};
    struct timespec kernel_now;

    memset(swept, 0, sizeof *swept);
    s.shortest =
        lifetime > 0 && (idle <= 0 || lifetime < idle) ? lifetime : idle;
    clock_gettime(CLOCK_REALTIME, &kernel_now);
    s.kernel_now = seconds(kernel_now);
    return ws_shard_walk(directory, s.prefix_len, visit, &s);
}
