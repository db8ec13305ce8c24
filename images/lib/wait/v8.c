/* SPDX-License-Identifier: Apache-2.0 */

/* New random numbers for V8. Its generator takes eight bytes from /dev/urandom when a machine
 * starts, and Math.random draws from it for ever after; so two copies of a waiting process would
 * draw the same. Nothing that a program of Deno can call changes that. But the bytes were seen
 * here, and the generator keeps them beside its state. Before the process says ready it looks for
 * them in its memory; what follows them must be a state that they lead to. After the hand-over the
 * generators found so are seeded anew, as V8 seeds them. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "wait.h"

#define SEEDS_MAX 16      /* machines, their workers... */
#define STEPS_MAX 100000  /* drawn before the program starts: some hundred */
#define WINDOW_WORDS 8192 /* looked at in one go */

/* v8::base::RandomNumberGenerator */
struct generator {
    uint64_t seed, state0, state1;
};

static struct {
    uint64_t seeds[SEEDS_MAX];
    unsigned n_seeds;
    struct generator *found[SEEDS_MAX];
    unsigned n_found;
} v8;

void wait_v8_seed(const void *bytes)
{
    unsigned i = __atomic_fetch_add(&v8.n_seeds, 1, __ATOMIC_RELAXED);
    if (i < SEEDS_MAX)
        memcpy(&v8.seeds[i], bytes, sizeof(v8.seeds[i]));
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ h >> 33;
}

static struct generator seeded(uint64_t seed)
{
    struct generator g = {.seed = seed, .state0 = mix(seed)};
    g.state1 = mix(~g.state0);
    return g;
}

static void step(struct generator *g)
{
    uint64_t s1 = g->state0, s0 = g->state1;
    g->state0 = s0;
    s1 ^= s1 << 23;
    s1 ^= s1 >> 17;
    s1 ^= s0 ^ s0 >> 26;
    g->state1 = s1;
}

static bool is_generator(const uint64_t *words)
{
    struct generator g = seeded(words[0]);
    for (int i = 0; i < STEPS_MAX; i++, step(&g)) {
        if (g.state0 == words[1] && g.state1 == words[2])
            return true;
    }
    return false;
}

static bool is_seed(uint64_t word, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (v8.seeds[i] == word)
            return true;
    }
    return false;
}

/* Through /proc: another thread may unmap what is looked at. */
static void search(int mem, uintptr_t from, uintptr_t to, unsigned n)
{
    static uint64_t words[WINDOW_WORDS];
    const size_t overlap = sizeof(struct generator) - sizeof(words[0]);
    while (from + sizeof(struct generator) <= to) {
        size_t want = to - from < sizeof(words) ? to - from : sizeof(words);
        ssize_t got = pread(mem, words, want, (off_t)from);
        if (got < (ssize_t)sizeof(struct generator))
            return;
        size_t last = (size_t)got / sizeof(words[0]) - 3;
        for (size_t i = 0; i <= last; i++) {
            if (is_seed(words[i], n) && v8.n_found < SEEDS_MAX && is_generator(&words[i]))
                v8.found[v8.n_found++] = (struct generator *)(from + i * sizeof(words[0]));
        }
        from += (size_t)got - overlap;
        from &= ~(uintptr_t)(sizeof(words[0]) - 1);
    }
}

void wait_v8_find(void)
{
    unsigned n = v8.n_seeds < SEEDS_MAX ? v8.n_seeds : SEEDS_MAX;
    int mem = n ? open("/proc/self/mem", O_RDONLY | O_CLOEXEC) : -1;
    FILE *maps = mem < 0 ? NULL : fopen("/proc/self/maps", "re");
    char line[4096];
    v8.n_found = 0;
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 && strcmp(mode, "rw-p") == 0 &&
            !strstr(line, "[stack]"))
            search(mem, from, to, n);
    }
    if (maps)
        fclose(maps);
    if (mem >= 0)
        close(mem);
}

int wait_v8_reseed(void)
{
    for (unsigned i = 0; i < v8.n_found; i++) {
        uint64_t seed;
        if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
            return -errno;
        *v8.found[i] = seeded(seed);
    }
    return 0;
}
