/* Every engine of this CPU against portable.c, over random rows: counts, lengths, KeyTimes, shared beginnings and ends;
   and the usual row as each of them lays it out, against a byte at a time. */
#include "check.h"
#include "sha1/engine.h"
#include "text/scan.h"

static const char PREPARED[] = "sha1_prepare takes what it should refuse, or the other way round";
static const char SCANNED[] = "put_key or put_text is wrong";

static sha1_engine engines[2 * SHA1_ENGINES];
static size_t count_of_engines;
static size_t checked; /* rows */

/* One signature that Python's hashlib and hmac made, so that portable.c itself is tied to something. */
static int known(void)
{
    uint8_t http[3 * SHA1_BLOCK] = "get\n/a.jpg\n\nhost=example\n", hole[SHA1_HEX];
    sha1_row row = {http, strlen((char *)http), hole, NULL};
    const sha1_row *rows = &row;
    sha1_key key;
    sha1_pad(http, row.size, 0);
    sha1_prepare(&key, (const uint8_t *)"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 40,
        (const uint8_t *)"sha1\n1557989753;1557996953\n", 27);
    sha1_sign_portable(&key, &rows, 1);
    return memcmp(hole, "c9c0bc361c6044c901f6c03af22ff269d6ada711", SHA1_HEX) == 0;
}

/* The same from a SecretKey on, by each engine's compressor; a KeyTime that is too long is refused. */
static int known_of_secret(sha1_compressor *compress)
{
    uint8_t http[3 * SHA1_BLOCK] = "get\n/a.jpg\n\nhost=example\n", hole[SHA1_HEX];
    const uint8_t *key_time = (const uint8_t *)"1557989753;1557996953;1557996953;1557996953";
    sha1_key secret, key = {.head_size = 12345}, before = key;
    sha1_row row = {http, strlen((char *)http), hole, &key};
    const sha1_row *rows = &row;
    sha1_pad(http, row.size, 0);
    sha1_prepare(&secret, (const uint8_t *)"example-key", 11, key_time, 0);
    for (size_t size = SHA1_HEAD_MAX - 5; size < SHA1_HEAD_MAX + 3; size++) {
        if (!sha1_prepare_key_time(&key, &secret, key_time, size, compress) || memcmp(&key, &before, sizeof key)) {
            return 0;
        }
    }
    if (sha1_prepare_key_time(&key, &secret, key_time, 21, compress)) {
        return 0;
    }
    sha1_sign_portable(NULL, &rows, 1);
    return memcmp(hole, "02eb332e4fe23d80608f70e96c578e74f4b6a881", SHA1_HEX) == 0;
}

/* sha1_prepare of a key and a head of these sizes: what is too long is refused, and nothing is written. */
static int check_lengths(size_t size, size_t head)
{
    uint8_t text[400] = {0};
    sha1_key key = {.head_size = 12345}, before = key;
    int fits = size <= SHA1_BLOCK && head <= SHA1_HEAD_MAX;
    if (sha1_prepare(&key, text, size, text, head) != (fits ? 0 : -1)) {
        return 0;
    }
    return fits ? key.head_size == head : memcmp(&key, &before, sizeof key) == 0;
}

static int check_prepare(void)
{
    for (size_t size = 0; size <= 400; size++) {
        for (size_t head = 0; head <= 400; head++) {
            if (!check_lengths(size, head)) {
                return 0;
            }
        }
    }
    return 1;
}

