/* A capture to a disk that gets full: the engine is told once, as what it is, and its frames go on with their planes given
 * back. The capture's path is the argument. */
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IS(call, wanted) do { \
    rayloom_result got = (call); \
    if (got != (wanted)) { printf("line %d: %s gave %d: %s\n", __LINE__, #call, (int)got, rayloom_last_error()); exit(1); } \
  } while (0)

enum { WIDTH = 320, HEIGHT = 180, MOST_FRAMES = 2000, FRAMES_AFTER = 5 };
static float depth[HEIGHT][WIDTH], normal[HEIGHT][WIDTH][4];
static uint8_t albedo[HEIGHT][WIDTH][4], material[HEIGHT][WIDTH][2];

static rayloom_plane_desc plane(uint32_t kind, uint32_t format, const void *data, uint64_t size) {
  rayloom_plane_desc desc = RAYLOOM_PLANE_DESC_INIT;
  desc.kind = kind;
  desc.format = format;
  desc.lifetime = RAYLOOM_LIFETIME_BORROW;
  desc.data = data;
  desc.size = size;
  desc.row_pitch = size / HEIGHT;
  desc.width = WIDTH;
  desc.height = HEIGHT;
  return desc;
}

/* Every pixel another one, so that no frame is small when it is packed. */
static void scramble(void *memory, size_t size, uint64_t frame_id) {
  uint8_t *bytes = memory;
  uint64_t state = frame_id * 0x9e3779b97f4a7c15u + size;
  for (size_t i = 0; i < size; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = (uint8_t)(state >> 56) & 0x3f;
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody;
  session_desc.peer_count = 1;
  session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  session_desc.capture_path = argv[1];
  rayloom_session *session = NULL;
  IS(rayloom_session_create(&session_desc, &session), RAYLOOM_OK);
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  IS(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK);
  rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
  IS(rayloom_scene_commit(scene, &frame_desc.revision), RAYLOOM_OK);
  rayloom_layer layer = RAYLOOM_LAYER_INIT;
  layer.deadline_ns = 1000000;
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = WIDTH;
  view_desc.height = HEIGHT;
  view_desc.flags = RAYLOOM_VIEW_GBUFFER;
  view_desc.layers = &layer;
  view_desc.layer_count = 1;
  rayloom_view *view = NULL;
  IS(rayloom_view_create(session, &view_desc, &view), RAYLOOM_OK);
  int told = 0, after = 0;
  while (after < FRAMES_AFTER) {
    if (++frame_desc.frame_id > MOST_FRAMES) return printf("the disk is not full after %d frames\n", MOST_FRAMES), 1;
    scramble(depth, sizeof depth, frame_desc.frame_id);
    scramble(normal, sizeof normal, frame_desc.frame_id);
    scramble(albedo, sizeof albedo, frame_desc.frame_id);
    const rayloom_plane_desc planes[4] = {
      plane(RAYLOOM_PLANE_DEPTH, RAYLOOM_FORMAT_R32_FLOAT, depth, sizeof depth),
      plane(RAYLOOM_PLANE_NORMAL, RAYLOOM_FORMAT_RGBA32_FLOAT, normal, sizeof normal),
      plane(RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_FORMAT_RGBA8_SRGB, albedo, sizeof albedo),
      plane(RAYLOOM_PLANE_MATERIAL, RAYLOOM_FORMAT_RG8_UNORM, material, sizeof material),
    };
    rayloom_frame *frame = NULL;
    IS(rayloom_frame_begin(view, &frame_desc, &frame), RAYLOOM_OK);
    IS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_OK);
    rayloom_output *output = NULL;
    IS(rayloom_view_acquire(view, frame_desc.frame_id, UINT64_C(60000000000), &output), RAYLOOM_OK);
    IS(rayloom_output_release(output), RAYLOOM_OK);
    int released = 0;
    rayloom_event event = RAYLOOM_EVENT_INIT;
    while (rayloom_session_poll_event(session, &event) == RAYLOOM_OK) {
      released += event.kind == RAYLOOM_EVENT_PLANES_RELEASED && event.frame_id == frame_desc.frame_id;
      if (event.kind != RAYLOOM_EVENT_CAPTURE_FAILED) continue;
      if (!strstr(event.text, argv[1]) || !strstr(event.text, "No space left on device")) return puts(event.text), 1;
      told++;
    }
    if (released != 1) return printf("planes were released %d times\n", released), 1;
    after += told > 0;
  }
  if (told != 1) return printf("it was told %d times\n", told), 1;
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
  return 0;
}
