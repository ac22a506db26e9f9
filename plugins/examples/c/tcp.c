/*
 * A Lineman plugin in C, to be copied: does a host take connections on a port?
 *
 *     cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared -pthread \
 *        -I ../../../crates/lineman-abi/include -o libtcp.so tcp.c
 *     lineman plugin pack libtcp.so --out ~/.local/share/lineman/plugins/tcp
 *
 * `submit` reads what it needs of the request, starts a thread and returns. The thread waits for
 * three things at once, with poll: its socket, its deadline, and a pipe on which it is told that
 * the name is resolved or that nobody waits any more. It ends with one terminal event.
 *
 * It needs nothing but a C library with POSIX threads: the JSON of a request comes from the host,
 * which made it well, so that a page of code finds a few values in it.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lineman_plugin.h"

/* Enough to resolve a name; the stack counts against the limit on memory. */
#define STACK (512 * 1024)

/* What a code means to whoever asks `lineman explain tcp/refused`: a rule of the catalog. */
#define KNOWN(code, cause, message, remedy) \
    "{\"code\":\"" code "\",\"cause\":\"" cause "\",\"message\":\"" message "\",\"remedies\":[{\"text\":\"" remedy "\"}]}"

/* The host keeps to `max_parallel`: nothing here has to count. */
static const char DESCRIPTION[] =
    "{\"id\":\"tcp\",\"version\":\"1.0.0\",\"title\":\"TCP\",\"publisher\":\"Lineman's examples\","
    "\"protocol\":{\"min\":1,\"max\":1},\"operations\":[\"check\",\"close\"],\"max_parallel\":32,"
    "\"checks\":[{\"id\":\"tcp/connect\",\"title\":\"The port takes connections\",\"level\":\"reach\"}],"
    "\"settings\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"host\",\"port\"],"
    "\"properties\":{\"host\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":253,"
    "\"description\":\"Name or address of the host.\"},"
    "\"port\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,\"description\":\"The port.\"}}},"
    "\"secrets\":{\"type\":\"object\",\"additionalProperties\":false},"
    "\"hosts\":[\"{host}:{port}\"],\"catalog\":{\"rule\":["
    KNOWN("refused", "network.refused", "The host refuses connections.", "Start the service, or correct the port.") ","
    KNOWN("timeout", "network.timeout", "The host does not answer in time.", "Look for a firewall that drops the connection.") ","
    KNOWN("unreachable", "network.unreachable", "The host cannot be reached.", "Look at this machine's routes to the host.") ","
    KNOWN("dns", "network.dns", "The name has no address.", "Correct the name, or this machine's DNS.") ","
    KNOWN("no-memory", "undetermined", "There is no memory left.", "Have fewer checks run at once, or raise the limit on memory.")
    "]}}";

/* ---- Reading JSON: a cursor that finds members of objects ---------------------------------- */

struct json {
    const char *at;
    const char *end;
};

static void skip_space(struct json *json)
{
    while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL)
        json->at++;
}

static bool skip_string(struct json *json)
{
    for (json->at++; json->at < json->end; json->at++) {
        if (*json->at == '\\')
            json->at++;
        else if (*json->at == '"')
            return json->at++, true;
    }
    return false;
}

/* Passes over one value, whatever it is, and however deep. */
static bool skip_value(struct json *json)
{
    size_t depth = 0;
    do {
        skip_space(json);
        if (json->at >= json->end)
            return false;
        switch (*json->at) {
        case '"':
            if (!skip_string(json))
                return false;
            break;
        case '{':
        case '[':
            depth++;
            json->at++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return false;
            depth--;
            json->at++;
            break;
        case ',':
        case ':':
            if (depth == 0)
                return false;
            json->at++;
            break;
        default:
            while (json->at < json->end && strchr(",:]} \t\r\n", *json->at) == NULL)
                json->at++;
        }
    } while (depth > 0);
    return true;
}

