/*
 * A plugin behind the C door whose one check does what its setting `behaviour` says, and whose
 * table is wrong where the compiler is told so. Nothing here is an example to follow.
 */

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lineman_plugin.h"

#ifndef MAGIC
#define MAGIC LINEMAN_MAGIC
#endif
#ifndef MAJOR
#define MAJOR LINEMAN_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(struct lineman_plugin_v1)
#endif
#ifndef DESCRIPTION
#define DESCRIPTION \
    "{\"id\":\"c-door\",\"version\":\"1.0.0\",\"title\":\"C\",\"publisher\":\"Lineman's tests\"," \
    "\"protocol\":{\"min\":1,\"max\":1},\"operations\":[\"check\",\"close\"]," \
    "\"checks\":[{\"id\":\"c-door/act\",\"title\":\"It behaves\",\"level\":\"config\"}]," \
    "\"settings\":{\"type\":\"object\",\"properties\":{\"behaviour\":{\"type\":\"string\"}}}," \
    "\"secrets\":{\"type\":\"object\",\"properties\":{\"token\":{\"type\":\"string\"}}}}"
#endif
#ifndef LENGTH
#define LENGTH (sizeof DESCRIPTION - 1)
#endif
#ifndef DATA
#define DATA ((const uint8_t *)DESCRIPTION)
#endif

static const struct lineman_host_v1 *host;

static uint32_t say(uint64_t call, uint32_t kind, const char *text, size_t length)
{
    return host->emit(host->ctx, call, kind, (struct lineman_bytes){(const uint8_t *)text, length});
}

static void done(uint64_t call)
{
    say(call, LINEMAN_EVENT_RESULT, "{}", 2);
}

static void *later(void *call)
{
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    done((uint64_t)(uintptr_t)call);
    return NULL;
}

/* What a request says of itself: the text after a key, which nobody else uses in these tests. */
static const char *after(const char *request, const char *key)
{
    const char *found = strstr(request, key);
    return found == NULL ? "" : found + strlen(key);
}

static void tell(uint64_t call, const char *request)
{
    /* As the request has it, escapes included, up to the quote that ends it. */
    static char token[512], text[4096];
    const char *from = after(request, "\"token\":\""), *to = from;
    while (*to != '\0' && *to != '"')
        to += *to == '\\' ? 2 : 1;
    snprintf(token, sizeof token, "%.*s", (int)(to - from), from);
    fprintf(stderr, "stderr %s\n", token);
    printf("stdout %s\n", token);
    fflush(stdout);
    snprintf(text, sizeof text, "{\"text\":\"progress %s\"}", token);
    say(call, LINEMAN_EVENT_PROGRESS, text, strlen(text));
    snprintf(text, sizeof text,
             "{\"code\":\"c-door/told\",\"cause\":\"undetermined\",\"message\":\"message %s\",\"detail\":\"d\\u001b[1m%s\","
             "\"evidence\":[{\"kind\":\"log\",\"source\":\"s\",\"lines\":[\"%s\"]},{\"kind\":\"new\",\"%s\":1}]}",
             token, token, token, token);
    say(call, LINEMAN_EVENT_FINDING, text, strlen(text));
    snprintf(text, sizeof text, "{\"not_proved\":[{\"level\":\"config\",\"what\":\"w %s\",\"why\":\"%s\"}]}", token, token);
    say(call, LINEMAN_EVENT_RESULT, text, strlen(text));
}

static uint32_t submit(uint64_t call, struct lineman_bytes op, struct lineman_bytes request,
                       const struct lineman_host_v1 *given)
{
    host = given;
    /* The host ends what it lends with a zero byte. */
    const char *text = (const char *)request.data;
    const char *behaviour = after(text, "\"behaviour\":\"");
#define ASKED(word) (strncmp(behaviour, word "\"", sizeof word) == 0)
    pthread_t thread;
    if (strcmp((const char *)op.data, "check") != 0 || ASKED("well")) {
        done(call);
    } else if (ASKED("well-in-a-while")) {
        pthread_create(&thread, NULL, later, (void *)(uintptr_t)call);
        pthread_detach(thread);
    } else if (ASKED("print")) {
        printf("{\"event\":{\"call\":1}}\n");
        fflush(stdout);
        done(call);
    } else if (ASKED("two-results")) {
        done(call);
        say(call, LINEMAN_EVENT_ERROR, "{", 1);
    } else if (ASKED("unknown-kinds")) {
        say(call, 77, "whatever", 8);
        done(call);
    } else if (ASKED("unknown-host-call")) {
        struct lineman_bytes reply = {(const uint8_t *)"x", 99};
        struct lineman_bytes no = {(const uint8_t *)"frobnicate", 10}, gone = {NULL, 12};
        uint32_t refused = host->host_call(host->ctx, call, no, no, &reply);
        if (refused == LINEMAN_HOST_CALL_REFUSED && reply.len == 0
            && host->host_call(host->ctx, call, gone, gone, NULL) == LINEMAN_HOST_CALL_REFUSED
            && host->size == sizeof *host) {
            host->free(host->ctx, reply);
            done(call);
        }
    } else if (ASKED("abort")) {
        abort();
    } else if (ASKED("segfault")) {
        volatile char *volatile nowhere = NULL;
        *nowhere = 1;
    } else if (ASKED("exit-zero")) {
        exit(0);
    } else if (ASKED("garbage")) {
        say(call, LINEMAN_EVENT_FINDING, "\xff\xfe{", 3);
    } else if (ASKED("null-body")) {
        say(call, LINEMAN_EVENT_FINDING, NULL, 12);
    } else if (ASKED("length-of-everything")) {
        say(call, LINEMAN_EVENT_FINDING, "{}", SIZE_MAX);
    } else if (ASKED("flood-findings")) {
        static const char finding[] = "{\"code\":\"c-door/x\",\"cause\":\"undetermined\",\"message\":\"One of many.\"}";
        while (say(call, LINEMAN_EVENT_FINDING, finding, sizeof finding - 1) != LINEMAN_EMIT_UNKNOWN_CALL)
            ;
    } else if (ASKED("refuse")) {
        return LINEMAN_SUBMIT_BUSY;
    } else if (ASKED("tell")) {
        tell(call, text);
    } else if (ASKED("tell-and-abort")) {
        tell(call + 1000000, text);
        abort();
    }
    /* Whatever else was asked for, such as `no-result`, is not answered. */
    return LINEMAN_SUBMIT_ACCEPTED;
}

static struct lineman_bytes describe(void)
{
    return (struct lineman_bytes){DATA, LENGTH};
}

__attribute__((unused)) static void nothing(void)
{
}

static void cancel(uint64_t call)
{
    (void)call;
}

static void free_bytes(struct lineman_bytes bytes)
{
    /* What it lent comes back as it was. */
    if (bytes.data != DATA)
        abort();
}

#ifdef UNRESOLVED
void nobody_defines_this(void);
#define SHUTDOWN nobody_defines_this
#elif defined NULL_SHUTDOWN
#define SHUTDOWN NULL
#else
#define SHUTDOWN nothing
#endif

#ifndef NAME
#define NAME lineman_plugin_c_v1
#endif
/* What the library exports under that name in its place. */
#ifdef INSTEAD
INSTEAD
#endif

const struct lineman_plugin_v1 NAME = {
    .magic = MAGIC,
    .major = MAJOR,
    .minor = LINEMAN_MINOR,
    .size = SIZE,
    .describe = describe,
    .submit = submit,
    .cancel = cancel,
    .free = free_bytes,
    .shutdown = SHUTDOWN,
};