/* put_key and put_text over memory of exactly their promised sizes, against a byte at a time. */
static int check_scan(void)
{
    size_t size = below(90);
    uint8_t *key = malloc(size + 1), *out = malloc(size + TEXT_SLACK), *text = malloc(size + TEXT_SLACK);
    int plain = 1;
    for (size_t i = 0; i < size; i++) {
        key[i] = (uint8_t)"abcXYZ019-_~./.."[below(16)];
        if (below(60) == 0) {
            key[i] = (uint8_t)below(256);
        }
    }
    for (size_t i = 0; i < size; i++) {
        int letter = (key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z');
        int safe = letter || (key[i] >= '-' && key[i] <= '9') || key[i] == '_' || key[i] == '~';
        plain &= safe && !(key[i] == '.' && (i == 0 || key[i - 1] == '/'));
    }
    uint8_t *exact = malloc(size + 1); /* what may end where memory ends */
    memcpy(exact, key, size);
#ifndef SCAN_SHIFTED
    plain = 0; /* without vectors nothing is known of a key, and each byte is looked at later */
#endif
    int right = put_key(out, exact, size) == plain && memcmp(out, key, size) == 0;
    fill(text, size + TEXT_SLACK);
    right &= put_text(out, text, size) == out + size && memcmp(out, text, size) == 0;
    scan_utf8(exact, size);
    uint8_t *padded = calloc(size + 32, 1); /* scan_odd reads whole vectors */
    int odd = 0;
    padded[0] = '/';
    memcpy(padded + 1, key, size);
    for (size_t i = 0; i < size; i++) {
        odd |= (key[i] >= 0x18 && key[i] <= 0x1b) || (key[i] == '.' && padded[i] == '/');
    }
#ifndef GNU_C
    odd = 1;
#endif
    right &= scan_odd(padded + 1, size) == odd;
    free(padded);
    free(exact);
    free(text);
    free(out);
    free(key);
    return right;
}

static int unreserved(uint8_t byte)
{
    return byte && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~/.", byte);
}

/* Text in several scripts, sometimes broken, most often near a vector's border; returns its size, at most `size`. */
static size_t fill_script(uint8_t *out, size_t size)
{
    static const char *const characters[] = {"a", "%", "\xe7\x85\xa7", "\xe7\x89\x87", "\xc3\xbc", "\xd0\x96",
        "\xef\xbc\x81", "b", "/", "\\", " ", "\xe0\xb8\x81", "\xed\x95\x9c", "\xf0\x9f\x98\x80"};
    static const char *const broken[] = {"\x80", "\xc1\x81", "\xe7\x85", "\xf0\x9f\x98", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5", "\xff"};
    size_t place = 0, first = below(14), most = 1 + below(5);
    while (place < size) {
        const char *next = below(400) ? characters[(first + below((uint32_t)most)) % 14] : broken[below(9)];
        if (strlen(next) > size - place) {
            break;
        }
        memcpy(out + place, next, strlen(next));
        place += strlen(next);
    }
    size_t border = 32 * (1 + below(4)) + below(5) - 2;
    if (border < place && below(6) == 0) {
        if (below(2)) {
            return border;
        }
        out[border] = below(2) ? 'a' : 0x80;
    }
    return place;
}

enum { LAID = 20 }; /* rows that are laid out at once */

/* Usual rows laid out between random texts, keys and room of exactly their promised sizes, against a byte at a time. */
static int check_lay(frame_layer *lay, int escapes, size_t count)
{
    enum { LONGEST = 900, CONSTANT = 200 };
    uint8_t constants[5][CONSTANT + FRAME_SLACK + 1] = {{0}}, *key_bytes[LAID];
    Frame frame;
    Text keys[LAID], texts[LAID],
        *parts[5] = {&frame.http[0], &frame.http[1], &frame.text[0], &frame.text[1], &frame.text[2]};
    sha1_row rows[LAID];
    size_t http_room = FRAME_SLACK, room = SHA1_BLOCK, usual = 0, done;
    frame.escapes = (int)below(2);
    escapes &= frame.escapes;
    for (int i = 0; i < 5; i++) {
        size_t size = below(i || below(10) == 0 ? CONSTANT : 20);
        fill(constants[i], size);
        constants[i][size] = 0x80;
        *parts[i] = (Text){constants[i], size};
    }
    for (size_t i = 0; i < count; i++) {
        size_t size = below(10) ? 1 + below(140) : below(LONGEST);
        uint8_t *key = key_bytes[i] = malloc(size + 1);
        for (size_t j = 0; j < size; j++) {
            int odd = below(1500) == 0;
            key[j] = odd ? (uint8_t)below(256) : (uint8_t)"abcXYZ0189-_~a/."[below(below(3) ? 14 : 16)];
        }
        if (below(3) == 0) {
            size = fill_script(key, size);
        }
        int plain = size > 0 && size <= 850, fit = plain && key[0] != '\\' && scan_utf8(key, size);
        for (size_t j = 0; j < size; j++) {
            int after_slash = j == 0 || key[j - 1] == '/';
            plain &= unreserved(key[j]);
            fit &= !(key[j] == '.' && after_slash) && !(key[j] == '/' && j == 0) && !(key[j] >= 0x18 && key[j] <= 0x1b);
        }
        uint8_t *exact = malloc(size ? size : 1);
        memcpy(exact, key, size);
        keys[i] = (Text){exact, size};
        http_room += sha1_blocks(frame.http[0].size + size + frame.http[1].size) * SHA1_BLOCK;
        room += frame.text[0].size + (plain ? 1 : 3) * size + frame.text[1].size + SHA1_HEX + frame.text[2].size;
        usual += fit && (plain || escapes) && usual == i;
    }
    int cramped = below(4) == 0;
    size_t given = cramped ? below((uint32_t)room) : room;
    uint8_t *http = malloc(http_room), *out = malloc(given + 1);
    Space space = {http, out, out + given};
    done = lay(&frame, keys, count, &space, rows, texts);
    int right = done == usual || (cramped && done < usual) || (done == 0 && frame.http[0].size >= SHA1_BLOCK);
    for (size_t i = 0; i < done; i++) {
        uint8_t wanted[3 * LONGEST + 3 * CONSTANT + 3 * SHA1_BLOCK];
        size_t size = frame.http[0].size, length = keys[i].size;
        memcpy(wanted, frame.http[0].data, size);
        memcpy(wanted + size, key_bytes[i], length);
        memcpy(wanted + size + length, frame.http[1].data, frame.http[1].size);
        size += length + frame.http[1].size;
        sha1_pad(wanted, size, 0);
        right &= rows[i].size == size && memcmp(rows[i].http, wanted, sha1_blocks(size) * SHA1_BLOCK) == 0;
        right &= rows[i].http == (i ? rows[i - 1].http + sha1_blocks(rows[i - 1].size) * SHA1_BLOCK : http);
        size = frame.text[0].size;
        memcpy(wanted, frame.text[0].data, size);
        for (size_t j = 0; j < length; j++) {
            size +=
                (size_t)sprintf((char *)wanted + size, unreserved(key_bytes[i][j]) ? "%c" : "%%%02X", key_bytes[i][j]);
        }
        memcpy(wanted + size, frame.text[1].data, frame.text[1].size);
        size += frame.text[1].size;
        right &= rows[i].hole == texts[i].data + size && memcmp(texts[i].data, wanted, size) == 0;
        right &= memcmp(rows[i].hole + SHA1_HEX, frame.text[2].data, frame.text[2].size) == 0;
        right &= texts[i].size == size + SHA1_HEX + frame.text[2].size;
        right &= texts[i].data == (i ? texts[i - 1].data + texts[i - 1].size : out);
    }
    for (size_t i = 0; i < count; i++) {
        free(key_bytes[i]);
        free((void *)(uintptr_t)keys[i].data);
    }
    free(http);
    free(out);
    return right;
}

enum { ROWS = 600, LONGEST = 1600 }; /* rows of a round, and bytes of one */

#ifdef MANY /* rows such as keys make, and as many of them as possible: make agree */
static const uint32_t lengths[] = {1, 64, 110, 130, 180};
enum { FEW = 3, OTHERS = 64 };
#else
static const uint32_t lengths[] = {1, 64, 130, 260, LONGEST};
enum { FEW = 16, OTHERS = 1 }; /* rounds of few rows, of 24; one round of so many has the other checks */
#endif

/* What is wrong, or NULL, after every engine has signed the same rows, at most `most`: by one key, or by their own. */
static const char *check_sign(uint32_t most)
{
    enum { KEYS = 9 };
    static uint8_t http[ROWS * (LONGEST + 3 * SHA1_BLOCK)], holes[2][ROWS][SHA1_HEX];
    static sha1_row rows[ROWS];
    uint8_t hmac_key[SHA1_BLOCK], head[SHA1_HEAD_MAX], start[LONGEST];
    sha1_key key[KEYS];
    const sha1_key *common = below(3) ? key : NULL;
    size_t number = below(24) < FEW ? below(most < 41 ? most : 41) : below(most + 1), place = 0;
    uint32_t longest = lengths[below(5)], same = below(3), shared = below(longest);
    const size_t head_size = below(3) ? 27 : below(SHA1_HEAD_MAX + 1);
    fill(start, sizeof start);
    for (int i = 0; i < KEYS; i++) {
        fill(hmac_key, sizeof hmac_key);
        fill(head, sizeof head);
        if (sha1_prepare(&key[i], hmac_key, below(SHA1_BLOCK + 1), head, head_size)) {
            return "sha1_prepare refuses what fits";
        }
    }
    for (size_t i = 0; i < number; i++) {
        size_t size = same == 1 ? longest : below(longest + 1);
        fill(http + place, size);
        memcpy(http + place, start, size < shared ? size : shared);
        if (same == 1 && size > 40) {
            memcpy(http + place + shared + (size - shared) / 2, start, size - shared - (size - shared) / 2);
        }
        rows[i] = (sha1_row){http + place, size, holes[0][i], common ? NULL : &key[below(KEYS)]};
        sha1_pad(http + place, size, 0);
        place += sha1_blocks(size) * SHA1_BLOCK;
    }
    for (size_t i = 0; i < number; i++) {
        sha1_sign(&engines[count_of_engines - 1], common ? common : rows[i].key, &rows[i], 1);
    }
    for (size_t engine = 0; engine < count_of_engines; engine++) {
        for (size_t i = 0; i < number; i++) {
            rows[i].hole = holes[1][i];
        }
        memset(holes[1], 0, number * SHA1_HEX);
        sha1_sign(&engines[engine], common, rows, number);
        if (memcmp(holes[0], holes[1], number * SHA1_HEX)) {
            printf("%s: ", engines[engine].name);
            return "differs from portable";
        }
    }
    checked += number;
    return NULL;
}

static const char *check_layout(const sha1_engine *engine, size_t rows)
{
    if (engine->lay && !check_lay(engine->lay, engine->lanes > 4, rows)) {
        printf("%s: ", engine->name);
        return "lays rows out wrongly";
    }
    return NULL;
}

/* Those of this CPU, and those of the same CPU without SHA instructions. */
static size_t find_engines(sha1_engine *found)
{
    const uint32_t cpu = cpu_features();
    size_t count = sha1_engines(found, cpu & ~(uint32_t)(CPU_SHA_NI | CPU_ARM_SHA1)) - 1;
    return count + sha1_engines(found + count, cpu);
}

static const char *check_start(void)
{
    count_of_engines = find_engines(engines);
    for (size_t i = 0; i < count_of_engines; i++) {
        if (!known_of_secret(engines[i].compress)) {
            return "sha1_prepare_key_time is wrong";
        }
    }
    return !known() ? "portable: a known signature is wrong" : check_prepare() ? NULL : PREPARED;
}

#ifdef FUZZ
static const char *check_round(void)
{
    uint32_t most = below(8) ? 3 : LAID; /* few rows are quicker, many fill the lanes */
    switch (below(4)) {
    case 0:
        return check_lengths(below(401), below(401)) ? NULL : PREPARED;
    case 1:
        return check_scan() ? NULL : SCANNED;
    case 2:
        return check_layout(&engines[below((uint32_t)count_of_engines)], most);
    default:
        return check_sign(most);
    }
}
#else
static const char *check_round(void)
{
    const char *wrong = check_sign(ROWS);
    if (wrong || below(OTHERS)) {
        return wrong;
    }
    if (!check_scan()) {
        wrong = SCANNED;
    }
    for (size_t engine = 0; !wrong && engine < count_of_engines; engine++) {
        wrong = check_layout(&engines[engine], LAID);
    }
    return wrong;
}
#endif

static void check_report(void)
{
    for (size_t engine = 0; engine < count_of_engines; engine++) {
        printf("%s ", engines[engine].name);
    }
    printf("agree on %zu rows\n", checked);
}
