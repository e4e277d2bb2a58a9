/* What the C files share among themselves; see ws_api.h for the essay. */
#ifndef WS_INTERNAL_H
#define WS_INTERNAL_H

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ws_api.h"

#define WS_NAME_LEN 32
#define WS_HEADER_LEN 64
#define WS_SUPERSEDE_LEN 24 /* until (f64) and the successor's name */
#define WS_PAGE_LEN 4096    /* what is read of a file at first */
#define WS_MAX_SLOTS 20     /* the last one ends at 256 MiB */
#define WS_SEAL_LEN 40
#define WS_TAG_LEN 16 /* of a user */
#define WS_MAX_TAGS 2
#define WS_FLAG_SUPERSEDED 1
#define WS_FLAG_USER 2
#define WS_FLAG_SEALED 4
/* Marks in the mode of a file, for those who do not read it. */
#define WS_MODE_SUPERSEDED S_IXUSR /* the count passes over it */
#define WS_MODE_OWN_LIMIT S_ISVTX  /* mtime does not tell when it is over */
#define WS_CLOCK_SLACK 3600.0      /* how far ahead a clock may sensibly be */

/* Little-endian fields of a header. */
static inline uint32_t ws_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline uint64_t ws_get_u64(const uint8_t *p)
{
    return (uint64_t)ws_get_u32(p) | (uint64_t)ws_get_u32(p + 4) << 32;
}

