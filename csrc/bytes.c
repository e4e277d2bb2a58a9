/* Little-endian fields and zlib's CRC-32. */
#include <string.h>

#include "ws_internal.h"

#include "crc_table.h"

uint32_t ws_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

uint64_t ws_get_u64(const uint8_t *p)
{
    return (uint64_t)ws_get_u32(p) | (uint64_t)ws_get_u32(p + 4) << 32;
}

double ws_get_f64(const uint8_t *p)
{
    uint64_t bits = ws_get_u64(p);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

void ws_put_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

void ws_put_u64(uint8_t *p, uint64_t value)
{
    ws_put_u32(p, (uint32_t)value);
    ws_put_u32(p + 4, (uint32_t)(value >> 32));
}

/* Eight bytes a step: eight table look-ups that do not wait for each other. */
static uint32_t crc32_step8(uint32_t crc, const uint8_t *p)
{
    uint32_t low = crc ^ ws_get_u32(p);
    uint32_t high = ws_get_u32(p + 4);

    return ws_crc_table[7][low & 0xff] ^
           ws_crc_table[6][(low >> 8) & 0xff] ^
           ws_crc_table[5][(low >> 16) & 0xff] ^
           ws_crc_table[4][low >> 24] ^
           ws_crc_table[3][high & 0xff] ^
           ws_crc_table[2][(high >> 8) & 0xff] ^
           ws_crc_table[1][(high >> 16) & 0xff] ^
           ws_crc_table[0][high >> 24];
}

uint32_t ws_crc32(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (; len >= 8; data += 8, len -= 8)
        crc = crc32_step8(crc, data);
    for (; len > 0; data++, len--)
        crc = ws_crc_table[0][(crc ^ *data) & 0xff] ^ (crc >> 8);
    return ~crc;
}
