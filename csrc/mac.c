/* The MAC of a record: BLAKE2b with a key (RFC 7693), 16 bytes long. */
#include "ws_internal.h"

#define BLOCK_LEN 128
#define KEY_LEN 32

typedef struct {
    uint64_t state[8];
    uint64_t count; /* bytes that went into it */
    size_t filled;  /* bytes of block that did not yet */
    uint8_t block[BLOCK_LEN];
} ws_mac_state;

static const uint64_t initial[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu,
    0xa54ff53a5f1d36f1u, 0x510e527fade682d1u, 0x9b05688c2b3e6c1fu,
    0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* The order in which each round takes the words of a block. */
static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

#define ROTATED(word, bits) ((word) >> (bits) | (word) << (64 - (bits)))
#define MIX(a, b, c, d, x, y)                                                 \
    (v[a] += v[b] + m[x], v[d] = ROTATED(v[d] ^ v[a], 32), v[c] += v[d],      \
     v[b] = ROTATED(v[b] ^ v[c], 24), v[a] += v[b] + m[y],                    \
     v[d] = ROTATED(v[d] ^ v[a], 16), v[c] += v[d],                           \
     v[b] = ROTATED(v[b] ^ v[c], 63))
#define ROUND(o)                                                              \
    (MIX(0, 4, 8, 12, (o)[0], (o)[1]), MIX(1, 5, 9, 13, (o)[2], (o)[3]),      \
     MIX(2, 6, 10, 14, (o)[4], (o)[5]), MIX(3, 7, 11, 15, (o)[6], (o)[7]),    \
     MIX(0, 5, 10, 15, (o)[8], (o)[9]), MIX(1, 6, 11, 12, (o)[10], (o)[11]),  \
     MIX(2, 7, 8, 13, (o)[12], (o)[13]), MIX(3, 4, 9, 14, (o)[14], (o)[15]))

static void compress(ws_mac_state *mac, int last)
{
    uint64_t m[16], v[16];
    int i;

    for (i = 0; i < 16; i++)
        m[i] = ws_get_u64(mac->block + 8 * i);
    for (i = 0; i < 8; i++) {
        v[i] = mac->state[i];
        v[i + 8] = initial[i];
    }
    v[12] ^= mac->count;
    if (last)
        v[14] = ~v[14];
#pragma GCC unroll 10
    for (i = 0; i < 10; i++)
        ROUND(order[i]);
    ROUND(order[0]);
    ROUND(order[1]);
    for (i = 0; i < 8; i++)
        mac->state[i] ^= v[i] ^ v[i + 8];
}

/* The last block waits until it is known to be the last. */
static void update(ws_mac_state *mac, const void *data, size_t len)
{
    const uint8_t *from = data;

    while (len > 0) {
        size_t part = BLOCK_LEN - mac->filled;

        if (part == 0) {
            mac->count += BLOCK_LEN;
            compress(mac, 0);
            mac->filled = 0;
            continue;
        }
        if (part > len)
            part = len;
        memcpy(mac->block + mac->filled, from, part);
        mac->filled += part;
        from += part;
        len -= part;
    }
}

void ws_mac_key(ws_keys *keys, size_t which, const uint8_t *key)
{
    ws_mac_state mac = {.count = BLOCK_LEN};

    memcpy(mac.state, initial, sizeof initial);
    mac.state[0] ^= 0x01010000u ^ KEY_LEN << 8 ^ WS_MAC_LEN;
    memcpy(mac.block, key, KEY_LEN);
    compress(&mac, 0);
    memcpy(keys->states[which], mac.state, sizeof mac.state);
}

void ws_mac(const ws_keys *keys, size_t which, const char *name,
            const uint8_t *header, const uint8_t *payload, size_t len,
            uint8_t *out)
{
    ws_mac_state mac = {.count = BLOCK_LEN};
    int i;

    memcpy(mac.state, keys->states[which], sizeof mac.state);
    update(&mac, keys->store_id, sizeof keys->store_id);
    update(&mac, name, WS_NAME_LEN);
    update(&mac, header, WS_MAGIC_LEN);
    update(&mac, header + WS_CREATED_AT, WS_MAC_AT - WS_CREATED_AT);
    update(&mac, payload, len);
    mac.count += mac.filled;
    memset(mac.block + mac.filled, 0, BLOCK_LEN - mac.filled);
    compress(&mac, 1);
    for (i = 0; i < WS_MAC_LEN; i++)
        out[i] = (uint8_t)(mac.state[i / 8] >> 8 * (i % 8));
}

int ws_mac_verifies(const ws_keys *keys, const char *name,
                    const uint8_t *record, size_t len)
{
    uint8_t mac[WS_MAC_LEN];
    size_t which;
    int i;

    for (which = 0; which < keys->count; which++) {
        uint8_t differs = 0;

        ws_mac(keys, which, name, record, record + WS_HEADER_LEN,
               len - WS_HEADER_LEN, mac);
        /* In a time that does not tell how much of it was right. */
        for (i = 0; i < WS_MAC_LEN; i++)
            differs |= (uint8_t)(mac[i] ^ record[WS_MAC_AT + i]);
        if (differs == 0)
            return 1;
    }
    return 0;
}
