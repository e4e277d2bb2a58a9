/* Which of a file's slots holds the session's state. */
#include <math.h>

#include "ws_internal.h"

static const uint8_t magic[WS_MAGIC_LEN] = {'W', 'S', 'F', 2};

uint64_t ws_slot_start(int slot)
{
    return slot == 0 ? 0 : (uint64_t)512 << (slot - 1);
}

uint64_t ws_slot_size(int slot)
{
    return slot == 0 ? 512 : (uint64_t)512 << (slot - 1);
}

uint64_t ws_record_len(const uint8_t *header)
{
    return (uint64_t)ws_env_at(header) + WS_ENV_LEN(header) +
           WS_DATA_LEN(header);
}

int ws_record_expired(const uint8_t *header, double now, double idle,
                      double lifetime)
{
    if (WS_IDLE(header) > 0)
        idle = WS_IDLE(header);
    if (idle > 0 && now - WS_STORED(header) > idle)
        return 1;
    return lifetime > 0 && now - WS_CREATED(header) > lifetime;
}

static int all_zero(const uint8_t *p, size_t len)
{
    while (len > 0 && *p == 0) {
        p++;
        len--;
    }
    return len == 0;
}

/* Judges a slot by its header alone. */
static enum ws_slot_kind header_kind(const uint8_t *header, uint64_t slot_size)
{
    if (all_zero(header, WS_HEADER_LEN))
        return WS_EMPTY;
    if (memcmp(header, magic, WS_FORMAT_AT) != 0)
        return WS_TORN;
    if (header[WS_FORMAT_AT] > magic[WS_FORMAT_AT])
        return WS_NEWER;
    if (header[WS_FORMAT_AT] != magic[WS_FORMAT_AT] ||
        ws_record_len(header) > slot_size)
        return WS_TORN;
    return WS_PLAUSIBLE;
}

/* The header of a slot, from the page where it lies there. -1: errno. */
static int header_load(const ws_slots *slots, int slot, uint8_t *header)
{
    uint64_t start = ws_slot_start(slot);
    ssize_t n;

    memset(header, 0, WS_HEADER_LEN);
    if (start + WS_HEADER_LEN <= slots->page_len) {
        memcpy(header, slots->page + start, WS_HEADER_LEN);
        return 0;
    }
    n = ws_file_read(slots->fd, header, WS_HEADER_LEN, start);
    return n < 0 ? -1 : 0;
}

/* The CRC of a record that does not lie in the page, a chunk at a time. */
static int crc_of_chunks(int fd, uint64_t at, uint64_t end, uint32_t *crc)
{
    uint8_t chunk[WS_PAGE_LEN];

    while (at < end) {
        size_t len =
            end - at < sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        ssize_t n = ws_file_read(fd, chunk, len, at);

        if (n < 0)
            return -1;
        if ((size_t)n < len)
            return 0;
        *crc = ws_crc32(*crc, chunk, len);
        at += len;
    }
    return 1;
}

/* Notes whether these are the bytes that the caller knows already. */
static int is_known(ws_slots *slots, const uint8_t *record, size_t len)
{
    slots->same = slots->known != NULL && len == slots->known_len &&
                  memcmp(record, slots->known, len) == 0;
    return slots->same;
}

/*
 * The same, read into the caller's buffer: what a reader without a lock
 * returns must be the very bytes that were checked.
 */
static int crc_of_body(ws_slots *slots, uint64_t start, size_t len,
                       uint32_t *crc)
{
    ssize_t n;

    if (len > slots->body_capacity) {
        slots->needed = len;
        return 1;
    }
    n = ws_file_read(slots->fd, slots->body, len, start);
    if (n < 0)
        return -1;
    if ((size_t)n < len)
        return 0;
    if (is_known(slots, slots->body, len))
        return 1;
    *crc = ws_crc32(slots->name_crc, slots->body + WS_SEQUENCE_AT,
                    len - WS_SEQUENCE_AT);
    return 1;
}