/* Moves from an object to the value of one of its members. */
static bool enter(struct json *json, const char *name)
{
    skip_space(json);
    if (json->at >= json->end || *json->at != '{')
        return false;
    json->at++;
    for (;;) {
        skip_space(json);
        const char *key = json->at;
        if (json->at >= json->end || *json->at != '"' || !skip_string(json))
            return false;
        size_t length = (size_t)(json->at - key) - 2;
        skip_space(json);
        if (json->at >= json->end || *json->at++ != ':')
            return false;
        skip_space(json);
        if (length == strlen(name) && memcmp(key + 1, name, length) == 0)
            return true;
        if (!skip_value(json))
            return false;
        skip_space(json);
        if (json->at >= json->end || *json->at++ != ',')
            return false;
    }
}

/* The value at the end of a path of names, such as "integration", "settings", "host", NULL. */
static bool find(struct lineman_bytes bytes, struct json *json, ...)
{
    *json = (struct json){(const char *)bytes.data, (const char *)bytes.data + bytes.len};
    va_list names;
    va_start(names, json);
    bool found = true;
    for (const char *name; found && (name = va_arg(names, const char *)) != NULL;)
        found = enter(json, name);
    va_end(names);
    return found;
}

/* A text into a buffer, without its escapes. What is no ASCII must be written as it is. */
static bool read_text(struct json json, char *out, size_t size)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (json.at >= json.end || *json.at++ != '"')
        return false;
    for (size_t length = 0; json.at < json.end; length++) {
        char c = *json.at++;
        if (c == '"')
            return out[length] = '\0', true;
        if (c == '\\') {
            if (json.at >= json.end)
                return false;
            const char *escape = escapes;
            while (*escape != '\0' && *escape != *json.at)
                escape += 2;
            if (*escape == '\0')
                return false;
            c = escape[1];
            json.at++;
        }
        if (length + 1 >= size)
            return false;
        out[length] = c;
    }
    return false;
}

static bool read_number(struct json json, uint64_t *out)
{
    char digits[21];
    size_t length = 0;
    while (json.at < json.end && *json.at >= '0' && *json.at <= '9' && length < sizeof digits - 1)
        digits[length++] = *json.at++;
    digits[length] = '\0';
    *out = strtoull(digits, NULL, 10);
    return length > 0;
}

/* ---- Writing JSON: a buffer that grows ------------------------------------------------------ */

struct text {
    char *data;
    size_t len;
    size_t size;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    for (;;) {
        size_t room = text->size - text->len;
        va_list values;
        va_start(values, format);
        int needed = vsnprintf(text->data == NULL ? NULL : text->data + text->len, room, format, values);
        va_end(values);
        if (text->failed || needed < 0)
            break;
        if ((size_t)needed < room) {
            text->len += (size_t)needed;
            return;
        }
        size_t size = text->len + (size_t)needed + 512;
        char *data = realloc(text->data, size);
        if (data == NULL)
            break;
        text->data = data;
        text->size = size;
    }
    text->failed = true;
}

/* A text in quotes. What stands in it may be anything. */
static void put_quoted(struct text *text, const char *value)
{
    put(text, "\"");
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f)
            put(text, "\\u%04x", c < 0x80 ? c : '?');
        else
            put(text, "%c", c);
    }
    put(text, "\"");
}

/* ---- Calls ---------------------------------------------------------------------------------- */

struct call {
    uint64_t number;
    const struct lineman_host_v1 *host;
    struct call *next;
    char name[256];
    char port[8];
    int64_t began;
    int64_t until;
    int wake[2];
    /* Written by the thread that resolves, before it says so on the pipe. */
    struct addrinfo *addresses;
    int lookup;
    struct text evidence;
    struct text phases;
};

