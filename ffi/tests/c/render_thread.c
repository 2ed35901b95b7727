/* What a render thread calls allocates little, the same in every frame, and copies planes only where it is asked to. Counts what
 * this thread and the process allocate: the program's malloc is glibc's with a counter. */
#include <malloc.h>
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static long live;             /* Bytes, of all threads. */
static _Thread_local long own; /* Bytes that this thread has ever allocated. */

static void *counted(void *memory) {
  long bytes = (long)malloc_usable_size(memory);
  own += bytes;
  __atomic_add_fetch(&live, bytes, __ATOMIC_RELAXED);
  return memory;
}
void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory ? 0 : 12;
}
void free(void *memory) {
  __atomic_sub_fetch(&live, (long)malloc_usable_size(memory), __ATOMIC_RELAXED);
  __libc_free(memory);
}
void *realloc(void *memory, size_t size) {
  __atomic_sub_fetch(&live, (long)malloc_usable_size(memory), __ATOMIC_RELAXED);
  return counted(__libc_realloc(memory, size));
}

#define OK(call) do { \
    rayloom_result got = (call); \
    if (got != RAYLOOM_OK) { printf("line %d: %s gave %d: %s\n", __LINE__, #call, (int)got, rayloom_last_error()); exit(1); } \
  } while (0)

enum { WIDTH = 160, HEIGHT = 90, WARM = 300, FRAMES = 1500, MOST_A_FRAME = 32 << 10, MOST_GROWTH = 256 << 10 };
static float depth[HEIGHT][WIDTH], normal[HEIGHT][WIDTH][4];
static unsigned char albedo[HEIGHT][WIDTH][4], material[HEIGHT][WIDTH][2];

static rayloom_plane_desc plane(uint32_t kind, uint32_t format, uint32_t lifetime, const void *data, uint64_t size) {
  rayloom_plane_desc desc = RAYLOOM_PLANE_DESC_INIT;
  desc.kind = kind;
  desc.format = format;
  desc.lifetime = lifetime;
  desc.data = data;
  desc.size = size;
  desc.row_pitch = size / HEIGHT;
  desc.width = WIDTH;
  desc.height = HEIGHT;
  return desc;
}

/* One frame by the calls of a render thread; what they have allocated. */
static long frame(rayloom_session *session, rayloom_view *view, rayloom_frame_desc *desc, uint32_t lifetime) {
  const rayloom_plane_desc planes[4] = {
    plane(RAYLOOM_PLANE_DEPTH, RAYLOOM_FORMAT_R32_FLOAT, lifetime, depth, sizeof depth),
    plane(RAYLOOM_PLANE_NORMAL, RAYLOOM_FORMAT_RGBA32_FLOAT, lifetime, normal, sizeof normal),
    plane(RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_FORMAT_RGBA8_SRGB, lifetime, albedo, sizeof albedo),
    plane(RAYLOOM_PLANE_MATERIAL, RAYLOOM_FORMAT_RG8_UNORM, lifetime, material, sizeof material),
  };
  long before = own;
  rayloom_frame *begun = NULL;
  desc->frame_id++;
  OK(rayloom_frame_begin(view, desc, &begun));
  OK(rayloom_frame_submit(begun, planes, 4));
  rayloom_output *output = NULL;
  OK(rayloom_view_acquire(view, desc->frame_id, UINT64_C(60000000000), &output));
  rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
  OK(rayloom_output_describe(output, &info));
  OK(rayloom_output_release(output));
  rayloom_event event = RAYLOOM_EVENT_INIT;
  while (rayloom_session_poll_event(session, &event) == RAYLOOM_OK) {}
  return own - before;
}

int main(void) {
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
  rayloom_frame_desc desc = RAYLOOM_FRAME_DESC_INIT;
  OK(rayloom_scene_commit(scene, &desc.revision));
  rayloom_layer layer = RAYLOOM_LAYER_INIT;
  layer.deadline_ns = 1000000;
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = WIDTH;
  view_desc.height = HEIGHT;
  view_desc.flags = RAYLOOM_VIEW_GBUFFER;
  view_desc.layers = &layer;
  view_desc.layer_count = 1;
  rayloom_view *view = NULL;
  OK(rayloom_view_create(session, &view_desc, &view));

  for (int i = 0; i < WARM; i++) frame(session, view, &desc, RAYLOOM_LIFETIME_BORROW);
  long live_before = __atomic_load_n(&live, __ATOMIC_RELAXED), most = 0;
  for (int i = 0; i < FRAMES; i++) {
    long bytes = frame(session, view, &desc, RAYLOOM_LIFETIME_BORROW);
    if (bytes > most) most = bytes;
  }
  long grown = __atomic_load_n(&live, __ATOMIC_RELAXED) - live_before;
  long copied = frame(session, view, &desc, RAYLOOM_LIFETIME_COPY);
  printf("at most %ld bytes a frame on this thread, %ld with copies; %ld more in use after %d frames\n", most, copied, grown, FRAMES);
  if (most > MOST_A_FRAME) return 1;
  if (grown > MOST_GROWTH) return 1;
  /* What is copied is counted: the counter sees the library's memory. */
  if (copied < (long)(sizeof depth + sizeof normal + sizeof albedo + sizeof material)) return 1;
  OK(rayloom_session_destroy(session));
  return 0;
}
