/*
 * Removing what earlier records left in a file.
 *
 * A value that the application deleted is to be gone with the write after the
 * one that deleted it (the state before a write always stays), and a slot
 * that a crash has torn is not to send every reader to the lock for ever.  So
 * whoever writes leaves three things behind: the record before, the new one,
 * and slots that are retired.
 *
 * A retired slot has a header with the magic and a sequence number, a CRC that
 * does not fit, and nothing else.  It is never made empty: a reader without a
 * lock may see an old state of some slots and a new one of others.  Were the
 * best record that it could have found empty now, it would take an even older
 * one for the live one, and go back in time.  A CRC that does not fit sends it
 * to the lock.
 */
#include "ws_internal.h"

/* How many bytes of a slot records may have been written to. */
static uint64_t written(const ws_slots *slots, int slot)
{
    uint64_t most = slots->size - ws_slot_start(slot);
    uint64_t len = ws_slot_size(slot);

    if (slots->kinds[slot] == WS_EMPTY)
        return 0;
    if (slots->kinds[slot] == WS_PLAUSIBLE)
        len = ws_record_len(slots->headers[slot]);
    return len < most ? len : most;
}

/* What is before the live record: of a torn slot the number may be any. */
static uint64_t sequence_before(const ws_slots *slots, int slot)
{
    uint64_t live = WS_SEQUENCE(slots->header);

    if (slots->kinds[slot] == WS_PLAUSIBLE)
        return WS_SEQUENCE(slots->headers[slot]);
    return live > 0 ? live - 1 : 0;
}

static int retire(const ws_slots *slots, int slot, uint64_t len)
{
    uint64_t start = ws_slot_start(slot);
    uint64_t in_page = WS_PAGE_LEN - start % WS_PAGE_LEN;
    uint8_t header[WS_HEADER_LEN] = {0};

    if (in_page > len)
        in_page = len;
    memcpy(header, slots->header, WS_MAGIC_LEN);
    ws_put_u64(header + WS_SEQUENCE_AT, sequence_before(slots, slot));
    ws_put_u32(header + WS_CRC_AT,
               ~ws_crc32(slots->name_crc, header + WS_SEQUENCE_AT,
                         WS_HEADER_LEN - WS_SEQUENCE_AT));
    if (ws_file_write(slots->fd, header, header, 0, start, (size_t)in_page) <
        0)
        return -1;
    return ws_file_wipe(slots->fd, start + in_page, start + len);
}

int ws_slots_clean(const ws_slots *slots, int target, size_t record_len)
{
    int slot;

    for (slot = 0; slot < slots->count; slot++) {
        uint64_t start = ws_slot_start(slot);
        uint64_t len = written(slots, slot);
        int done = 0;

        if (slot == slots->live)
            continue;
        if (slot != target) {
            if (len > WS_HEADER_LEN || slots->kinds[slot] == WS_TORN)
                done = retire(slots, slot, len);
        } else if (!WS_IN_PAGE(slot) && len > record_len) {
            done = ws_file_wipe(slots->fd, start + record_len, start + len);
        }
        if (done < 0)
            return -1;
    }
    return 0;
}