/* The calls whose threads have not ended, for `cancel` and `shutdown`. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_ended = PTHREAD_COND_INITIALIZER;
static struct call *calls;
static unsigned threads;
static bool closing;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void emit(const struct call *call, uint32_t kind, const struct text *text, const char *otherwise)
{
    bool good = text != NULL && !text->failed && text->data != NULL;
    const char *body = good ? text->data : otherwise;
    struct lineman_bytes bytes = {(const uint8_t *)body, good ? text->len : strlen(body)};
    call->host->emit(call->host->ctx, call->number, kind, bytes);
}

/* A finding: what is wrong, how the host came to know, and what to do about it. */
static void found(const struct call *call, const char *cause, const char *what, const char *remedy)
{
    struct text finding = {0};
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s on port %s %s.", call->name, call->port, what);
    put(&finding, "{\"code\":\"tcp/%s\",\"cause\":\"network.%s\",\"message\":", cause, cause);
    put_quoted(&finding, sentence);
    put(&finding, ",\"subject\":{\"kind\":\"host\",\"name\":");
    put_quoted(&finding, call->name);
    put(&finding, "},\"evidence\":[%s],\"remedies\":[{\"text\":", call->evidence.len ? call->evidence.data : "");
    put_quoted(&finding, remedy);
    put(&finding, "}]}");
    emit(call, LINEMAN_EVENT_FINDING, &finding,
         "{\"code\":\"tcp/no-memory\",\"cause\":\"undetermined\",\"message\":\"There is no memory left.\"}");
    free(finding.data);
}

static void phase(struct call *call, const char *name, int64_t began, bool good)
{
    put(&call->phases, "%s{\"name\":\"%s\",\"duration_ms\":%lld,\"ok\":%s}", call->phases.len ? "," : "", name,
        (long long)(now() - began), good ? "true" : "false");
}

enum woken { READY, RESOLVED, CANCELLED, TOO_LATE };

/* Waits for the socket, if there is one, for a word on the pipe, or for the time to be up. */
static enum woken wait_for(const struct call *call, int socket, int64_t until)
{
    for (;;) {
        struct pollfd polled[2] = {{call->wake[0], POLLIN, 0}, {socket, POLLOUT, 0}};
        int64_t left = until - now();
        if (left <= 0)
            return TOO_LATE;
        int count = poll(polled, 2, left > 60000 ? 60000 : (int)left);
        char word;
        if (count > 0 && polled[0].revents != 0 && read(call->wake[0], &word, 1) == 1)
            return word == 'c' ? CANCELLED : RESOLVED;
        if (count > 0 && polled[1].revents != 0)
            return READY;
    }
}

/* Nothing cancels this, so that it has a thread of its own and nobody waits for it in vain. */
static void *resolve(void *argument)
{
    struct call *call = argument;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    call->lookup = getaddrinfo(call->name, call->port, &hints, &call->addresses);
    while (write(call->wake[1], "r", 1) < 0 && errno == EINTR)
        ;
    return NULL;
}

/* One attempt. Gives 0 when the connection stands, -1 when it was cancelled, else what went wrong. */
static int try_address(struct call *call, const struct addrinfo *address, int64_t until)
{
    char host[64], shown[80], outcome[128] = "connected";
    int64_t began = now();
    int error = 0;
    socklen_t length = sizeof error;
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        error = errno;
    } else if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        error = errno;
        if (error == EINPROGRESS) {
            enum woken woken = wait_for(call, fd, until);
            if (woken == CANCELLED)
                error = -1;
            else if (woken == TOO_LATE)
                error = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                error = errno;
        }
    }
    if (fd >= 0)
        close(fd);
    if (error == -1)
        return error;
    if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        strcpy(host, "?");
    snprintf(shown, sizeof shown, address->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, call->port);
    if (error != 0 && strerror_r(error, outcome, sizeof outcome) != 0)
        snprintf(outcome, sizeof outcome, "error %d", error);
    put(&call->evidence, "%s{\"kind\":\"tcp\",\"address\":", call->evidence.len ? "," : "");
    put_quoted(&call->evidence, shown);
    put(&call->evidence, ",\"outcome\":");
    put_quoted(&call->evidence, outcome);
    put(&call->evidence, ",\"duration_ms\":%lld}", (long long)(now() - began));
    return error;
}

