/* The flame graph outputs, each read again: .folded line by line, .pprof by a decoder of its own, .speedscope.json by its rules,
 * .svg by a strict checker of XML. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>
#include <zlib.h>

#include "cli/convert/convert.h"
#include "cli/profile/stacks.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static struct convert_opts opts;
static struct convert_result result;
static struct vt_err err;
static char out_path[128];

static void set_up(void) {
    trace_build_open(&trace);
    trace_build_letters(&trace);
    opts = (struct convert_opts){.input = trace.path, .output = out_path};
    memset(&err, 0, sizeof err);
}
static void tear_down(void) { trace_build_remove(&trace); }

/* The whole output, NUL-terminated. */
static char *convert(const char *suffix, size_t *len) {
    snprintf(out_path, sizeof out_path, "%s%s", trace.path, suffix);
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    char *text = trace_build_slurp(out_path, len);
    unlink(out_path);
    return text;
}

/* ---- folded ---- */

static void expect_folded(const char *want) {
    char *text = convert(".folded", NULL);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(test_folded_lines_add_up) {
    trace_build_name(&trace, 20, 1, "append", "list", 0);
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) (b (a a) b) (c c) a)");
    trace_build_calls(&trace, 1, 2, 1000, 5, "(a a) (d d)");
    struct vt_event ev[] = {{.ticks = 2000, .type = VT_REC_C_CALL, .id = 20}, {.ticks = 2001, .type = VT_REC_C_RETURN, .id = 20}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    expect_folded("a (x.py:1) 45\n"
                  "a (x.py:1);b (x.py:2) 30\n"
                  "a (x.py:1);b (x.py:2);a (x.py:1) 10\n"
                  "a (x.py:1);c (x.py:3) 10\n"
                  "d (x.py:4) 5\n"
                  "list.append 1\n");
}
END_TEST

START_TEST(test_folded_per_thread_has_roots) {
    trace_build_thread(&trace, 1, 7, 1, "main;\n");
    trace_build_thread(&trace, 2, 8, 2, "");
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) a)");
    trace_build_calls(&trace, 1, 2, 1000, 5, "(a a)");
    opts.per_thread = true;
    expect_folded("thread 7 main:?;a (x.py:1) 20\n"
                  "thread 7 main:?;a (x.py:1);b (x.py:2) 10\n"
                  "thread 8;a (x.py:1) 5\n");
}
END_TEST

START_TEST(test_folded_names_keep_the_lines) {
    trace_build_name(&trace, 20, 0, "a;b\nc\r", "d;e.py", 1);
    struct vt_event ev[] = {{.ticks = 2000, .type = VT_REC_CALL, .id = 20}, {.ticks = 2001, .type = VT_REC_RETURN, .id = 20}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    expect_folded("a:b?c? (d:e.py:1) 1\n");
}
END_TEST

START_TEST(test_flame_leaves_short_calls_out) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (c c) b) (d d) a)");
    trace_build_calls(&trace, 0, 1, 2000, 10, "(a (d d)"); /* a stays open */
    opts.min_duration_ns = 20;
    expect_folded("a (x.py:1) 60\na (x.py:1);b (x.py:2) 30\n"); /* the open a: tracing ended with d */
}
END_TEST

/* ---- bounds of the tree ---- */

START_TEST(test_flame_tree_is_bounded) {
    struct stacks s;
    struct trace_info info = {.nprocesses = 1};
    struct trace_thread thread = {.tid = 7};
    struct walk_frame frames[4];
    struct walk_thread t = {.thread = &thread, .frames = frames};
    struct walk_end end = {.self_ns = 5};
    struct stacks_opts bounds = {.max_nodes = 10, .max_depth = 3};
    ck_assert_int_eq(stacks_init(&s, &info, &bounds), 0);
    for (uint32_t i = 0; i < 100; i++)
        for (t.depth = 1; t.depth <= 4; t.depth++) {
            struct walk_frame *f = &frames[t.depth - 1];
            *f = (struct walk_frame){.fn = i + t.depth * 100};
            ck_assert_int_eq(stacks_enter(&s, &t, f), 0);
            stacks_leave(&s, f, &end);
        }
    stacks_finish(&s);
    ck_assert_uint_le(s.nnodes, 20);
    ck_assert_uint_eq(s.nodes[0].total_ns, 100 * 4 * 5);
    ck_assert_uint_eq(s.other_calls, 400 - (s.nnodes - 1) + 4); /* nodes of their own have one call; four are "(other)" */
    for (uint32_t n = 1; n < s.nnodes; n++) ck_assert_uint_le(s.nodes[n].depth, 4);
    stacks_free(&s);
}
END_TEST

