/* Owns what a class itself defines: finds an entry in its dict, and keeps where it was. A class has dozens of entries, and a scan
 * of them costs more than the rest of the text.
 *
 * A kept place holds as long as the class has the same version tag. The interpreter takes the tag away when an entry changes, and
 * gives no tag twice. A class without a tag is scanned each time. A place is only a hint: its key is compared, so that a wrong
 * one costs a scan, and no reference is kept. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/value_put.h"
#include "proto/abi/arena.h"

enum { CLASS_ENTRIES_MAX = 400, PLACE_BITS = 16, ABSENT = 0xffff, KNOWN_BITS = 9 };
#define FLAG_VALID_VERSION (1u << 19) /* below 3.13 */

static const char *const names[CLASS_ENTRIES] = {"__module__", "__dataclass_fields__", "_fields"};

/* Threads with a GIL of their own share the table without a lock. A mix of two entries fails the check. */
static struct known {
    uint64_t check;  /* key ^ places */
    uint64_t places; /* PLACE_BITS for each name: where PyDict_Next finds it, or ABSENT */
} knowns[1u << KNOWN_BITS];

/* 0 = its places cannot be kept. */
static uint64_t key_of(const void *type) {
    uint64_t tag = field32(type, TYPE_VERSION);
    if (layout.python < 0x30d && !(field32(type, TYPE_FLAGS) & FLAG_VALID_VERSION)) return 0;
    return tag ? (tag << 32 | tag) ^ (uint64_t)type : 0;
}

static struct known *slot_of(uint64_t key) { return &knowns[key * 0x9e3779b97f4a7c15u >> (64 - KNOWN_BITS)]; }

/* False: there is no entry, or one with another key. */
static bool entry_at(void *dict, int64_t place, enum class_entry which, void **value) {
    void *key;
    return py.PyDict_Next(dict, &place, &key, value) && value_str_is(key, names[which]);
}

static uint64_t find_all(void *dict) {
    uint64_t places = ~0ull;
    int64_t at = 0, place = 0;
    void *key, *value;
    for (int i = 0; i < CLASS_ENTRIES_MAX && place < ABSENT && py.PyDict_Next(dict, &at, &key, &value); i++, place = at)
        for (uint32_t which = 0; which < CLASS_ENTRIES; which++)
            if (value_str_is(key, names[which])) places ^= ((uint64_t)place ^ ABSENT) << PLACE_BITS * which;
    return places;
}

void *value_class_entry(const void *type, enum class_entry which) {
    void *dict = field(type, TYPE_DICT), *value;
    if (!dict || type_of(dict) != py.PyDict_Type) return NULL;
    uint64_t key = key_of(type), places = 0;
    struct known *known = slot_of(key);
    for (int tries = 0; tries < 2; tries++) {
        bool kept = key && !tries;
        if (kept) {
            places = vt_load_relaxed(&known->places);
            if ((vt_load_relaxed(&known->check) ^ places) != key) continue;
        } else {
            places = find_all(dict);
            if (key) {
                vt_store_relaxed(&known->places, places);
                vt_store_relaxed(&known->check, key ^ places);
            }
        }
        uint64_t place = places >> PLACE_BITS * which & ABSENT;
        if (place == ABSENT) return NULL;
        if (entry_at(dict, (int64_t)place, which, &value)) return value;
    }
    return NULL;
}
