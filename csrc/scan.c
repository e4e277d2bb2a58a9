/* Counting what a shard directory holds, and reading some of it. */
#define _GNU_SOURCE
#include <fcntl.h>

#include "ws_internal.h"

/* Without the lock: of a torn slot the caller has to look again. */
static int32_t read_header(int dirfd, const char *file, ws_row *row)
{
    ws_slots slots;
    ws_info info;
    int fd;
    int status = ws_file_open(dirfd, file, O_RDONLY, &fd);

    if (status != WS_OK)
        return status;
    slots.body = NULL;
    slots.known = NULL;
    status = ws_file_check(fd, &info);
    if (status == WS_OK)
        status = info.size == 0
                     ? WS_ABSENT
                     : ws_slots_scan(&slots, fd, info.size, row->name, 0);
    if (status == WS_OK)
        memcpy(row->header, slots.header, WS_HEADER_LEN);
    return ws_file_release(fd, 0, status);
}

static void look(void *context, int dirfd, const char *file)
{
    ws_scanned *s = context;
    size_t prefix_len = strlen(s->prefix);
    struct stat info;
    ws_row *row;

    if (fstatat(dirfd, file, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(info.st_mode))
        return;
    s->blocks += info.st_blocks;
    s->empty += info.st_size == 0;
    if (info.st_size == 0)
        return;
    if (info.st_mode & WS_MODE_SUPERSEDED)
        s->superseded++;
    else
        s->sessions++;
    if (s->every == 0 || s->seen++ % s->every != 0 || s->filled++ >= s->room)
        return;
    row = s->rows + (s->filled - 1);
    memcpy(row->name, s->prefix, prefix_len);
    memcpy(row->name + prefix_len, file, WS_NAME_LEN - prefix_len);
    row->blocks = info.st_blocks;
    row->status = read_header(dirfd, file, row);
}

int ws_shard_scan(const char *directory, ws_scanned *scanned)
{
    return ws_shard_walk(directory, strlen(scanned->prefix), look, scanned);
}
