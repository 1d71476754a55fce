/* Owns giving ids to functions. Before its first use an id is announced by a NAME payload, in the stream of the thread that met
 * the function first. */
#include "agent/cpython/text.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"
#include "agent/record/thread.h"

struct function_slot function_slots[1u << FUNCTION_BITS];
struct c_open c_open;
void (*name_profile_setter)(void *definition, bool all);
enum { PROBES = 16, NAME_BYTES_MAX = 8192 };
#define ID_UNKNOWN (VT_ID_MAX << VT_REC_TYPE_BITS)

/* ---- ids ---- */

/* Asks the current interpreter for co_extra slots until it hands out the one that the agent uses in all interpreters. */
static bool extra_index_here(void) {
    for (int64_t index = -1; index < agent.extra_index;) {
        int64_t next = py.PyUnstable_Eval_RequestCodeExtraIndex(NULL);
        if (next < 0 || next <= index) return false;
        index = next;
        if (agent.extra_index < 0) agent.extra_index = index;
    }
    return true;
}

int names_start(char *why, size_t why_size) {
    if (agent.next_id == 0) agent.next_id = 1;
    c_open.callable = NULL;
    agent.base_id = agent.next_id << VT_REC_TYPE_BITS;
    if (agent.extra_index < 0) {
        agent.extra_index = py.PyUnstable_Eval_RequestCodeExtraIndex(NULL);
        if (agent.extra_index < 0) {
            py.PyErr_Clear();
            text_append(why, why_size, "no co_extra slot is free: 255 other tools?");
            return -VT_EBUSY;
        }
    }
    return 0;
}

static uint32_t id_new(void) {
    if (agent.next_id >= VT_ID_MAX) return ID_UNKNOWN;
    uint32_t id = vt_fetch_add(&agent.next_id, 1u), next = id - (agent.base_id >> VT_REC_TYPE_BITS) + 1;
    if (id >= VT_ID_MAX) return ID_UNKNOWN;
    if (vt_load_relaxed(&agent.ctl->next_id) < next) vt_store_relaxed(&agent.ctl->next_id, next);
    return id << VT_REC_TYPE_BITS;
}

static bool tell_name(uint32_t id, uint32_t kind, uint32_t line, const struct text *name, const struct text *file) {
    uint32_t name_len = (uint32_t)(name->len > NAME_BYTES_MAX ? NAME_BYTES_MAX : name->len);
    uint32_t file_len = (uint32_t)(file->len > NAME_BYTES_MAX ? NAME_BYTES_MAX : file->len);
    struct vt_pl_name head = {.id = id >> VT_REC_TYPE_BITS,
                              .line = line,
                              .namelen = (uint16_t)name_len,
                              .filelen = (uint16_t)file_len,
                              .kind = (uint8_t)kind};
    uint32_t bytes = (uint32_t)sizeof head + name_len + file_len;
    uint8_t *to = payload_reserve(bytes);
    if (!to) return false;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, name->bytes, name_len);
    memcpy(to + sizeof head + name_len, file->bytes, file_len);
    payload_commit(VT_PL_NAME, bytes);
    return true;
}

uint32_t name_text(const struct text *name) {
    const struct text nothing = {"", 0, NULL};
    uint32_t id = id_new();
    return id == ID_UNKNOWN || tell_name(id, 1, 0, name, &nothing) ? id : 0;
}

static bool code_remember(void *code, uint64_t value) {
    if (py.PyUnstable_Code_SetExtra(code, agent.extra_index, (void *)value) == 0) return true;
    py.PyErr_Clear();
    if (extra_index_here() && py.PyUnstable_Code_SetExtra(code, agent.extra_index, (void *)value) == 0) return true;
    py.PyErr_Clear();
    return false;
}

/* greenlet is being imported: a visit before it can be used finds it. */
static const char greenlet_file[] = "/greenlet/__init__.py";

static bool ends_with(const struct text *text, const char *end) {
    int64_t len = (int64_t)strlen(end);
    return text->len >= len && text_equal(text->bytes + (text->len - len), end);
}

static void visit_soon(void) {
    agent.visit_at = 0;
    thread_send_slow(this_thread);
}

/* 0 = there is no room for its name. The name of a function that is left out tells what a filter has hidden; it may be lost.
 * `globals`: NULL = those of the frame that runs. */
uint32_t name_code_new(void *code, void *globals) {
    struct pending_error error;
    struct text name, file;
    uint32_t result = 0;
    error_save(&error);
    text_of_unicode(&name, field(code, layout.co_name));
    text_of_unicode(&file, field(code, layout.co_filename));
    uint64_t flags = agent.full ? filter_code_flags(name.bytes, file.bytes, globals) : 0;
    if (ends_with(&file, greenlet_file)) visit_soon();
    uint32_t id = id_new();
    bool told = id == ID_UNKNOWN || tell_name(id, 0, field32(code, layout.co_firstlineno), &name, &file);
    if (told || flags & FILTER_LEFT_OUT) {
        if (code_remember(code, flags | (code_in_pieces(code) ? CODE_IN_PIECES : 0) | id)) result = id;
    }
    text_done(&name);
    text_done(&file);
    error_restore(&error);
    return result;
}

uint32_t name_code(void *code, void *frame) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (extra && extra->size > agent.extra_index && code_word_id(extra->value[agent.extra_index]) >= agent.base_id)
        return code_word_id(extra->value[agent.extra_index]);
    void *globals = frame && agent.full && filter_needs_modules() ? py.PyObject_GetAttrString(frame, "f_globals") : NULL;
    uint32_t id = name_code_new(code, globals);
    drop_ref(globals);
    return id;
}

