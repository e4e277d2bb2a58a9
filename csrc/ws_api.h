/*
 * websession, native part: the system calls of the hot path, one C call per
 * operation.
 *
 * PURPOSE.  A session is one file holding a row of slots (FORMAT.md).  Every
 * function below opens that file by path, does one whole operation on it and
 * closes it again.  Nothing is kept between calls: no descriptor, no memory,
 * no state.  The caller owns every buffer.  Of cryptography there is the MAC
 * of records (mac.c) and nothing else: what is read is checked where keys are
 * given, and ws_session_replace signs what it writes.
 *
 * GUARANTEE.  The live record of a file (the valid slot with the highest
 * sequence number) is never overwritten.  All changes are made under
 * flock(LOCK_EX) on the session's own file, after the file has been shown to
 * be the one that its path names.  The lock is given up with LOCK_UN before
 * the descriptor is closed, since a child forked in between would otherwise
 * keep it.  Readers take no lock unless they meet a torn slot.
 *
 * CALLING SEQUENCE.  path is NUL-terminated; name is the session's handle,
 * 32 characters of lower-case hex; record is a whole record as FORMAT.md
 * describes it, of which CRC and sequence number are filled in here, in a
 * copy of the header.  timeout is the longest wait for a lock in seconds.
 *
 * ERRORS.  Zero or more is success, a negative ws_status is anything else.
 * With WS_ERRNO and WS_UNSYNCED the cause is in errno.  WS_INTERRUPTED means
 * that a signal came while waiting for a lock and nothing was done: let the
 * handlers run and call again (ws_session_create waits on by itself).
 *
 * This file is read by the C compiler and by ffi.cdef(): no directives, and
 * the includes it needs stand before the place that includes it.
 */

enum ws_status {
    WS_OK = 0,
    WS_COUNTED = 1,       /* nothing was done: lock the count, call again */
    WS_COUNTED_SINCE = 2, /* done, and there is a count of them by now */
    WS_ABSENT = -1,       /* no such session, or one deleted meanwhile */
    WS_EXISTS = -2,       /* create: the path is taken */
    WS_EXPIRED = -3,      /* commit: the live record is past a limit */
    WS_CONFLICT = -4,     /* the live record is not what was assumed */
    WS_SUPERSEDED = -5,   /* commit: the session has got a new ID */
    WS_DAMAGED = -6,      /* under the lock, no slot is valid */
    WS_UNSUPPORTED = -7,  /* a record of a newer format: leave it alone */
    WS_UNSAFE = -8,       /* not a regular file, or another user's */
    WS_BUSY = -9,         /* the lock was not to be had within timeout */
    WS_INTERRUPTED = -10, /* a signal came while waiting: call again */
    WS_EXHAUSTED = -11,   /* the sequence number is at its maximum */
    WS_ERRNO = -12,       /* a system call failed: see errno */
    WS_UNSYNCED = -13,    /* commit: written, and fdatasync failed: errno */
    WS_FORGED = -14,      /* none of the keys has signed the record */
    WS_LARGE = -15        /* replace: more than a page; nothing was done */
};

/* What makes and checks the MACs of a store. */
typedef struct {
    size_t count;         /* of keys; the first one signs */
    uint8_t store_id[16]; /* the random ID of the store */
    uint64_t states[][8]; /* of each key, by ws_mac_key */
} ws_keys;

/* Puts a key of 32 bytes into its place. */
void ws_mac_key(ws_keys *keys, size_t which, const uint8_t *key);

/*
 * Draws length characters of alphabet, each with the same probability, from
 * the system's CSPRNG.  alphabet_len is 2 to 256.  Writes no NUL.
 */
int ws_id_draw(char *out, size_t length, const char *alphabet,
               size_t alphabet_len);

/*
 * Reads the live record into out and returns its length.  A length greater
 * than capacity means that nothing was stored: call again with a buffer of at
 * least that size.  capacity is at least 4096.  known is NULL or a record of
 * this session that was found authentic before: if the live record is the
 * same in every byte, 0 is returned, and out holds nothing of use.  Any other
 * is WS_FORGED unless one of the keys has signed it; NULL: whoever has.
 */
int64_t ws_session_read(const char *path, const char *name,
                        const ws_keys *keys, const uint8_t *known,
                        size_t known_len, void *out, size_t capacity,
                        double timeout);

/*
 * Makes a new session file with the record as its first state.
 * durability: 0 none, 1 or more fdatasync before the lock is given up.
 * counted: path of the count of sessions, which must not be there; or empty.
 */
