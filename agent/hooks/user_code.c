/* Owns the begin and the end of a launched program's own code. Its code object is marked, so that its two events go through the
 * rare paths of the hooks, which come here; other functions pay nothing. */
#include "agent/hooks/user_code.h"

#include "agent/hooks/depth.h"
#include "agent/names/filter.h"
#include "agent/session/slow.h"

static uint32_t exec_id; /* of builtins.exec while its call is open; 0 = none */

void user_code_set(void *code) {
    exec_id = 0;
    agent.user_code = code;
    agent.user_over = false;
}

/* It counts for --max_stack_depth, as VizTracer's does. */
static bool records_exec(void) {
    struct thread *thread = thread_current();
    return thread && agent.c_calls && !agent.sparse && !filter_leaves_out_function("builtins", "exec") &&
           depth_fits(thread, true);
}

void user_code_begin_exec(void) {
    void *builtins = py.PyDict_GetItemString(py.PyImport_GetModuleDict(), "builtins"); /* borrowed */
    void *exec = builtins ? py.PyObject_GetAttrString(builtins, "exec") : NULL;
    void *definition = exec ? function_definition(exec) : NULL;
    if (!exec) py.PyErr_Clear();
    if (definition && records_exec()) exec_id = function_id(exec, definition);
    if (exec_id) emit_any_clock(exec_id | VT_REC_C_CALL);
    drop_ref(exec);
}

static void end(void) {
    const uint64_t nothing = 0;
    agent.user_code = NULL;
    agent.user_over = !(agent.flags & VT_F_LOG_EXIT);
    if (exec_id && depth_fits(this_thread, false)) emit_any_clock(exec_id | VT_REC_C_RETURN);
    exec_id = 0;
    if (agent.flags & VT_F_LOG_EXIT || agent.state != AGENT_TRACING || emit_payload(VT_PL_USER_END, &nothing, sizeof nothing))
        return;
    uint8_t *to = payload_reserve(sizeof nothing);
    if (!to) return;
    memcpy(to, &nothing, sizeof nothing);
    payload_commit(VT_PL_USER_END, sizeof nothing);
}

void user_code_event(void *code, uint32_t type) {
    if (agent.state != AGENT_TRACING || !agent.family->live) return;
    struct pending_error error;
    error_save(&error);
    if (VT_REC_IS_ENTER(type))
        name_code_watch(code);
    else
        end();
    error_restore(&error);
}