/* ---- pprof ---- */

struct field {
    uint32_t number;
    uint64_t value; /* varint, or length */
    const uint8_t *data;
};

static uint64_t get_varint(const uint8_t **p, const uint8_t *end) {
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        ck_assert(*p < end && shift < 64);
        v |= (uint64_t)(**p & 0x7f) << shift;
        if (!(*(*p)++ & 0x80)) return v;
    }
}
static bool get_field(const uint8_t **p, const uint8_t *end, struct field *f) {
    if (*p == end) return false;
    uint64_t key = get_varint(p, end);
    *f = (struct field){.number = (uint32_t)(key >> 3), .value = get_varint(p, end)};
    ck_assert_msg((key & 7) == 0 || (key & 7) == 2, "wire type %u", (unsigned)(key & 7));
    if ((key & 7) == 0) return true;
    ck_assert_uint_le(f->value, (uint64_t)(end - *p));
    f->data = *p;
    *p += f->value;
    return true;
}
/* The number in field `number` of a message, 0 when it is not there. */
static uint64_t number_in(const struct field *message, uint32_t number) {
    const uint8_t *p = message->data, *end = p + message->value;
    uint64_t value = 0;
    for (struct field f; get_field(&p, end, &f);)
        if (f.number == number) value = f.value;
    return value;
}

struct pprof {
    char strings[64][64];
    size_t nstrings;
    uint64_t names[64]; /* string of a function or location */
    struct {
        uint64_t locations[16], values[4], label_key, label_value;
        size_t nlocations, nvalues;
    } samples[64];
    size_t nsamples, ntypes;
    uint64_t types[4], units[4], duration;
};

static size_t get_packed(const struct field *f, uint64_t *to, size_t room) {
    const uint8_t *p = f->data, *end = p + f->value;
    size_t n = 0;
    while (p < end) {
        ck_assert_uint_lt(n, room);
        to[n++] = get_varint(&p, end);
    }
    return n;
}

static void get_sample(struct pprof *d, const struct field *message) {
    const uint8_t *p = message->data, *end = p + message->value;
    ck_assert_uint_lt(d->nsamples, 64);
    size_t at = d->nsamples++;
    for (struct field f; get_field(&p, end, &f);) {
        if (f.number == 1) d->samples[at].nlocations = get_packed(&f, d->samples[at].locations, 16);
        if (f.number == 2) d->samples[at].nvalues = get_packed(&f, d->samples[at].values, 4);
        if (f.number == 3) {
            d->samples[at].label_key = number_in(&f, 1);
            d->samples[at].label_value = number_in(&f, 2);
        }
    }
}

static void decode(struct pprof *d) {
    size_t len;
    char *packed = convert(".pprof", &len);
    static uint8_t data[1u << 20];
    z_stream z = {.next_in = (Bytef *)packed, .avail_in = (uInt)len, .next_out = data, .avail_out = sizeof data};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    free(packed);
    const uint8_t *p = data, *end = data + z.total_out;
    memset(d, 0, sizeof *d);
    for (struct field f; get_field(&p, end, &f);) {
        switch (f.number) {
        case 1:
            d->types[d->ntypes] = number_in(&f, 1);
            d->units[d->ntypes++] = number_in(&f, 2);
            break;
        case 2: get_sample(d, &f); break;
        case 4: ck_assert_uint_lt(number_in(&f, 1), 64); break;
        case 5: d->names[number_in(&f, 1)] = number_in(&f, 2); break;
        case 6:
            ck_assert_uint_lt(f.value, 64);
            memcpy(d->strings[d->nstrings++], f.data, f.value);
            break;
        case 10: d->duration = f.value; break;
        case 9:
        case 11:
        case 12:
        case 14: break;
        default: ck_abort_msg("field %u", f.number);
        }
    }
}

static const char *location(const struct pprof *d, size_t sample, size_t i) {
    return d->strings[d->names[d->samples[sample].locations[i]]];
}

