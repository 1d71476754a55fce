/* The structs from which PyType_FromSpec makes a type: PyMemberDef, PyType_Slot and PyType_Spec (Include/structmember.h,
 * Include/object.h), the same from 3.8 to 3.15, and the numbers of the slots that we fill (Include/typeslots.h). */
#ifndef VT_AGENT_TYPE_SPEC_H
#define VT_AGENT_TYPE_SPEC_H

#include <stdint.h>

struct member {
    const char *name;
    int type;
    int64_t offset;
    int flags;
    const char *doc;
};
struct slot {
    int id;
    void *value;
};
struct spec {
    const char *name;
    int basic_size, item_size;
    unsigned flags;
    struct slot *slots;
};
enum { SLOT_CALL = 50, SLOT_DEALLOC = 52, SLOT_DESCR_GET = 54, SLOT_GETATTRO = 58, SLOT_MEMBERS = 72 };
enum { T_OBJECT = 6, T_PYSSIZET = 19, READONLY = 1 };

#endif
