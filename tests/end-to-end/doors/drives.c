/*
 * Plays the host to the example in C, to see that it ends a call when it is told to: the calls
 * here have a minute, at an address that never answers, and none of them takes it.
 */

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lineman_plugin.h"

#define CALLS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static uint32_t terminal[2 * CALLS];
static unsigned count;

static void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

static uint32_t emit(void *ctx, uint64_t call, uint32_t kind, struct lineman_bytes body)
{
    expect(ctx == terminal && call < 2 * CALLS && body.data != NULL, "the event belongs to a call");
    if (kind == LINEMAN_EVENT_RESULT || kind == LINEMAN_EVENT_ERROR) {
        pthread_mutex_lock(&lock);
        expect(terminal[call] == 0, "one terminal event");
        terminal[call] = kind;
        count++;
        pthread_cond_signal(&ended);
        pthread_mutex_unlock(&lock);
    }
    return LINEMAN_EMIT_TAKEN;
}

static uint32_t host_call(void *ctx, uint64_t call, struct lineman_bytes op, struct lineman_bytes body,
                          struct lineman_bytes *reply)
{
    (void)ctx, (void)call, (void)op, (void)body, (void)reply;
    return LINEMAN_HOST_CALL_REFUSED;
}

static void free_bytes(void *ctx, struct lineman_bytes bytes)
{
    (void)ctx, (void)bytes;
}

static const struct lineman_host_v1 host = {sizeof host, terminal, emit, host_call, free_bytes};

static uint32_t submit(uint64_t call, const char *op, const char *text)
{
    /* Lent for this call alone: gone when it returns. */
    char *request = strdup(text);
    struct lineman_bytes lent = {(const uint8_t *)request, strlen(request)};
    uint32_t answer = lineman_plugin_c_v1.submit(call, (struct lineman_bytes){(const uint8_t *)op, strlen(op)}, lent, &host);
    memset(request, 'x', lent.len);
    free(request);
    return answer;
}

int main(int argc, char **argv)
{
    char request[512];
    snprintf(request, sizeof request,
             "{\"check\":\"tcp/connect\",\"deadline_ms\":60000,\"more\":[{\"deadline_ms\":\"]}\"}],"
             "\"integration\":{\"settings\":{\"port\":%s,\"host\":\"127.0.0.1\"}}}",
             argc > 1 ? argv[1] : "1");
    expect(submit(0, "frobnicate", request) == LINEMAN_SUBMIT_UNKNOWN_OPERATION, "an unknown operation is refused");
    const char *bad[] = {"", "{", "[]", "{\"check\":1}", "{\"check\":\"tcp/connect\",\"integration\":{\"settings\":{\"host\":\"",
                         "{\"check\":\"tcp/connect\\", "{\"check\":\"tcp/connect\",\"deadline_ms\":1}"};
    for (size_t it = 0; it < sizeof bad / sizeof *bad; it++)
        expect(submit(0, "check", bad[it]) == LINEMAN_SUBMIT_BAD_REQUEST, bad[it]);

    for (uint64_t call = 0; call < CALLS; call++)
        expect(submit(call, "check", request) == LINEMAN_SUBMIT_ACCEPTED, "a call is taken");
    for (uint64_t call = 0; call < CALLS; call++)
        lineman_plugin_c_v1.cancel(call);
    lineman_plugin_c_v1.cancel(99);
    pthread_mutex_lock(&lock);
    while (count < CALLS)
        pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);

    for (uint64_t call = CALLS; call < 2 * CALLS; call++)
        expect(submit(call, "check", request) == LINEMAN_SUBMIT_ACCEPTED, "a call is taken");
    lineman_plugin_c_v1.shutdown();
    expect(count == 2 * CALLS, "every call has ended when the plugin has shut down");
    for (uint64_t call = 0; call < 2 * CALLS; call++)
        expect(terminal[call] == LINEMAN_EVENT_ERROR, "what is cancelled ends as an error of the plugin");
    expect(submit(0, "check", request) == LINEMAN_SUBMIT_SHUTTING_DOWN, "no call is taken any more");
    return 0;
}
