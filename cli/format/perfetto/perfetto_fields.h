/* Field numbers of Perfetto's messages, for the writer, which puts fields together by hand: a packet of a call costs tens of
 * ns. perfetto_subset.proto has the same numbers; a test compares them, row by row.
 * FIELD(name here, message, field in the .proto, number) */
#ifndef VT_CLI_PERFETTO_FIELDS_H
#define VT_CLI_PERFETTO_FIELDS_H

#define PERFETTO_FIELDS(FIELD)                                                                                                   \
    FIELD(TRACE_PACKET, trace, packets, 1)                                                                                       \
    FIELD(PACKET_CLOCKS, packet, clock_snapshot, 6)                                                                              \
    FIELD(PACKET_TIME, packet, timestamp, 8)                                                                                     \
    FIELD(PACKET_SEQUENCE, packet, sequence_id, 10)                                                                              \
    FIELD(PACKET_EVENT, packet, event, 11)                                                                                       \
    FIELD(PACKET_INTERNED, packet, interned, 12)                                                                                 \
    FIELD(PACKET_FLAGS, packet, flags, 13)                                                                                       \
    FIELD(PACKET_PREVIOUS_DROPPED, packet, previous_packet_dropped, 42)                                                          \
    FIELD(PACKET_TIME_CLOCK, packet, timestamp_clock_id, 58)                                                                     \
    FIELD(PACKET_DEFAULTS, packet, defaults, 59)                                                                                 \
    FIELD(PACKET_TRACK, packet, track, 60)                                                                                       \
    FIELD(PACKET_FIRST, packet, first_packet, 87)                                                                                \
    FIELD(CLOCKS_CLOCK, clock_snapshot, clocks, 1)                                                                               \
    FIELD(CLOCKS_PRIMARY, clock_snapshot, primary, 2)                                                                            \
    FIELD(CLOCK_ID, clock_snapshot__clock, id, 1)                                                                                \
    FIELD(CLOCK_TIME, clock_snapshot__clock, timestamp, 2)                                                                       \
    FIELD(CLOCK_INCREMENTAL, clock_snapshot__clock, is_incremental, 3)                                                           \
    FIELD(DEFAULTS_EVENT, defaults, event, 11)                                                                                   \
    FIELD(DEFAULTS_CLOCK, defaults, timestamp_clock_id, 58)                                                                      \
    FIELD(DEFAULTS_EVENT_TRACK, event_defaults, track_uuid, 11)                                                                  \
    FIELD(TRACK_UUID, track, uuid, 1)                                                                                            \
    FIELD(TRACK_NAME, track, name, 2)                                                                                            \
    FIELD(TRACK_PROCESS, track, process, 3)                                                                                      \
    FIELD(TRACK_THREAD, track, thread, 4)                                                                                        \
    FIELD(TRACK_PARENT, track, parent_uuid, 5)                                                                                   \
    FIELD(TRACK_COUNTER, track, counter, 8)                                                                                      \
    FIELD(PROCESS_PID, track__process, pid, 1)                                                                                   \
    FIELD(PROCESS_CMDLINE, track__process, cmdline, 2)                                                                           \
    FIELD(PROCESS_NAME, track__process, name, 6)                                                                                 \
    FIELD(PROCESS_LABEL, track__process, labels, 8)                                                                              \
    FIELD(THREAD_PID, track__thread, pid, 1)                                                                                     \
    FIELD(THREAD_TID, track__thread, tid, 2)                                                                                     \
    FIELD(THREAD_NAME, track__thread, name, 5)                                                                                   \
    FIELD(EVENT_ARGS, event, args, 4)                                                                                            \
    FIELD(EVENT_TYPE, event, type, 9)                                                                                            \
    FIELD(EVENT_NAME_ID, event, name_iid, 10)                                                                                    \
    FIELD(EVENT_TRACK, event, track_uuid, 11)                                                                                    \
    FIELD(EVENT_CATEGORY, event, categories, 22)                                                                                 \
    FIELD(EVENT_NAME, event, name, 23)                                                                                           \
    FIELD(EVENT_COUNTER, event, counter_value, 30)                                                                               \
    FIELD(EVENT_SOURCE_ID, event, source_iid, 34)                                                                                \
    FIELD(EVENT_DOUBLE_COUNTER, event, double_counter_value, 44)                                                                 \
    FIELD(EVENT_FLOW, event, flow_ids, 47)                                                                                       \
    FIELD(EVENT_FLOW_END, event, terminating_flow_ids, 48)                                                                       \
    FIELD(ARG_NAME_ID, annotation, name_iid, 1)                                                                                  \
    FIELD(ARG_BOOL, annotation, bool_value, 2)                                                                                   \
    FIELD(ARG_UINT, annotation, uint_value, 3)                                                                                   \
    FIELD(ARG_INT, annotation, int_value, 4)                                                                                     \
    FIELD(ARG_DOUBLE, annotation, double_value, 5)                                                                               \
    FIELD(ARG_STRING, annotation, string_value, 6)                                                                               \
    FIELD(ARG_NAME, annotation, name, 10)                                                                                        \
    FIELD(ARG_DICT, annotation, dict, 11)                                                                                        \
    FIELD(ARG_ARRAY, annotation, array, 12)                                                                                      \
    FIELD(ARG_STRING_ID, annotation, string_iid, 17)                                                                             \
    FIELD(INTERNED_NAME, interned, names, 2)                                                                                     \
    FIELD(INTERNED_ARG, interned, args, 3)                                                                                       \
    FIELD(INTERNED_SOURCE, interned, sources, 4)                                                                                 \
    FIELD(INTERNED_STRING, interned, strings, 29)                                                                                \
    FIELD(NAME_ID, interned__name, iid, 1)                                                                                       \
    FIELD(NAME_TEXT, interned__name, name, 2)                                                                                    \
    FIELD(SOURCE_ID, interned__source, iid, 1)                                                                                   \
    FIELD(SOURCE_FILE, interned__source, file, 2)                                                                                \
    FIELD(SOURCE_FUNCTION, interned__source, function, 3)                                                                        \
    FIELD(SOURCE_LINE, interned__source, line, 4)

#define PERFETTO_NUMBER(name, message, field, number) name = number,
enum perfetto_field { PERFETTO_FIELDS(PERFETTO_NUMBER) };
#undef PERFETTO_NUMBER

#endif
