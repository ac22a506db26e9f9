/*
 * The C door of Lineman: what a plugin written in C, or in any language that can export a C
 * symbol, shares with its host.
 *
 * A plugin is a shared library that exports one constant object, `lineman_plugin_c_v1`. Its
 * first members say what it was built for, the others are five functions. The host loads the
 * library in a process of its own, asks it to describe itself, and hands calls over; the plugin
 * takes a call at once and answers later, with events. Descriptions, requests and events are
 * JSON in UTF-8; docs/other-languages.md says what stands in them.
 *
 * Memory
 *
 * - Bytes are freed by the side that made them, and by nobody else.
 * - Bytes that a function is given are lent to it until it returns: copy what is needed longer.
 *   That holds for `op` and `request` of `submit`, and for `body` of `emit` and `host_call`.
 * - Bytes that a function gives back are handed over once to be freed: those of `describe` to
 *   the plugin's `free`, a reply of `host_call` to the host's `free`.
 * - After the last byte of what the host lends stands a zero byte that `len` does not count.
 *   The host expects none of the plugin.
 * - `data` may be NULL where `len` is 0, and nowhere else.
 * - The host's table stays where it is for as long as the process lives. So must the plugin's:
 *   a library is never unloaded.
 * - A request holds secrets. Wipe the copies of them, and write them nowhere.
 *
 * Threads
 *
 * - The host calls the plugin from one thread, one function at a time. Each must return at once:
 *   what waits for a network belongs on a thread of the plugin's own.
 * - `emit` and `host_call` may be called from any thread, from several at a time, and before
 *   `submit` has returned. They never wait.
 * - A call that `submit` accepted ends with exactly one terminal event, a result or an error.
 *   Findings and progress come before it; what comes after it is dropped. A call that `submit`
 *   refused has no events.
 * - `cancel` says that nobody waits for a call any more. It still ends with its terminal event,
 *   within a quarter of a second: otherwise the process is ended, and with it every other call.
 * - `shutdown` ends every call and every thread of the plugin. The host gives it one second.
 *   When it has returned, the plugin must not call the host any more.
 * - Nothing may leave a function but its return: no exception, no longjmp. A process that ends
 *   before its calls is a crash, whatever its exit status.
 *
 * The process
 *
 * It has an empty environment, a private empty working directory, a limit on its memory, and no
 * other descriptors than its own. What the plugin prints, to either stream, is kept by the host
 * and shown when the plugin crashes.
 *
 * Versions
 *
 * `major` never grows here: another major version is another symbol. Within it, members are only
 * ever added at the end of a table, and then `minor` grows. `size` says how much of a table is
 * there: the host reads as much of the plugin's as both know, and a plugin must not touch a
 * member of the host's that lies beyond `size`. New abilities are new operations and new fields
 * of JSON: refuse an operation, and ignore a field or a kind, that you do not know.
 *
 * Written by `cargo xtask header`; what is changed here is lost.
 */

#ifndef LINEMAN_PLUGIN_H
#define LINEMAN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// What `magic` holds: the bytes `LINEMAN1` on a little-endian machine.
#define LINEMAN_MAGIC 3552848956172945740

// The major version of this interface. The host refuses every other.
#define LINEMAN_MAJOR 1

// The minor version of this interface: how many times members were added.
#define LINEMAN_MINOR 0

// `submit` answers: the call is taken, events follow.
#define LINEMAN_SUBMIT_ACCEPTED 0

// `submit` answers: there is no such operation.
#define LINEMAN_SUBMIT_UNKNOWN_OPERATION 1

// `submit` answers: the request is not what the operation takes.
#define LINEMAN_SUBMIT_BAD_REQUEST 2

// `submit` answers: too many calls at once.
#define LINEMAN_SUBMIT_BUSY 3

// `submit` answers: the plugin is shutting down.
#define LINEMAN_SUBMIT_SHUTTING_DOWN 4

// Kind of an event: a finding. Something is wrong, or worth knowing.
#define LINEMAN_EVENT_FINDING 1

// Kind of an event: progress. What is being done, in a few words.
#define LINEMAN_EVENT_PROGRESS 2

