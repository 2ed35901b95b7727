/* Makes the same mistakes with every function; calls.h, a table of them, is written from the header by the test. Each mistake
 * is its own error, and what the call would write to stays as it was. */
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION, SCENE, VIEW, FRAME, OUTPUT, STREAM, KINDS, NONE = KINDS };
enum { MEMORY = 16384, UNTOUCHED = 0xab };

/* What a function is called with. */
typedef struct {
  void *handles[KINDS];
  void *descriptor, *memory;
  const char *text;
} Call;

typedef struct {
  const char *name;
  int kind; /* Of its first handle. */
  rayloom_result (*call)(const Call *);
  const void *descriptor; /* A good one. */
  size_t size;
} Function;

typedef struct { uint32_t struct_type, struct_size; const void *next; } Header;

#include "calls.h"

enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* Written to by nobody. */
static _Alignas(16) unsigned char memory[MEMORY], descriptor[MEMORY], before[MEMORY];

static void failed(const char *what, const char *mistake, rayloom_result result) {
  fprintf(stderr, "%s, %s: %d, %s\n", what, mistake, (int)result, rayloom_last_error());
  exit(1);
}
#define OK(call) do { rayloom_result r = (call); if (r != RAYLOOM_OK) failed(#call, "all is right", r); } while (0)

/* The answer is `wanted`, its text names the function, and nothing was written. */
static void answers(const Function *f, const Call *call, const char *mistake, rayloom_result wanted) {
  memset(memory, UNTOUCHED, sizeof memory);
  memcpy(before, descriptor, sizeof before);
  rayloom_result result = f->call(call);
  if (result != wanted) failed(f->name, mistake, result);
  if (wanted != RAYLOOM_OK && !strstr(rayloom_last_error(), f->name)) failed(f->name, "the text names it", result);
  for (size_t i = 0; i < sizeof memory; i++) if (memory[i] != UNTOUCHED) failed(f->name, mistake, result);
  if (memcmp(before, descriptor, sizeof before)) failed(f->name, mistake, result);
}

static int ends_in(const char *name, const char *end) {
  size_t length = strlen(name), most = strlen(end);
  return length > most && !strcmp(name + length - most, end);
}

static void wrong_handles(const Function *f, const Call *good, const Call *stale) {
  if (f->kind == NONE) return;
  Call call = *good;
  call.handles[f->kind] = NULL;
  int ends = ends_in(f->name, "_destroy") || ends_in(f->name, "_release") || ends_in(f->name, "_discard");
  answers(f, &call, "NULL", ends ? RAYLOOM_OK : RAYLOOM_INVALID_HANDLE);
  for (int kind = 0; kind < KINDS; kind++) {
    call.handles[f->kind] = stale->handles[kind];
    answers(f, &call, "stale", RAYLOOM_INVALID_HANDLE);
    if (kind == f->kind) continue;
    call.handles[f->kind] = good->handles[kind];
    answers(f, &call, "of another kind", RAYLOOM_INVALID_HANDLE);
  }
}

static void wrong_descriptors(const Function *f, const Call *good) {
  static const Header stranger = { 4242, sizeof stranger, NULL };
  if (!f->descriptor) return;
  Header right;
  memcpy(&right, f->descriptor, sizeof right);
  const uint32_t size = (uint32_t)f->size;
  const struct { const char *mistake; Header header; } wrong[] = {
    { "unknown type", { 4242, size, NULL } },
    { "type 0", { 0, size, NULL } },
    { "older size", { right.struct_type, size - 8, NULL } },
    { "size of the header alone", { right.struct_type, sizeof(Header), NULL } },
    { "size 0", { right.struct_type, 0, NULL } },
    { "future size", { right.struct_type, size + 16, NULL } },
    { "largest size", { right.struct_type, UINT32_MAX, NULL } },
    { "unknown next", { right.struct_type, size, &stranger } },
  };
  Call call = *good;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    memset(descriptor, 0, sizeof descriptor);
    memcpy(descriptor, f->descriptor, f->size);
    memcpy(descriptor, &wrong[i].header, sizeof(Header));
    call.descriptor = descriptor;
    answers(f, &call, wrong[i].mistake, RAYLOOM_UNKNOWN_STRUCT);
  }
  call.descriptor = NULL;
  answers(f, &call, "no descriptor", RAYLOOM_INVALID_ARGUMENT);
  memset(descriptor, 0, sizeof descriptor);
  memcpy(descriptor + 4, f->descriptor, f->size);
  call.descriptor = descriptor + 4;
  answers(f, &call, "a descriptor that is not aligned", RAYLOOM_INVALID_ARGUMENT);
}

/* One of each kind, all of one session. */
static Call create(void) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody;
  session_desc.peer_count = 1;
  session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  OK(rayloom_session_create(&session_desc, &session));
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  OK(rayloom_scene_create(session, &scene_desc, &scene));
  rayloom_light_desc light = RAYLOOM_LIGHT_DESC_INIT;
  uint32_t id;
  OK(rayloom_light_create(scene, &light, &id));
  rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
  OK(rayloom_scene_commit(scene, &frame_desc.revision));
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = view_desc.height = 16;
  view_desc.flags = RAYLOOM_VIEW_GBUFFER;
  rayloom_view *view = NULL;
  OK(rayloom_view_create(session, &view_desc, &view));
  rayloom_frame *frame = NULL;
  frame_desc.frame_id = 1;
  OK(rayloom_frame_begin(view, &frame_desc, &frame));
  OK(rayloom_frame_submit(frame, NULL, 0));
  rayloom_output *output = NULL;
  OK(rayloom_view_acquire(view, 1, UINT64_C(60000000000), &output));
  frame_desc.frame_id = 2;
  OK(rayloom_frame_begin(view, &frame_desc, &frame));
  rayloom_stream_desc stream_desc = RAYLOOM_STREAM_DESC_INIT;
  stream_desc.listen = "127.0.0.1:0";
  rayloom_stream *stream = NULL;
  OK(rayloom_stream_start(session, &stream_desc, &stream));
  return (Call){ { session, scene, view, frame, output, stream }, descriptor, memory, "a text" };
}

int main(void) {
  const Call good = create(), stale = create();
  /* With it all that belongs to it. */
  OK(rayloom_session_destroy(stale.handles[SESSION]));
  for (int i = 0; i < FUNCTIONS; i++) {
    wrong_handles(&functions[i], &good, &stale);
    wrong_descriptors(&functions[i], &good);
  }
  /* And still everything is there. */
  uint64_t now;
  OK(rayloom_session_now(good.handles[SESSION], &now));
  OK(rayloom_output_release(good.handles[OUTPUT]));
  OK(rayloom_frame_discard(good.handles[FRAME]));
  OK(rayloom_session_destroy(good.handles[SESSION]));
  return 0;
}
