/* Which record may follow which, and into which slot it goes. */
#include <errno.h>
#include <math.h>

#include "ws_internal.h"

int ws_first_slot(size_t record_len, int apart_from)
{
    int slot;

    for (slot = 0; slot < WS_MAX_SLOTS; slot++)
        if (ws_slot_size(slot) >= record_len && slot != apart_from)
            return slot;
    return -1;
}

int ws_check_record(const uint8_t *record, size_t record_len)
{
    if (record_len >= WS_HEADER_LEN && ws_record_len(record) == record_len &&
        record_len <= ws_slot_size(WS_MAX_SLOTS - 2) &&
        isfinite(WS_CREATED(record)) && isfinite(WS_STORED(record)))
        return WS_OK;
    errno = EINVAL;
    return WS_ERRNO;
}

/* 1 if the live record has these bytes there. */
static int has_bytes(ws_slots *slots, size_t from, const uint8_t *bytes,
                     size_t left)
{
    uint64_t at = ws_slot_start(slots->live) + from;
    uint8_t chunk[512];

    if (at + left <= slots->page_len)
        return memcmp(slots->page + at, bytes, left) == 0;
    while (left > 0) {
        size_t len = left < sizeof chunk ? left : sizeof chunk;

        if (ws_file_read(slots->fd, chunk, len, at) != (ssize_t)len ||
            memcmp(chunk, bytes, len) != 0)
            return 0;
        at += len;
        bytes += len;
        left -= len;
    }
    return 1;
}

/* 1 if both are as old and of the same user; if asked, with the same env. */
static int same_origin(ws_slots *slots, const uint8_t *record, int with_env)
{
    const uint8_t *header = slots->header;
    size_t at = ws_user_at(header), len = WS_USER_LEN(header);

    if (with_env)
        len = ws_env_at(header) + WS_ENV_LEN(header) - at;
    return memcmp(header + WS_CREATED_AT, record + WS_CREATED_AT,
                  WS_STORED_AT - WS_CREATED_AT) == 0 &&
           memcmp(header + WS_TAGS_AT, record + WS_TAGS_AT, 2) == 0 &&
           (!with_env || WS_ENV_LEN(header) == WS_ENV_LEN(record)) &&
           has_bytes(slots, at, record + ws_user_at(record), len);
}

int ws_may_follow(ws_slots *slots, const uint8_t *record,
                  const uint8_t *expected, double now, double idle,
                  double lifetime)
{
    const uint8_t *header = slots->header;
    double ahead = WS_STORED(header) - WS_STORED(record);

    if (expected != NULL && memcmp(header, expected, WS_HEADER_LEN) != 0)
        return WS_CONFLICT;
    if (WS_FLAGS(header) & WS_FLAG_SUPERSEDED)
        return WS_SUPERSEDED;
    if (ws_record_expired(header, now, idle, lifetime))
        return WS_EXPIRED;
    if (ahead > 0 && ahead <= WS_CLOCK_SLACK)
        return WS_CONFLICT;
    /* Only who knows the live record may change what else it holds. */
    if (!same_origin(slots, record, expected == NULL) ||
        (expected == NULL && WS_IDLE(header) != WS_IDLE(record)))
        return WS_CONFLICT;
    if (WS_SEQUENCE(header) == UINT64_MAX)
        return WS_EXHAUSTED;
    return WS_OK;
}
