/* Runs of protected records in C: what the classes of protection_runs.py do in Python, octet for octet.

   The ciphers stay those of the Python package `cryptography`: its encrypt_into or decrypt_into is called once a
   record.  What is saved is the Python between those calls, and the clearing and copying of buffers.  Whoever has no C
   compiler does without this file; tests/spec/test_protection_twins.py holds both equal.

   A record is header (5), explicit nonce (12 less the length of iv), content, its type where `inner` is 1 (TLS 1.3),
   tag.  No length is trusted before it is compared with the buffer that it speaks of. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <limits.h>
#include <structmember.h>
#include <string.h>

enum { HEADER = 5, NONCE = 12, APPLICATION_DATA = 23, RUN = 64, MOST = 0xFFFF };

static PyObject *invalid_tag; /* cryptography.exceptions.InvalidTag */

typedef struct {
    PyObject_HEAD
    PyObject *encrypt, *decrypt; /* encrypt_into, decrypt_into */
    unsigned long long sequence; /* of the next record */
    Py_ssize_t explicit_nonce, tag, inner;
    char iv[NONCE];
} Runs;

/* memcpy of long blocks is ten times slower on some processors where target and source lie alike in their pages. */
static void copy(char *to, const char *from, Py_ssize_t size)
{
    for (; size > 2048; to += 2048, from += 2048, size -= 2048)
        memcpy(to, from, 2048);
    memcpy(to, from, (size_t)size);
}

static void put(char *to, unsigned long long number, int octets)
{
    for (; octets--; number >>= 8)
        to[octets] = (char)number;
}

static void put_header(char *to, int kind, Py_ssize_t length)
{
    to[0] = (char)kind;
    to[1] = to[2] = 3;
    put(to + 3, (unsigned long long)length, 2);
}

/* A view of lent memory is done with.  Who kept it, in a traceback say, must not reach that memory any more.  A slice of
   it still would: the ciphers of `cryptography` keep neither, and others have no business here. */