// Kind of an event, terminal: the result. An empty object says that the check ran to its end.
#define LINEMAN_EVENT_RESULT 3

// Kind of an event, terminal: the plugin itself failed.
#define LINEMAN_EVENT_ERROR 4

// `emit` answers: the event is on its way.
#define LINEMAN_EMIT_TAKEN 0

// `emit` answers: the queue is full, the event is dropped. Progress meets this when the host is
// busy; terminal events never do.
#define LINEMAN_EMIT_FULL 1

// `emit` answers: there is no such call, or it has ended.
#define LINEMAN_EMIT_UNKNOWN_CALL 2

// `host_call` answers: done.
#define LINEMAN_HOST_CALL_DONE 0

// `host_call` answers: refused, or no such operation.
#define LINEMAN_HOST_CALL_REFUSED 1

// The most bytes that a description may have. A request has no more either.
#define LINEMAN_MAX_DESCRIPTION (8 << 20)

// The most bytes that the body of one event, or of one `host_call`, may have. A larger event
// ends its call as bad output.
#define LINEMAN_MAX_EVENT (1 << 20)

// The most findings that one call may have. One more ends the call as bad output.
#define LINEMAN_MAX_FINDINGS 100

// Some bytes, not necessarily text.
struct lineman_bytes {
    // The first of them.
    const uint8_t *data;
    // How many there are.
    size_t len;
};

// What the host offers to a plugin. It is there for as long as the process lives.
struct lineman_host_v1 {
    // How many bytes of this table there are.
    size_t size;
    // The host's own; hand it back with every call.
    void *ctx;
    // Gives an event of a call to the host, which copies `body`. Never waits; from any thread.
    // Answers one of LINEMAN_EMIT_….
    uint32_t (*emit)(void *ctx, uint64_t call, uint32_t kind, struct lineman_bytes body);
    // Asks something of the host, in the course of a call or, with `call` 0, of none. Never
    // waits; from any thread. Operations: `log` writes a line of text to the host's log, and
    // `secret` has the host keep a secret that the plugin obtained out of every output; its body
    // is `{"name": …, "value": …}`. Answers one of LINEMAN_HOST_CALL_…. Where `reply` is not NULL
    // it is set, and what it is set to must be given to `free`.
    uint32_t (*host_call)(void *ctx,
                          uint64_t call,
                          struct lineman_bytes op,
                          struct lineman_bytes body,
                          struct lineman_bytes *reply);
    // Frees what the host made: a reply of `host_call`.
    void (*free)(void *ctx, struct lineman_bytes bytes);
};

// What a plugin exports. None of the functions may be NULL.
struct lineman_plugin_v1 {
    // LINEMAN_MAGIC.
    uint64_t magic;
    // LINEMAN_MAJOR.
    uint32_t major;
    // LINEMAN_MINOR.
    uint32_t minor;
    // How many bytes of this table there are: its `sizeof`.
    size_t size;
    // The plugin's description, as JSON: always the same. The host gives it to `free`.
    struct lineman_bytes (*describe)(void);
    // Takes a call over and returns at once. `call` names it in every event; no two calls have
    // the same number. `op` is `check` or `close`, `request` its JSON. Answers one of
    // LINEMAN_SUBMIT_…; events follow only an accepted call.
    uint32_t (*submit)(uint64_t call,
                       struct lineman_bytes op,
                       struct lineman_bytes request,
                       const struct lineman_host_v1 *host);
    // Says that nobody waits for a call any more. The call may have ended meanwhile.
    void (*cancel)(uint64_t call);
    // Frees what the plugin made: a description.
    void (*free)(struct lineman_bytes bytes);
    // Ends every call and thread of the plugin, and returns when they have ended.
    void (*shutdown)(void);
};

#ifdef __cplusplus
extern "C" {
#endif

// What a plugin defines. It is to be seen from outside even where symbols are hidden.
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern const struct lineman_plugin_v1 lineman_plugin_c_v1;

#ifdef __cplusplus
}
#endif

#endif  /* LINEMAN_PLUGIN_H */
