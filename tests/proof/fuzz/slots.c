/*
 * libFuzzer's target for the C part: any bytes as a session file.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Icsrc
 *         -Ibuild/generated tests/proof/fuzz/slots.c csrc/crc.c
 *         csrc/files.c csrc/mac.c csrc/operations.c csrc/rules.c
 *         csrc/slots.c csrc/wipe.c -o slots
 *     ./slots -max_len=70000 corpus tests/proof/fuzz/corpus
 *
 * The first byte chooses what is done. The checksum of the slots is put right
 * first, where that byte says so: otherwise nothing would get past it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ws_internal.h"

#define NAME "94eb7a80f07d44a42dd084010bb524c9"
#define LONGEST (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "violated: %s\n", what);
        abort();
    }
}

/* Makes every slot whose lengths allow it valid. */
static void mend(uint8_t *file, size_t size)
{
    uint32_t name_crc = ws_crc32(0, (const uint8_t *)NAME, WS_NAME_LEN);
    int slot;

    for (slot = 0; slot < WS_MAX_SLOTS; slot++) {
        uint64_t start = ws_slot_start(slot);
        uint64_t len;

        if (start + WS_HEADER_LEN > size)
            break;
        len = ws_record_len(file + start);
        if (len <= ws_slot_size(slot) && start + len <= size)
            ws_put_u32(file + start + 4,
                       ws_crc32(name_crc, file + start + 8, len - 8));
    }
}

/* The same, read in other ways, must be the same. */
static void read_it(const char *path, const uint8_t *file, size_t size)
{
    static uint8_t out[LONGEST], again[LONGEST];
    struct stat before, after;
    int64_t len, second;

    check(stat(path, &before) == 0, "the file is there");
    len = ws_session_read(path, NAME, NULL, NULL, 0, out, sizeof out, 0);
    check(len <= (int64_t)size, "no longer than the file");
    if (len > 0) {
        check(len >= WS_HEADER_LEN, "at least a header");
        check((uint64_t)len == ws_record_len(out), "as long as it says");
        check(memmem(file, size, out, (size_t)len) != NULL, "from the file");
        check(ws_session_read(path, NAME, NULL, out, (size_t)len, again,
                              sizeof again, 0) == 0, "known");
    }
    second = ws_session_read(path, NAME, NULL, NULL, 0, again, 4096, 0);
    /* What has no room is not looked into yet. */
    check(second == len || (second > 4096 && len < 0),
          "the same with less room");
    if (len > 0 && len <= 4096)
        check(memcmp(out, again, (size_t)len) == 0, "the same bytes");
    check(stat(path, &after) == 0 && before.st_size == after.st_size,
          "reading changes nothing");
}

/* A record that may follow must be live afterwards, the old one intact. */
static void commit_it(const char *path, const uint8_t *file, size_t size)
{
    static uint8_t old[LONGEST], new[LONGEST], out[LONGEST];
    uint8_t header[WS_HEADER_LEN];
    int64_t len = ws_session_read(path, NAME, NULL, NULL, 0, old, sizeof old, 0);
    int status;

    (void)file;
    (void)size;
    if (len < WS_HEADER_LEN)
        return;
    memcpy(new, old, (size_t)len);
    new[len - 1] ^= (uint8_t)(len > WS_HEADER_LEN);
    status = ws_session_commit(path, NAME, new, (size_t)len, old,
                               WS_STORED(old), 0, 0, 0, 0, header);
    if (status != WS_OK)
        return;
    check(WS_SEQUENCE(header) == WS_SEQUENCE(old) + 1, "the next number");
    check(ws_session_read(path, NAME, NULL, NULL, 0, out, sizeof out, 0) == len,
          "what was written is live");
    check(memcmp(out + WS_HEADER_LEN, new + WS_HEADER_LEN,
                 (size_t)len - WS_HEADER_LEN) == 0, "and the same");
}

/* The same for other data: of what somebody else has signed, nothing. */
static void replace_it(const char *path, const uint8_t *file, size_t size)
{
    static uint8_t old[LONGEST], new[WS_PAGE_LEN], out[LONGEST];
    int64_t len =
        ws_session_read(path, NAME, NULL, NULL, 0, old, sizeof old, 0);
    size_t data_len = size % sizeof new;
    ws_keys *keys = calloc(1, sizeof *keys + sizeof keys->states[0]);
    int64_t found;

    check(keys != NULL, "memory");
    keys->count = 1;
    ws_mac_key(keys, 0, (const uint8_t *)"a key of thirty-two bytes to try");
    check(ws_session_replace(path, NAME, keys, NULL, 0, file, data_len, 2, 0,
                             0, 0, 0, 0, new) < 0, "nobody has signed it");
    if (len >= WS_HEADER_LEN) {
        found = ws_session_replace(path, NAME, keys, old, (size_t)len, file,
                                   data_len, 2, WS_STORED(old), 0, 0, 0, 0,
                                   new);
        check(found <= (int64_t)sizeof new, "no more than a page");
        if (found > 0) {
            check(ws_session_read(path, NAME, keys, NULL, 0, out, sizeof out,
                                  0) == found, "signed, and live");
            check(memcmp(out, new, (size_t)found) == 0, "as it was said");
            check(WS_SEQUENCE(new) == WS_SEQUENCE(old) + 1,
                  "the next number");
        }
    }
    free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[LONGEST];
    static char path[64];
    static int fd = -1;

    if (size < 1 || size > sizeof file)
        return 0;
    if (fd < 0) {
        (void)snprintf(path, sizeof path, "/dev/shm/ws-fuzz-%d", getpid());
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        check(fd >= 0, "a file to try");
    }
    memcpy(file, data + 1, size - 1);
    if (data[0] & 1)
        mend(file, size - 1);
    check(ftruncate(fd, 0) == 0, "emptied");
    check(pwrite(fd, file, size - 1, 0) == (ssize_t)size - 1, "written");
    read_it(path, file, size - 1);
    if (data[0] & 2)
        commit_it(path, file, size - 1);
    if (data[0] & 4)
        replace_it(path, file, size - 1);
    return 0;
}

#ifdef ALONE
/* Each file that is named, once: for valgrind, or a compiler without fuzzer. */
int main(int argc, char **argv)
{
    static uint8_t data[LONGEST];
    int at;

    for (at = 1; at < argc; at++) {
        FILE *file = fopen(argv[at], "rb");

        check(file != NULL, "a file that can be read");
        (void)LLVMFuzzerTestOneInput(data,
                                     fread(data, 1, sizeof data, file));
        (void)fclose(file);
    }
    printf("%d files\n", argc - 1);
    return 0;
}
#endif
