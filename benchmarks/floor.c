/*
 * The floor: the bare system calls of each operation, in a loop. Every figure
 * is divided by these, measured in the same run on the same file system.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* open + read + close, as often as told; 0 or -1. */
int floor_read(const char *path, int times)
{
    char page[4096];

    while (times-- > 0) {
        int fd = open(path, O_RDONLY | FLAGS);

        if (fd < 0 || read(fd, page, sizeof page) < 0 || close(fd) < 0)
            return -1;
    }
    return 0;
}

/* open + flock + pread + pwrite in place + close. */
int floor_store(const char *path, int size, int times)
{
    char page[4096];

    while (times-- > 0) {
        int fd = open(path, O_RDWR | FLAGS);

        if (fd < 0 || flock(fd, LOCK_EX) < 0 ||
            pread(fd, page, sizeof page, 0) < size ||
            pwrite(fd, page, (size_t)size, 512 * (times & 1)) < size ||
            close(fd) < 0)
            return -1;
    }
    return 0;
}