/* Tries each address in turn; each gets its share of the time. Whether it was cancelled. */
static bool connect_to_any(struct call *call)
{
    unsigned left = 0;
    bool refused = false, late = false;
    int64_t began = now();
    for (const struct addrinfo *it = call->addresses; it != NULL; it = it->ai_next)
        left++;
    for (const struct addrinfo *it = call->addresses; it != NULL; it = it->ai_next, left--) {
        int error = try_address(call, it, now() + (call->until - now()) / left);
        if (error == -1)
            return true;
        if (error == 0) {
            phase(call, "tcp", began, true);
            return false;
        }
        refused |= error == ECONNREFUSED;
        late |= error == ETIMEDOUT;
    }
    phase(call, "tcp", began, false);
    /* A refusal tells most: somebody is there and said no. */
    if (refused)
        found(call, "refused", "refuses connections", "Start the service, or correct the port.");
    else if (late)
        found(call, "timeout", "does not answer in time", "Look for a firewall that drops the connection.");
    else
        found(call, "unreachable", "cannot be reached", "Look at this machine's routes to the host.");
    return false;
}

/* Runs a check; whether it was cancelled. */
static bool check(struct call *call)
{
    enum woken woken = wait_for(call, -1, call->until);
    if (woken == CANCELLED)
        return true;
    bool resolved = woken == RESOLVED && call->lookup == 0;
    phase(call, "dns", call->began, resolved);
    if (resolved)
        return connect_to_any(call);
    put(&call->evidence, "{\"kind\":\"dns\",\"servers\":[\"system\"],\"name\":");
    put_quoted(&call->evidence, call->name);
    put(&call->evidence, ",\"answer\":");
    put_quoted(&call->evidence, woken == RESOLVED ? gai_strerror(call->lookup) : "timeout");
    put(&call->evidence, "}");
    found(call, "dns", "cannot be looked up: the name has no address", "Correct the name, or this machine's DNS.");
    return false;
}