/* 1 if the CRC fits, 0 if not, -1 with errno. */
static int crc_fits(ws_slots *slots, int slot, const uint8_t *header)
{
    uint64_t start = ws_slot_start(slot);
    uint64_t end = start + ws_record_len(header);
    uint64_t at = start + WS_HEADER_LEN;
    uint32_t crc;
    int done = 1;

    if (end > slots->size && end > slots->page_len)
        return 0;
    if (end <= slots->page_len &&
        is_known(slots, slots->page + start, (size_t)(end - start)))
        return 1;
    crc = ws_crc32(slots->name_crc, header + WS_SEQUENCE_AT,
                   WS_HEADER_LEN - WS_SEQUENCE_AT);
    if (end <= slots->page_len)
        crc = ws_crc32(crc, slots->page + at, (size_t)(end - at));
    else if (slots->body != NULL)
        done = crc_of_body(slots, start, (size_t)(end - start), &crc);
    else
        done = crc_of_chunks(slots->fd, at, end, &crc);
    if (done != 1 || slots->needed > 0 || slots->same)
        return done;
    return crc == ws_get_u32(header + WS_CRC_AT);
}

/* A valid CRC over something this version must not interpret. */
static int header_unsupported(const uint8_t *header)
{
    int known = WS_FLAG_SUPERSEDED | WS_FLAG_USER;
    int tags = header[WS_TAGS_AT], flagged = WS_FLAGS(header) & WS_FLAG_USER;

    return (WS_FLAGS(header) & ~known) != 0 || tags > WS_MAX_TAGS ||
           (flagged ? tags == 0 : WS_USER_LEN(header) > 0);
}

/* The plausible slot with the highest sequence number, or -1. */
static int best_plausible(const ws_slots *slots)
{
    int best = -1;
    int slot;

    for (slot = 0; slot < slots->count; slot++)
        if (slots->kinds[slot] == WS_PLAUSIBLE &&
            (best < 0 || WS_SEQUENCE(slots->headers[slot]) >
                             WS_SEQUENCE(slots->headers[best])))
            best = slot;
    return best;
}

/* Takes the best slot whose CRC fits, telling torn ones on the way. */
static int choose_live(ws_slots *slots, int locked)
{
    int best;

    while ((best = best_plausible(slots)) >= 0) {
        const uint8_t *header = slots->headers[best];
        int fits = crc_fits(slots, best, header);

        if (fits < 0)
            return WS_ERRNO;
        /* Unchecked while the caller's buffer is too small to check it. */
        if (fits && slots->needed == 0 && header_unsupported(header))
            return WS_UNSUPPORTED;
        if (fits && (slots->needed > 0 || (isfinite(WS_CREATED(header)) &&
                                           isfinite(WS_STORED(header))))) {
            slots->live = best;
            slots->header = header;
            return WS_OK;
        }
        slots->kinds[best] = WS_TORN;
        if (!locked)
            return WS_DAMAGED;
    }
    return WS_DAMAGED;
}

int ws_slots_scan(ws_slots *slots, int fd, uint64_t size, const char *name,
                  int locked)
{
    int torn = 0, newer = 0;
    ssize_t n;
    int slot;

    slots->fd = fd;
    slots->size = size;
    slots->live = -1;
    slots->header = NULL;
    slots->needed = 0;
    slots->same = 0;
    slots->name_crc = ws_crc32(0, (const uint8_t *)name, WS_NAME_LEN);
    n = ws_file_read(fd, slots->page,
                     size < WS_PAGE_LEN ? (size_t)size : WS_PAGE_LEN, 0);
    if (n < 0)
        return WS_ERRNO;
    slots->page_len = (size_t)n;
    for (slot = 0; slot < WS_MAX_SLOTS && ws_slot_start(slot) < size; slot++) {
        if (header_load(slots, slot, slots->headers[slot]) < 0)
            return WS_ERRNO;
        slots->kinds[slot] =
            header_kind(slots->headers[slot], ws_slot_size(slot));
        torn |= slots->kinds[slot] == WS_TORN;
        newer |= slots->kinds[slot] == WS_NEWER;
    }
    slots->count = slot;
    if (newer)
        return WS_UNSUPPORTED;
    if (torn && !locked)
        return WS_DAMAGED;
    return choose_live(slots, locked);
}
