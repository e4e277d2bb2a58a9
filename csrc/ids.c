/* Drawing session IDs. */
#include <errno.h>
#include <sys/random.h>

#include "ws_internal.h"

int ws_id_draw(char *out, size_t length, const char *alphabet,
               size_t alphabet_len)
{
    /* Bytes from here on are drawn again: each character as likely. */
    unsigned limit = (unsigned)(256 - 256 % alphabet_len);
    uint8_t pool[128];
    size_t done = 0;

    while (done < length) {
        size_t want = (length - done) + (length - done) / 2 + 8;
        ssize_t n, i;

        if (want > sizeof pool)
            want = sizeof pool;
        n = getrandom(pool, want, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return WS_ERRNO;
        for (i = 0; i < n && done < length; i++)
            if (pool[i] < limit)
                out[done++] = alphabet[pool[i] % alphabet_len];
    }
    return WS_OK;
}