static void drop(PyObject *view)
{
    PyObject *type, *value, *traceback, *done;

    if (view != NULL && Py_REFCNT(view) > 1) {
        PyErr_Fetch(&type, &value, &traceback);
        done = PyObject_CallMethod(view, "release", NULL);
        if (done == NULL)
            Py_FatalError("synfin: a cipher kept a buffer that was lent to it");
        Py_DECREF(done);
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(view);
}

/* One call of the cipher for the record of this sequence number, whose header says kind and length, from `from` to
   `to`.  `number` is its explicit nonce, or NULL.  -1 with an exception. */
static int one(const Runs *self, PyObject *call, unsigned long long sequence, int kind, Py_ssize_t length,
               const char *number, char *from, Py_ssize_t size, char *to, Py_ssize_t room)
{
    char nonce[NONCE], covered[8 + HEADER];
    PyObject *iv, *aad, *in, *out, *told = NULL;
    Py_ssize_t done = -1;
    int i;

    memcpy(nonce, self->iv, NONCE);
    if (number != NULL)
        memcpy(nonce + 4, number, 8);
    else
        for (i = 0; i < 8; i++)
            nonce[4 + i] ^= (char)(sequence >> (56 - 8 * i));
    put(covered, sequence, 8); /* TLS 1.3 covers the header as it goes out, TLS 1.2 numbers it and tells the content */
    put_header(covered + 8, kind, self->inner ? length : length - self->explicit_nonce - self->tag);
    iv = PyBytes_FromStringAndSize(nonce, NONCE);
    aad = self->inner ? PyBytes_FromStringAndSize(covered + 8, HEADER) : PyBytes_FromStringAndSize(covered, 8 + HEADER);
    in = PyMemoryView_FromMemory(from, size, PyBUF_READ);
    out = PyMemoryView_FromMemory(to, room, PyBUF_WRITE);
    if (iv != NULL && aad != NULL && in != NULL && out != NULL)
        told = PyObject_CallFunctionObjArgs(call, iv, in, aad, out, NULL);
    if (told != NULL) {
        done = PyLong_AsSsize_t(told);
        Py_DECREF(told);
        if (done != room && !PyErr_Occurred())
            PyErr_Format(PyExc_SystemError, "the cipher wrote %zd octets of %zd", done, room);
    }
    drop(in);
    drop(out);
    Py_XDECREF(iv);
    Py_XDECREF(aad);
    return done == room ? 0 : -1;
}

static int wanted(const Runs *self, PyObject *const *args, Py_ssize_t given, Py_ssize_t *limit)
{
    if (given != 3 || self->encrypt == NULL) {
        PyErr_SetString(PyExc_TypeError, "three arguments wanted, of what was initialised");
        return -1;
    }
    *limit = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return -1;
    if (*limit < 1 || *limit > MOST - self->explicit_nonce - self->inner - self->tag) {
        PyErr_SetString(PyExc_ValueError, "no record is so long");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(seal_run_doc, "seal_run(content_type, plaintext, limit) -> bytes");

static PyObject *seal_run(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    Runs *self = (Runs *)object;
    Py_buffer content;
    PyObject *out;
    Py_ssize_t limit, before, count, left, size, length;
    unsigned long long sequence;
    char *to, *from;
    int kind, outer;

    if (wanted(self, args, given, &limit) < 0)
        return NULL;
    kind = (int)PyLong_AsLong(args[0]);
    if (PyErr_Occurred() || PyObject_GetBuffer(args[1], &content, PyBUF_SIMPLE) < 0)
        return NULL;
    outer = self->inner ? APPLICATION_DATA : kind;
    before = HEADER + self->explicit_nonce;
    count = content.len ? (content.len - 1) / limit + 1 : 1;
    sequence = self->sequence;
    if ((unsigned long long)count > ULLONG_MAX - sequence) {
        PyBuffer_Release(&content);
        PyErr_SetString(PyExc_OverflowError, "sequence numbers never start again");
        return NULL;
    }
    if (count > (PY_SSIZE_T_MAX - content.len) / (before + self->inner + self->tag)) {
        PyBuffer_Release(&content);
        return PyErr_NoMemory();
    }
    out = PyBytes_FromStringAndSize(NULL, content.len + count * (before + self->inner + self->tag));
    to = out == NULL ? NULL : PyBytes_AsString(out);
    from = content.buf;
    if (out != NULL) /* the cipher lets other threads run: none may seal with these numbers */
        self->sequence = sequence + (unsigned long long)count;
    for (left = content.len; out != NULL && count--; left -= size) {
        size = left < limit ? left : limit;
        length = self->explicit_nonce + size + self->inner + self->tag;
        put_header(to, outer, length);
        if (self->explicit_nonce)
            put(to + HEADER, sequence, 8);
        if (self->inner) { /* content stands before its type, and is sealed in place */
            copy(to + before, from, size);
            to[before + size] = (char)kind;
        }
        if (one(self, self->encrypt, sequence, outer, length, self->explicit_nonce ? to + HEADER : NULL,
                self->inner ? to + before : from, size + self->inner, to + before, size + self->inner + self->tag) < 0)
            Py_CLEAR(out);
        to += HEADER + length;
        from += size;
        sequence++;
    }
    PyBuffer_Release(&content);
    return out;
}

/* The content of the ordinary record of application data that starts here, 0 where there is none. */
static Py_ssize_t usual(const Runs *self, const unsigned char *record, Py_ssize_t left, Py_ssize_t limit)
{
    Py_ssize_t length, content;

    if (left < HEADER || record[0] != APPLICATION_DATA || record[1] != 3 || record[2] != 3)
        return 0;
    length = record[3] << 8 | record[4];
    content = length - self->explicit_nonce - self->inner - self->tag;
    return HEADER + length > left || content < 1 || content > limit ? 0 : content;
}

PyDoc_STRVAR(open_run_doc, "open_run(data, pos, limit) -> (end, content)");

static PyObject *open_run(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    Runs *self = (Runs *)object;
    Py_buffer data;
    PyObject *out, *end, *result;
    Py_ssize_t limit, pos, at, before, extra, content, room = 0, filled = 0;
    unsigned long long sequence = self->sequence;
    char *octets, *to;

    if (wanted(self, args, given, &limit) < 0)
        return NULL;
    pos = PyLong_AsSsize_t(args[1]);
    if (PyErr_Occurred() || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
        return NULL;
    octets = data.buf;
    before = HEADER + self->explicit_nonce;
    extra = before + self->inner + self->tag;
    for (at = pos; at >= 0 && at < data.len; at += extra + content) {
        content = usual(self, (unsigned char *)octets + at, data.len - at, limit);
        if (!content || content > RUN * limit - room)
            break;
        room += content;
    }
    out = PyBytes_FromStringAndSize(NULL, room); /* its end has a NUL, in whose place the last record's type fits */
    to = out == NULL ? NULL : PyBytes_AsString(out);
    while (out != NULL && filled < room) {
        content = usual(self, (unsigned char *)octets + pos, data.len - pos, limit); /* a bytearray may have changed */
        if (!content || content > room - filled || sequence == ULLONG_MAX)
            break;
        if (one(self, self->decrypt, sequence, APPLICATION_DATA, extra - HEADER + content,
                self->explicit_nonce ? octets + pos + HEADER : NULL, octets + pos + before,
                content + self->inner + self->tag, to + filled, content + self->inner) < 0) {
            if (PyErr_ExceptionMatches(invalid_tag))
                PyErr_Clear();
            else
                Py_CLEAR(out);
            break;
        }
        if (self->inner && to[filled + content] != APPLICATION_DATA)
            break;
        filled += content; /* the next content goes over this one's type */
        pos += extra + content;
        sequence++;
    }
    PyBuffer_Release(&data);
    if (out == NULL)
        return NULL;
    to[room] = 0;
    if (filled < room) {
        result = PyBytes_FromStringAndSize(to, filled);
        Py_DECREF(out);
        if ((out = result) == NULL)
            return NULL;
    }
    end = PyLong_FromSsize_t(pos);
    result = end == NULL ? NULL : PyTuple_Pack(2, end, out);
    Py_XDECREF(end);
    Py_DECREF(out);
    if (result != NULL)
        self->sequence = sequence;
    return result;
}

static int init(PyObject *object, PyObject *args, PyObject *keywords)
{
    Runs *self = (Runs *)object;
    PyObject *aead, *iv, *encrypt, *decrypt;
    char *octets;
    Py_ssize_t length, tag, inner;

    (void)keywords; /* formats with # mean something else before Python 3.13: what is built there must run here */
    if (!PyArg_ParseTuple(args, "OSnn", &aead, &iv, &tag, &inner) || PyBytes_AsStringAndSize(iv, &octets, &length) < 0)
        return -1;
    if ((length != 4 && length != NONCE) || tag < 1 || tag > 16 || inner < 0 || inner > 1) {
        PyErr_SetString(PyExc_ValueError, "there are no such records");
        return -1;
    }
    encrypt = PyObject_GetAttrString(aead, "encrypt_into");
    decrypt = PyObject_GetAttrString(aead, "decrypt_into");
    if (self->encrypt != NULL) /* a run may be under way, in another thread say, that counts on what is here */
        PyErr_SetString(PyExc_TypeError, "these records were initialised before");
    if (encrypt == NULL || decrypt == NULL || self->encrypt != NULL) {
        Py_XDECREF(encrypt);
        Py_XDECREF(decrypt);
        return -1;
    }
    memset(self->iv, 0, NONCE);
    memcpy(self->iv, octets, (size_t)length);
    self->explicit_nonce = NONCE - length;
    self->tag = tag;
    self->inner = inner;
    self->sequence = 0;
    self->encrypt = encrypt;
    self->decrypt = decrypt;
    return 0;
}

static int visit_parts(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Runs *)object)->encrypt);
    Py_VISIT(((Runs *)object)->decrypt);
    return 0;
}

static int clear_parts(PyObject *object)
{
    Py_CLEAR(((Runs *)object)->encrypt);
    Py_CLEAR(((Runs *)object)->decrypt);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    clear_parts(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"seal_run", (PyCFunction)(void (*)(void))seal_run, METH_FASTCALL, seal_run_doc},
    {"open_run", (PyCFunction)(void (*)(void))open_run, METH_FASTCALL, open_run_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"sequence", T_ULONGLONG, offsetof(Runs, sequence), 0, "number of the next record"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, (void *)init},
    {Py_tp_dealloc, (void *)dealloc},
    {Py_tp_traverse, (void *)visit_parts},
    {Py_tp_clear, (void *)clear_parts},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    "synfin.spec._runs.Runs", sizeof(Runs), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "synfin.spec._runs", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__runs(void)
{
    PyObject *exceptions = PyImport_ImportModule("cryptography.exceptions"), *type = NULL, *module = NULL;

    if (exceptions != NULL && (invalid_tag = PyObject_GetAttrString(exceptions, "InvalidTag")) != NULL &&
        (type = PyType_FromSpec(&spec)) != NULL)
        module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddObjectRef(module, "Runs", type) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    Py_XDECREF(exceptions);
    return module;
}
