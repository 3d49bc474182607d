/* SHA-256 (FIPS 180-4) of a buffer, over and over. Its constants are computed: the first bits of the fractions of roots of primes. */
#include "bench.h"

#define BYTES 65536

const char work_name[] = "sha256";
const u64 work_rounds = 2880;
const int work_parallel = 0;

static u8 data[BYTES];
static u32 constants[64], start[8];

static u32 rotated(u32 x, int by)
{
    return x >> by | x << (32 - by);
}

/* The first 32 bits of the fraction of a prime's square or cube root. */
static u32 root_fraction(u64 prime, int power)
{
    /* The largest r with r^power <= prime * 2^(32 * power), found bit by bit. */
    unsigned __int128 root = 0;
    for (int bit = 35; bit >= 0; bit--) {
        unsigned __int128 r = root | (unsigned __int128)1 << bit;
        int fits = power == 2 ? r * r <= (unsigned __int128)prime << 64 : r * r * r <= (unsigned __int128)prime << 96;
        if (fits)
            root = r;
    }
    return (u32)root;
}

static void prepare(void)
{
    u32 found = 0;
    for (u64 n = 2; found < 64; n++) {
        u64 divisor = 2;
        while (n % divisor)
            divisor++;
        if (divisor != n)
            continue;
        constants[found] = root_fraction(n, 3);
        if (found < 8)
            start[found] = root_fraction(n, 2);
        found++;
    }
}

static void block(u32 *hash, const u8 *bytes)
{
    u32 w[64], v[8];
    for (int i = 0; i < 16; i++, bytes += 4)
        w[i] = (u32)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    for (int i = 16; i < 64; i++) {
        u32 s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
        u32 s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (int i = 0; i < 8; i++)
        v[i] = hash[i];
    for (int i = 0; i < 64; i++) {
        u32 s1 = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25);
        u32 t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
        u32 s0 = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22);
        u32 t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1;
        v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

u64 work_once(u64 hart, u64 round)
{
    if (round == 0)
        prepare();
    data[round] = (u8)hart;
    u32 hash[8];
    memcpy(hash, start, sizeof hash);
    for (u32 at = 0; at < BYTES; at += 64)
        block(hash, data + at);
    /* The padding of a message of 64 KiB. */
    u8 last[64] = { 0x80 };
    last[61] = BYTES * 8 >> 16 & 255;
    block(hash, last);
    return (u64)hash[0] << 32 | hash[7];
}
