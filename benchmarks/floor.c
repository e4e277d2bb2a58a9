/*
 * The floor: the bare system calls of each operation, in a loop. Every figure
 * is divided by these, measured in the same run on the same file system.
 * They return 0, or -1 with the cause in errno.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define LARGEST (1 << 20)

static char page[LARGEST];

/* open + read + close of the files in turn, as often as told. */
int floor_read(char *const *paths, int count, int size, int times)
{
    while (times-- > 0) {
        int fd = open(paths[times % count], O_RDONLY | FLAGS);

        if (fd < 0 || read(fd, page, (size_t)size) < 0 || close(fd) < 0)
            return -1;
    }
    return 0;
}

/* open + flock + pread + pwrite, into one of two places, + close. */
int floor_store(char *const *paths, int count, int size, int times)
{
    size_t start = size < 4096 ? 4096 : 64; /* a header is enough of more */
    off_t second = 512;

    while (second < size)
        second *= 2;
    while (times-- > 0) {
        int fd = open(paths[times % count], O_RDWR | FLAGS);

        if (fd < 0 || flock(fd, LOCK_EX) < 0 ||
            pread(fd, page, start, 0) < 0 ||
            pwrite(fd, page, (size_t)size, second * (times & 1)) < size ||
            close(fd) < 0)
            return -1;
    }
    return 0;
}

/* What a request does that changes its session: both, one after the other. */
int floor_cycle(char *const *paths, int count, int size, int times)
{
    while (times-- > 0) {
        char *const *path = paths + times % count;

        if (floor_read(path, 1, size, 1) < 0 ||
            floor_store(path, 1, size, 1) < 0)
            return -1;
    }
    return 0;
}

/* create + write + close of new files, in directories of two hex digits. */
int floor_create(const char *root, int size, unsigned first, int times)
{
    char path[4096];

    for (; times-- > 0; first++) {
        int fd;

        (void)snprintf(path, sizeof path, "%s/%02x/%08x", root,
                       (first * 2654435761u) >> 24, first);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | FLAGS, 0600);
        if (fd < 0 || write(fd, page, (size_t)size) < size || close(fd) < 0)
            return -1;
    }
    return 0;
}

/* unlink of what floor_create made. */
int floor_delete(const char *root, unsigned first, int times)
{
    char path[4096];

    for (; times-- > 0; first++) {
        (void)snprintf(path, sizeof path, "%s/%02x/%08x", root,
                       (first * 2654435761u) >> 24, first);
        if (unlink(path) < 0)
            return -1;
    }
    return 0;
}

/* getdents + fstatat of all files in directories of two hex digits. */
int floor_sweep(const char *root)
{
    char path[4096];
    int shard;

    for (shard = 0; shard < 256; shard++) {
        struct dirent *entry;
        struct stat st;
        DIR *directory;

        (void)snprintf(path, sizeof path, "%s/%02x", root, shard);
        directory = opendir(path);
        if (directory == NULL)
            continue;
        while ((entry = readdir(directory)) != NULL)
            if (entry->d_name[0] != '.' &&
                fstatat(dirfd(directory), entry->d_name, &st,
                        AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        (void)closedir(directory);
    }
    return 0;
}