static void forget(struct call *call)
{
    pthread_mutex_lock(&lock);
    for (struct call **it = &calls; *it != NULL; it = &(*it)->next) {
        if (*it == call) {
            *it = call->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

static void dispose(struct call *call)
{
    if (call->addresses != NULL)
        freeaddrinfo(call->addresses);
    close(call->wake[0]);
    close(call->wake[1]);
    free(call->evidence.data);
    free(call->phases.data);
    free(call);
}

static void *run(void *argument)
{
    struct call *call = argument;
    struct text outcome = {0};
    pthread_attr_t attributes;
    pthread_t resolver;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    bool started = pthread_create(&resolver, &attributes, resolve, call) == 0;
    pthread_attr_destroy(&attributes);
    if (!started) {
        emit(call, LINEMAN_EVENT_ERROR, NULL, "{\"cause\":\"plugin.crashed\",\"message\":\"there is no thread left\"}");
    } else if (check(call)) {
        emit(call, LINEMAN_EVENT_ERROR, NULL, "{\"cause\":\"plugin.timed-out\",\"message\":\"it was cancelled\"}");
    } else {
        put(&outcome, "{\"phases\":[%s]}", call->phases.len ? call->phases.data : "");
        emit(call, LINEMAN_EVENT_RESULT, &outcome, "{}");
    }
    free(outcome.data);
    /* The call has ended, and nobody waits any more; but what resolves may still be at it. */
    if (started)
        pthread_join(resolver, NULL);
    forget(call);
    dispose(call);
    pthread_mutex_lock(&lock);
    threads--;
    pthread_cond_broadcast(&one_ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- The door ------------------------------------------------------------------------------- */

static struct lineman_bytes describe(void)
{
    return (struct lineman_bytes){(const uint8_t *)DESCRIPTION, sizeof DESCRIPTION - 1};
}

/* The description is a constant. */
static void free_bytes(struct lineman_bytes bytes)
{
    (void)bytes;
}

static bool is(struct lineman_bytes bytes, const char *word)
{
    return bytes.len == strlen(word) && memcmp(bytes.data, word, bytes.len) == 0;
}

static bool read_request(struct lineman_bytes request, struct call *call)
{
    struct json json;
    char id[32];
    uint64_t port, deadline, timeout;
    if (!find(request, &json, "check", (char *)NULL) || !read_text(json, id, sizeof id)
        || strcmp(id, "tcp/connect") != 0)
        return false;
    if (!find(request, &json, "integration", "settings", "host", (char *)NULL)
        || !read_text(json, call->name, sizeof call->name))
        return false;
    if (!find(request, &json, "integration", "settings", "port", (char *)NULL) || !read_number(json, &port))
        return false;
    if (!find(request, &json, "deadline_ms", (char *)NULL) || !read_number(json, &deadline))
        return false;
    if (find(request, &json, "integration", "connection", "timeout_ms", (char *)NULL) && read_number(json, &timeout)
        && timeout < deadline)
        deadline = timeout;
    /* A day is for ever. */
    call->until = call->began + (int64_t)(deadline < 86400000 ? deadline : 86400000);
    snprintf(call->port, sizeof call->port, "%u", (unsigned)(port & 0xffff));
    return true;
}

static uint32_t start(struct call *call)
{
    pthread_attr_t attributes;
    pthread_t thread;
    uint32_t answer = LINEMAN_SUBMIT_ACCEPTED;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_mutex_lock(&lock);
    if (closing)
        answer = LINEMAN_SUBMIT_SHUTTING_DOWN;
    else if (pthread_create(&thread, &attributes, run, call) != 0)
        answer = LINEMAN_SUBMIT_BUSY;
    if (answer == LINEMAN_SUBMIT_ACCEPTED) {
        threads++;
        call->next = calls;
        calls = call;
    }
    pthread_mutex_unlock(&lock);
    pthread_attr_destroy(&attributes);
    return answer;
}

static uint32_t submit(uint64_t number, struct lineman_bytes op, struct lineman_bytes request,
                       const struct lineman_host_v1 *host)
{
    if (is(op, "close")) {
        struct json json;
        uint64_t session;
        if (!find(request, &json, "session", (char *)NULL) || !read_number(json, &session))
            return LINEMAN_SUBMIT_BAD_REQUEST;
        /* No session is kept, so there is nothing to wipe. */
        struct call closed = {.number = number, .host = host};
        emit(&closed, LINEMAN_EVENT_RESULT, NULL, "{}");
        return LINEMAN_SUBMIT_ACCEPTED;
    }
    if (!is(op, "check"))
        return LINEMAN_SUBMIT_UNKNOWN_OPERATION;
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return LINEMAN_SUBMIT_BUSY;
    *call = (struct call){.number = number, .host = host, .began = now()};
    if (!read_request(request, call)) {
        free(call);
        return LINEMAN_SUBMIT_BAD_REQUEST;
    }
    if (pipe(call->wake) < 0) {
        free(call);
        return LINEMAN_SUBMIT_BUSY;
    }
    fcntl(call->wake[0], F_SETFD, FD_CLOEXEC);
    fcntl(call->wake[1], F_SETFD, FD_CLOEXEC);
    uint32_t answer = start(call);
    if (answer != LINEMAN_SUBMIT_ACCEPTED)
        dispose(call);
    return answer;
}

/* Under the lock: a call that has ended has closed its pipe. */
static void tell_cancelled(const struct call *call)
{
    while (write(call->wake[1], "c", 1) < 0 && errno == EINTR)
        ;
}

static void cancel(uint64_t number)
{
    pthread_mutex_lock(&lock);
    for (const struct call *call = calls; call != NULL; call = call->next)
        if (call->number == number)
            tell_cancelled(call);
    pthread_mutex_unlock(&lock);
}

static void shut_down(void)
{
    pthread_mutex_lock(&lock);
    closing = true;
    for (const struct call *call = calls; call != NULL; call = call->next)
        tell_cancelled(call);
    while (threads > 0)
        pthread_cond_wait(&one_ended, &lock);
    pthread_mutex_unlock(&lock);
}

const struct lineman_plugin_v1 lineman_plugin_c_v1 = {
    .magic = LINEMAN_MAGIC,
    .major = LINEMAN_MAJOR,
    .minor = LINEMAN_MINOR,
    .size = sizeof(struct lineman_plugin_v1),
    .describe = describe,
    .submit = submit,
    .cancel = cancel,
    .free = free_bytes,
    .shutdown = shut_down,
};