int ws_session_create(const char *path, const char *name,
                      const uint8_t *record, size_t record_len,
                      const char *counted, int durability, double timeout);

/*
 * Writes the record as the session's new state, if the live record
 * - equals expected in all 64 bytes of its header (where expected is given),
 * - is not superseded, and is not older at the time now than idle seconds
 *   since it was stored or lifetime seconds since creation (0: no limit),
 * - has the creation time of the new record and, where expected is not given,
 *   its env bytes and its idle limit, and
 * - was not stored later than the new record, unless by more than an hour
 *   (a clock that was wrong).
 * header receives the 64 bytes of the header written, or with WS_CONFLICT,
 * WS_EXPIRED and WS_SUPERSEDED those of the live record.
 */
int ws_session_commit(const char *path, const char *name,
                      const uint8_t *record, size_t record_len,
                      const uint8_t *expected, double now, double idle,
                      double lifetime, int durability, double timeout,
                      void *header);

/*
 * Writes the live record with other data as the session's new state: creation
 * time, env and idle limit stay, the time of the last store is now or, if the
 * live record is a little ahead, that one.  The live record is checked as
 * ws_session_read does it, and the limits as ws_session_commit.  out, of 4096
 * bytes, receives the record as written, and its length is returned; with
 * WS_EXPIRED, WS_SUPERSEDED, and WS_CONFLICT since another serializer has
 * written env, the header of the live one.  Both records fit into a page, or
 * it is WS_LARGE: large ones are hashed outside of the lock.
 */
int64_t ws_session_replace(const char *path, const char *name,
                           const ws_keys *keys, const uint8_t *known,
                           size_t known_len, const uint8_t *data,
                           size_t data_len, int serializer, double now,
                           double idle, double lifetime, int durability,
                           double timeout, uint8_t *out);

/*
 * Unlinks the session.  With expected (64 bytes) only if the live record has
 * that header; without, whatever the file holds.  But a file that is marked
 * as superseded leads to another one, which has to go first: WS_SUPERSEDED,
 * unless marked is not 0 or expected is given.  counted: as above.
 */
int ws_session_remove(const char *path, const char *name,
                      const uint8_t *expected, int marked, const char *counted,
                      double timeout);

/* What a sweep of one shard directory found and did. */
typedef struct {
    int64_t live;    /* sessions left in force, superseded ones not counted */
    int64_t removed; /* expired sessions unlinked */
    int64_t reaped;  /* abandoned empty files, superseded sessions */
    int64_t busy;    /* looked expired but were locked by somebody */
    int64_t odd;     /* files that need the caller's attention */
    int64_t failed;  /* files on which a system call failed */
    int error;       /* the errno of the last of them */
    uint32_t own;    /* shortest limit of its own among those left, or 0 */
} ws_swept;

/*
 * Removes the expired sessions of one shard directory.  prefix is the part of
 * the handle that the directory stands for (ws_session names are 32 - strlen
 * (prefix) characters).  A modification time older than the smaller limit
 * only nominates a file; its live record decides, under a lock that is tried
 * once.  Names of damaged files go to odd, each NUL-terminated, as far as
 * odd_capacity reaches.  Everything that is not a session stays.
 */
int ws_shard_sweep(const char *directory, const char *prefix, double now,
                   double idle, double lifetime, char *odd,
                   size_t odd_capacity, ws_swept *swept);

/* A session of a scan. */
typedef struct {
    char name[32];
    uint8_t header[64]; /* of the live record, with WS_OK */
    int64_t blocks;     /* of 512 bytes */
    int32_t status;     /* WS_DAMAGED: look again, under the lock */
} ws_row;

/* A scan of one shard directory: what is asked for, and what was counted. */
typedef struct {
    const char *prefix; /* as for ws_shard_sweep */
    ws_row *rows;       /* of every so manieth file that is not empty */
    int64_t room;       /* for so many of them */
    size_t every;       /* 0: of none */
    size_t seen;        /* the number of the first file; 0 has a row */
    int64_t filled;     /* rows that there were to fill */
    int64_t sessions;   /* in force, as far as the marks of the files tell */
    int64_t superseded; /* marked so */
    int64_t empty;
    int64_t blocks; /* of 512 bytes, that all of them take */
} ws_scanned;

/*
 * Adds what a shard directory holds to the counters.  Takes no lock, changes
 * nothing.  The result is that of ws_shard_sweep.
 */
int ws_shard_scan(const char *directory, ws_scanned *scanned);
