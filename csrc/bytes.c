/* Little-endian fields. */
#include <string.h>

#include "ws_internal.h"

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