START_TEST(test_pprof_has_stacks_and_values) {
    struct pprof d;
    trace_build_name(&trace, 20, 1, "append", "list", 0);
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) (b (a a) b) a)");
    struct vt_event ev[] = {{.ticks = 2000, .type = VT_REC_C_CALL, .id = 20}, {.ticks = 2001, .type = VT_REC_C_RETURN, .id = 20}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    decode(&d);
    ck_assert_str_eq(d.strings[0], "");
    ck_assert_uint_eq(d.ntypes, 2);
    ck_assert_str_eq(d.strings[d.types[0]], "calls");
    ck_assert_str_eq(d.strings[d.units[0]], "count");
    ck_assert_str_eq(d.strings[d.types[1]], "time");
    ck_assert_str_eq(d.strings[d.units[1]], "nanoseconds");
    ck_assert_uint_eq(d.nsamples, 4);
    uint64_t calls = 0, time = 0;
    for (size_t i = 0; i < d.nsamples; i++) {
        ck_assert_uint_eq(d.samples[i].nvalues, 2);
        ck_assert_uint_eq(d.samples[i].label_key, 0);
        calls += d.samples[i].values[0];
        time += d.samples[i].values[1];
    }
    ck_assert_uint_eq(calls, 5);
    ck_assert_uint_eq(time, 71);
    ck_assert_uint_eq(d.samples[2].nlocations, 3); /* a;b;a, leaf first */
    ck_assert_str_eq(location(&d, 1, 0), "b");
    ck_assert_str_eq(location(&d, 1, 1), "a");
    ck_assert_uint_eq(d.samples[1].values[0], 2);
    ck_assert_uint_eq(d.samples[1].values[1], 30);
    ck_assert_str_eq(location(&d, 3, 0), "list.append");
    opts.per_thread = true;
    decode(&d);
    ck_assert_uint_eq(d.samples[0].nlocations, 1);
    ck_assert_str_eq(d.strings[d.samples[0].label_key], "thread");
    ck_assert_str_eq(d.strings[d.samples[0].label_value], "thread 7");
}
END_TEST

/* ---- speedscope ---- */

static yajl_val get(yajl_val v, const char *key) {
    yajl_val found = yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_any);
    ck_assert_msg(found != NULL, "no %s", key);
    return found;
}
static yajl_val parse_speedscope(void) {
    char why[512] = "", *text = convert(".speedscope.json", NULL);
    yajl_val root = yajl_tree_parse(text, why, sizeof why);
    ck_assert_msg(root != NULL, "%s", why);
    ck_assert_str_eq(YAJL_GET_STRING(get(root, "$schema")), "https://www.speedscope.app/file-format-schema.json");
    free(text);
    return root;
}
static size_t nframes(yajl_val root) { return YAJL_GET_ARRAY(get(get(root, "shared"), "frames"))->len; }

/* What the format demands of an evented profile: in order of time, what closes was opened last, all closed at the end. */
static void check_events(yajl_val root, yajl_val profile, const char *want) {
    yajl_val events = get(profile, "events"), frames = get(get(root, "shared"), "frames");
    long long stack[64], last = 0;
    size_t depth = 0;
    char seen[256] = "";
    for (size_t i = 0; i < events->u.array.len; i++) {
        yajl_val e = events->u.array.values[i];
        long long frame = YAJL_GET_INTEGER(get(e, "frame")), at = YAJL_GET_INTEGER(get(e, "at"));
        bool open = YAJL_GET_STRING(get(e, "type"))[0] == 'O';
        ck_assert(at >= last && at <= YAJL_GET_INTEGER(get(profile, "endValue")));
        ck_assert(frame >= 0 && (size_t)frame < frames->u.array.len);
        last = at;
        if (open) {
            ck_assert_uint_lt(depth, 64);
            stack[depth++] = frame;
        } else {
            ck_assert(depth && stack[--depth] == frame);
        }
        if (want)
            sprintf(seen + strlen(seen), "%s%c%lld ", open ? "+" : "-",
                    YAJL_GET_STRING(get(frames->u.array.values[frame], "name"))[0], at);
    }
    ck_assert_uint_eq(depth, 0);
    if (want) ck_assert_str_eq(seen, want);
}