static inline double ws_get_f64(const uint8_t *p)
{
    uint64_t bits = ws_get_u64(p);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void ws_put_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

static inline void ws_put_u64(uint8_t *p, uint64_t value)
{
    ws_put_u32(p, (uint32_t)value);
    ws_put_u32(p + 4, (uint32_t)(value >> 32));
}

static inline void ws_put_f64(uint8_t *p, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    ws_put_u64(p, bits);
}

/* Where they are, as FORMAT.md has it.  No other file has a bare number. */
#define WS_MAGIC_LEN 4
#define WS_FORMAT_AT 3 /* of the magic: the version of the format */
#define WS_CRC_AT 4
#define WS_SEQUENCE_AT 8 /* here what the CRC is of begins */
#define WS_CREATED_AT 16
#define WS_STORED_AT 24
#define WS_ENV_LEN_AT 32
#define WS_DATA_LEN_AT 36
#define WS_SERIALIZER_AT 40
#define WS_FLAGS_AT 41
#define WS_TAGS_AT 42  /* of the user block: how many */
#define WS_LABEL_AT 43 /* of the user block: how long */
#define WS_IDLE_AT 44
#define WS_MAC_AT 48
#define WS_MAC_LEN 16

#define WS_SEQUENCE(header) ws_get_u64((header) + WS_SEQUENCE_AT)
#define WS_CREATED(header) ws_get_f64((header) + WS_CREATED_AT)
#define WS_STORED(header) ws_get_f64((header) + WS_STORED_AT)
#define WS_ENV_LEN(header) ws_get_u32((header) + WS_ENV_LEN_AT)
#define WS_DATA_LEN(header) ws_get_u32((header) + WS_DATA_LEN_AT)
#define WS_FLAGS(header) ((header)[WS_FLAGS_AT])
#define WS_IDLE(header) ws_get_u32((header) + WS_IDLE_AT)
#define WS_USER_LEN(header)                                                   \
    ((size_t)(header)[WS_TAGS_AT] * WS_TAG_LEN + (header)[WS_LABEL_AT])

/* The blocks behind the header, in the order of their flags; then env. */
static inline size_t ws_user_at(const uint8_t *header)
{
    int superseded = WS_FLAGS(header) & WS_FLAG_SUPERSEDED;

    return WS_HEADER_LEN + (superseded ? WS_SUPERSEDE_LEN : 0);
}

static inline size_t ws_env_at(const uint8_t *header)
{
    size_t seal = WS_FLAGS(header) & WS_FLAG_SEALED ? WS_SEAL_LEN : 0;

    return ws_user_at(header) + WS_USER_LEN(header) + seal;
}

/* zlib's CRC-32, continued from crc. */
uint32_t ws_crc32(uint32_t crc, const uint8_t *data, size_t len);

/*
 * The MAC of a record by one of the keys: of its header, which has everything
 * but sequence number, CRC and MAC, and of the payload of len bytes.
 */
void ws_mac(const ws_keys *keys, size_t which, const char *name,
            const uint8_t *header, const uint8_t *payload, size_t len,
            uint8_t *out);
/* 1 if one of the keys has signed the record, else 0. */
int ws_mac_verifies(const ws_keys *keys, const char *name,
                    const uint8_t *record, size_t len);

/* The whole length of the record that this header begins. */
uint64_t ws_record_len(const uint8_t *header);

/*
 * 1 if now is later than both limits allow (0: no limit), else 0.  A session
 * with an idle limit of its own goes by that.
 */
int ws_record_expired(const uint8_t *header, double now, double idle,
                      double lifetime);

enum ws_slot_kind { WS_EMPTY, WS_PLAUSIBLE, WS_TORN, WS_NEWER };

/* The slots of a file, looked at once. */
typedef struct {
    int fd;
    uint64_t size; /* of the file when it was looked at */
    uint32_t name_crc;
    uint8_t page[WS_PAGE_LEN]; /* the first bytes of the file */
    size_t page_len;
    int count; /* of the slots that begin in the file */
    uint8_t headers[WS_MAX_SLOTS][WS_HEADER_LEN];
    enum ws_slot_kind kinds[WS_MAX_SLOTS];
    int live;              /* the best slot, or -1 */
    const uint8_t *header; /* of the live slot */
    uint8_t *body;         /* where a large record goes, or NULL */
    size_t body_capacity;
    size_t needed;        /* > 0: the body is too small, unchecked */
    const uint8_t *known; /* a record that needs no check, or NULL */
    size_t known_len;
    int same; /* the live record is the known one */
} ws_slots;

uint64_t ws_slot_start(int slot);
uint64_t ws_slot_size(int slot);
/* Of these slots a record is written with zeros up to the slot's end. */
#define WS_IN_PAGE(slot) ((slot) < 4)

/*
 * Finds the live slot.  body and known, with their lengths, are the caller's
 * to set.  Without the lock (locked 0) a torn slot is WS_DAMAGED, since only a
 * look under the lock tells what it means.
 * Returns WS_OK, WS_DAMAGED, WS_UNSUPPORTED or WS_ERRNO.
 */
int ws_slots_scan(ws_slots *slots, int fd, uint64_t size, const char *name,
                  int locked);

/*
 * Makes unreadable what records before the live one have left, under the lock
 * and before a record of record_len bytes goes into the slot target: see
 * wipe.c.  -1: errno.
 */
int ws_slots_clean(const ws_slots *slots, int target, size_t record_len);

/* Is this a record at all, and one that two slots can hold? */
int ws_check_record(const uint8_t *record, size_t record_len);
/* The slot of the smallest size that holds a record of this length. */
int ws_first_slot(size_t record_len, int apart_from);
/* May the record follow the live one?  See ws_session_commit. */
int ws_may_follow(ws_slots *slots, const uint8_t *record,
                  const uint8_t *expected, double now, double idle,
                  double lifetime);

/* pread and pwrite with short transfers and EINTR dealt with. */
ssize_t ws_file_read(int fd, uint8_t *out, size_t len, uint64_t offset);
/* least: of a small record, zeros after it up to so many bytes in all. */
int ws_file_write(int fd, const uint8_t *header, const uint8_t *rest,
                  size_t rest_len, uint64_t offset, size_t least);

/*
 * Overwrites the bytes of a slot from here to there with zeros; whole pages
 * are given back to the file system where it takes them.  -1: errno.
 */
int ws_file_wipe(int fd, uint64_t from, uint64_t to);

/* What must be known of a file; not its times, see files.c. */
typedef struct {
    unsigned mode;
    uid_t uid;
    uint64_t nlink, size, inode, device;
} ws_info;

int ws_file_open(int dirfd, const char *path, int flags, int *fd);
/* WS_UNSAFE unless it is a regular file of this user. */
int ws_file_check(int fd, ws_info *info);
/* Seconds that only ever go forward. */
double ws_clock(void);
/* WS_BUSY timeout seconds after it was found taken. */
int ws_file_lock(int fd, int operation, double timeout);
/* Opens it, locks it against all others, checks it; or leaves it closed. */
int ws_file_take(int dirfd, const char *path, int flags, double timeout,
                 ws_info *info, int *fd);
/* Gives the lock up, closes; returns status, or WS_ERRNO if close failed. */
int ws_file_release(int fd, int locked, int status);
/* stat of a path, or of a descriptor with an empty path: WS_ABSENT, errno. */
int ws_file_look(int fd, const char *path, ws_info *info);
/* WS_OK if path still names the file behind fd, else WS_ABSENT. */
int ws_file_named(int dirfd, const char *path, const ws_info *info);

/* Calls visit for each file of a shard that is named like a session's. */
typedef void ws_visit(void *context, int dirfd, const char *file);
int ws_shard_walk(const char *directory, size_t prefix_len, ws_visit *visit,
                  void *context);

#endif