void name_code_watch(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (extra && extra->size > agent.extra_index && code_word_id(extra->value[agent.extra_index]) >= agent.base_id)
        code_remember(code, extra->value[agent.extra_index] | CODE_IN_PIECES);
}

/* ---- C functions ---- */

static bool type_defines(const char *type, const char *definition) {
    const char *first = field(type, TYPE_METHODS);
    if (!first || definition < first || (uint64_t)(definition - first) % DEF_SIZE) return false;
    for (; first != definition; first += DEF_SIZE)
        if (!field(first, DEF_NAME)) return false;
    return true;
}

static const char *defining_type(const char *type, const char *definition) {
    for (; type; type = field(type, TYPE_BASE))
        if (type_defines(type, definition)) return type;
    return NULL;
}

/* The text before the dot: the module of a function, the defining type of a method. */
static void function_owner(struct text *owner, const void *callable, const void *definition) {
    const char *type = NULL;
    *owner = (struct text){"", 0, NULL};
    if (type_of(callable) == py.PyMethodDescr_Type || type_of(callable) == py.PyClassMethodDescr_Type) {
        type = field(callable, DESCR_TYPE);
    } else {
        void *module = field(callable, CFUNCTION_MODULE), *self = field(callable, CFUNCTION_SELF);
        if (module && type_of(module) == py.PyUnicode_Type) {
            text_of_unicode(owner, module);
            return;
        }
        if (!self) return;
        bool self_is_type = field32(type_of(self), TYPE_FLAGS) & TYPE_FLAG_IS_TYPE;
        if (self_is_type) type = defining_type(self, definition);
        if (!type) type = defining_type(type_of(self), definition);
        if (!type) type = type_of(self);
    }
    owner->bytes = field(type, TYPE_NAME);
    owner->len = (int64_t)strlen(owner->bytes);
}

static const struct {
    const char *owner, *name;
    uint16_t special;
} specials[] = {
    {"_thread", "start_new_thread", FUNCTION_STARTS_THREAD},
    {"_thread", "start_new", FUNCTION_STARTS_THREAD},
    {"_xxsubinterpreters", "create", FUNCTION_STARTS_THREAD},
    {"sys", "setprofile", FUNCTION_SETS_PROFILE},
    {"sys", "_setprofileallthreads", FUNCTION_SETS_PROFILES},
    {"_lsprof.Profiler", "enable", FUNCTION_SETS_PROFILE},
    {"_lsprof.Profiler", "disable", FUNCTION_SETS_PROFILE},
    {"_yappi", "start", FUNCTION_SETS_PROFILES},
    {"_yappi", "stop", FUNCTION_SETS_PROFILES},
};

static uint16_t special_of(const char *owner, const char *name) {
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (text_equal(specials[i].owner, owner) && text_equal(specials[i].name, name)) return specials[i].special;
    return FUNCTION_PLAIN;
}

const struct function_slot *name_function_slot(const struct function_slot *slots, const void *definition) {
    uint32_t home = function_slot_of(definition), mask = (1u << FUNCTION_BITS) - 1;
    for (uint32_t i = 0; i < PROBES; i++) {
        const struct function_slot *slot = &slots[(home + i) & mask];
        if (slot->definition == definition && slot->id >= agent.base_id) return slot;
    }
    return NULL;
}

/* The slot that this definition has or may take. *id: the id that it has, or 0. */
static struct function_slot *function_place(struct function_slot *slots, const void *definition, uint32_t *id) {
    uint32_t home = function_slot_of(definition), mask = (1u << FUNCTION_BITS) - 1;
    struct function_slot *room = NULL;
    *id = 0;
    for (uint32_t i = 0; i < PROBES; i++) {
        struct function_slot *slot = &slots[(home + i) & mask];
        bool current = slot->id >= agent.base_id;
        if (current && slot->definition == definition && slot->check == function_check(definition)) {
            *id = slot->id;
            return slot;
        }
        if (!room && (!current || slot->definition == definition)) room = slot;
    }
    return room ? room : &slots[home];
}

static uint32_t function_register(struct function_slot *room, void *callable, void *definition) {
    struct pending_error error;
    struct text name, owner;
    uint32_t id = id_new();
    error_save(&error);
    name = (struct text){field(definition, DEF_NAME), 0, NULL};
    if (!name.bytes) name.bytes = "?";
    name.len = (int64_t)strlen(name.bytes);
    function_owner(&owner, callable, definition);
    bool left_out = agent.full && filter_leaves_out_function(owner.bytes, name.bytes);
    if (id == ID_UNKNOWN || left_out || tell_name(id, 1, 0, &name, &owner)) {
        uint16_t special = special_of(owner.bytes, name.bytes);
        if (special >= FUNCTION_SETS_PROFILE && name_profile_setter)
            name_profile_setter(definition, special == FUNCTION_SETS_PROFILES);
        vt_store_relaxed(&room->id, 0u);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        vt_store_relaxed(&room->definition, definition);
        vt_store_relaxed(&room->check, function_check(definition));
        room->special = special;
        room->left_out = left_out;
        vt_store_release(&room->id, id);
    } else {
        id = 0;
    }
    text_done(&owner);
    error_restore(&error);
    return id;
}

uint32_t name_function_known(struct function_slot *slots, const void *definition) {
    uint32_t id;
    function_place(slots, definition, &id);
    return id;
}

uint32_t name_function(struct function_slot *slots, void *callable, void *definition) {
    uint32_t id;
    struct function_slot *place = function_place(slots, definition, &id);
    return id ? id : function_register(place, callable, definition);
}