START_TEST(test_speedscope_evented_has_each_call) {
    trace_build_thread(&trace, 1, 7, 1, "main");
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) (b (c c) b) a)");
    trace_build_calls(&trace, 1, 2, 1000, 10, "(d (d ~ (e e) d)");
    yajl_val root = parse_speedscope(), profiles = get(root, "profiles");
    ck_assert_uint_eq(profiles->u.array.len, 2);
    yajl_val p = profiles->u.array.values[0];
    ck_assert_str_eq(YAJL_GET_STRING(get(p, "type")), "evented");
    ck_assert_str_eq(YAJL_GET_STRING(get(p, "unit")), "nanoseconds");
    ck_assert_str_eq(YAJL_GET_STRING(get(p, "name")), "thread 7 main");
    check_events(root, p, "+a0 +b10 -b20 +b30 +c40 -c50 -b60 -a70 ");
    check_events(root, profiles->u.array.values[1], NULL);
    yajl_val frame = get(get(root, "shared"), "frames")->u.array.values[1];
    ck_assert_str_eq(YAJL_GET_STRING(get(frame, "file")), "x.py");
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_speedscope_sampled_when_large) {
    struct vt_event *ev = calloc(VT_BLOCK_EVENTS, sizeof *ev);
    uint64_t ticks = 1000, calls = 0;
    uint32_t events = VT_BLOCK_EVENTS / 4 * 4;
    while (calls <= 500000) {
        for (uint32_t i = 0; i < events; i++) { /* (a (b b) a), 1 ns each */
            static const uint8_t types[] = {VT_REC_CALL, VT_REC_CALL, VT_REC_RETURN, VT_REC_RETURN}, ids[] = {1, 2, 2, 1};
            ev[i] = (struct vt_event){.ticks = ticks++, .type = types[i % 4], .id = ids[i % 4]};
        }
        trace_build_block(&trace, 0, 1, 7, ev, events);
        calls += events / 2;
    }
    free(ev);
    yajl_val root = parse_speedscope(), p = get(root, "profiles")->u.array.values[0];
    ck_assert_str_eq(YAJL_GET_STRING(get(p, "type")), "sampled");
    yajl_val samples = get(p, "samples"), weights = get(p, "weights");
    ck_assert_uint_eq(samples->u.array.len, 2);
    ck_assert_uint_eq(weights->u.array.len, 2);
    ck_assert_int_eq(YAJL_GET_INTEGER(weights->u.array.values[0]), (long long)calls);
    ck_assert_int_eq(YAJL_GET_INTEGER(weights->u.array.values[1]), (long long)calls / 2);
    ck_assert_int_eq(YAJL_GET_INTEGER(get(p, "endValue")), (long long)calls + (long long)calls / 2);
    ck_assert_uint_eq(samples->u.array.values[1]->u.array.len, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert_uint_lt((size_t)YAJL_GET_INTEGER(samples->u.array.values[1]->u.array.values[i]), nframes(root));
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_flame_longest_suffix_wins) {
    char *text = convert(".json", NULL);
    ck_assert_ptr_nonnull(strstr(text, "\"traceEvents\""));
    free(text);
    text = convert(".speedscope.json", NULL);
    ck_assert_ptr_null(strstr(text, "\"traceEvents\""));
    free(text);
}
END_TEST

/* ---- SVG: what XML 1.0 demands of elements, attributes, entities and characters ---- */

static const char *skip_name(const char *p) {
    const char *start = p;
    while (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-:0123456789", *p) && *p) p++;
    ck_assert_msg(p > start, "no name at %.40s", start);
    return p;
}
static const char *skip_text(const char *p, char until) {
    for (; *p && *p != until; p++) {
        ck_assert_msg(*p != '<' && ((unsigned char)*p >= 0x20 || *p == '\n') && *p != 0x7f, "bad character at %.40s", p);
        if (*p != '&') continue;
        const char *end = strchr(p, ';');
        ck_assert(end && end - p <= 6);
        char entity[8] = "";
        memcpy(entity, p + 1, (size_t)(end - p - 1));
        ck_assert_msg(strstr(" amp lt gt quot #39 #10 ", entity), "entity %s", entity);
        p = end;
    }
    return p;
}
static size_t check_xml(const char *p, size_t *scripts) {
    char names[16][16];
    size_t depth = 0, elements = 0;
    *scripts = 0;
    ck_assert_int_eq(strncmp(p, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", 39), 0);
    for (p = strstr(p, "?>") + 3;;) {
        p = skip_text(p, '<');
        if (!*p) break;
        if (!strncmp(p, "<![CDATA[", 9)) {
            p = strstr(p, "]]>") + 3;
            continue;
        }
        bool close = p[1] == '/';
        const char *name = p + 1 + close;
        p = skip_name(name);
        size_t len = (size_t)(p - name);
        ck_assert_uint_lt(len, sizeof names[0]);
        if (close) {
            ck_assert(depth && !strncmp(names[--depth], name, len) && !names[depth][len] && *p == '>');
            p++;
            continue;
        }
        elements++;
        *scripts += len == 6 && !strncmp(name, "script", 6);
        while (*p == ' ') {
            p = skip_name(p + 1);
            ck_assert(p[0] == '=' && p[1] == '"');
            p = skip_text(p + 2, '"') + 1;
        }
        bool empty = *p == '/';
        ck_assert(p[empty] == '>');
        p += 1 + empty;
        if (empty) continue;
        ck_assert_uint_lt(depth, 16);
        memset(names[depth], 0, sizeof names[0]);
        memcpy(names[depth++], name, len);
    }
    ck_assert_uint_eq(depth, 0);
    return elements;
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

START_TEST(test_svg_draws_frames) {
    size_t scripts;
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) (b (c c) b) a)");
    char *text = convert(".svg", NULL);
    check_xml(text, &scripts);
    ck_assert_uint_eq(scripts, 1);
    ck_assert_uint_eq(count(text, "<title>"), 4); /* all, a, b, c */
    ck_assert_ptr_nonnull(strstr(text,
                                 "<svg x=\"0.0000%\" y=\"34\" width=\"57.1429%\" height=\"16\"><title>b (x.py:2)&#10;40 ns, "
                                 "57.14 %, own 30 ns, 2 calls</title>"));
    ck_assert_ptr_nonnull(strstr(text, ">b (x.py:2)</text>")); /* the name, then the place */
    ck_assert_ptr_nonnull(strstr(text, " version=\"1.1\" width=\"100%\" "));
    ck_assert_ptr_null(strstr(text, "href"));
    ck_assert_uint_eq(count(text, "http"), 1); /* the name space */
    free(text);
}
END_TEST

START_TEST(test_svg_of_no_calls_is_valid) {
    size_t scripts;
    char *text = convert(".svg", NULL);
    check_xml(text, &scripts);
    free(text);
}
END_TEST

START_TEST(test_svg_hostile_names_are_no_markup) {
    static const char *const names[] = {"</title><script>alert(1)</script>", "]]>",       "\"'&amp;<>",
                                        "\x01\x1b[0m\xff\xef\xbf\xbf",       "<![CDATA[", "\xe5\x87\xbd\xe6\x95\xb0"};
    struct vt_event ev[2 * VT_ARRAY_LEN(names)];
    size_t n = 0, scripts;
    for (uint32_t i = 0; i < VT_ARRAY_LEN(names); i++) {
        trace_build_name(&trace, 20 + i, i & 1, names[i], names[VT_ARRAY_LEN(names) - 1 - i], i);
        ev[n++] = (struct vt_event){.ticks = 1000 + 200 * i, .type = VT_REC_CALL, .id = 20 + i};
        ev[n++] = (struct vt_event){.ticks = 1100 + 200 * i, .type = VT_REC_RETURN, .id = 20 + i};
    }
    trace_build_thread(&trace, 1, 7, 1, "<b>&\"");
    trace_build_block(&trace, 0, 1, 7, ev, n);
    opts.per_thread = true;
    char *text = convert(".svg", NULL);
    check_xml(text, &scripts);
    ck_assert_uint_eq(scripts, 1);
    ck_assert_uint_eq(count(text, "]]>"), 1);
    ck_assert_ptr_nonnull(strstr(text, "thread 7 &lt;b&gt;&amp;&quot;"));
    free(text);
    free(convert(".folded", NULL));
    free(convert(".pprof", NULL));
    yajl_tree_free(parse_speedscope());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/flame");
    TCase *tests = tcase_create("flame");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_folded_lines_add_up);
    tcase_add_test(tests, test_folded_per_thread_has_roots);
    tcase_add_test(tests, test_folded_names_keep_the_lines);
    tcase_add_test(tests, test_flame_leaves_short_calls_out);
    tcase_add_test(tests, test_flame_tree_is_bounded);
    tcase_add_test(tests, test_pprof_has_stacks_and_values);
    tcase_add_test(tests, test_speedscope_evented_has_each_call);
    tcase_add_test(tests, test_speedscope_sampled_when_large);
    tcase_add_test(tests, test_flame_longest_suffix_wins);
    tcase_add_test(tests, test_svg_draws_frames);
    tcase_add_test(tests, test_svg_of_no_calls_is_valid);
    tcase_add_test(tests, test_svg_hostile_names_are_no_markup);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
