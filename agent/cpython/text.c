/* Owns how the text of a str is read, whatever is in it: lone surrogates come out as the bytes they stand for. */
#include "agent/cpython/text.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"

void text_of_unicode(struct text *text, void *unicode) {
    *text = (struct text){"", 0, NULL};
    if (!unicode || !(type_of(unicode) == py.PyUnicode_Type)) return;
    text->bytes = py.PyUnicode_AsUTF8AndSize(unicode, &text->len);
    if (text->bytes) return;
    py.PyErr_Clear();
    char *bytes = NULL;
    text->owner = py.PyUnicode_AsEncodedString(unicode, "utf-8", "surrogateescape");
    if (!text->owner) {
        py.PyErr_Clear();
        text->owner = py.PyUnicode_AsEncodedString(unicode, "utf-8", "backslashreplace");
    }
    if (text->owner && py.PyBytes_AsStringAndSize(text->owner, &bytes, &text->len) == 0) {
        text->bytes = bytes;
        return;
    }
    py.PyErr_Clear();
    text->bytes = "";
    text->len = 0;
}

void text_done(struct text *text) {
    drop_ref(text->owner);
    text->owner = NULL;
}
