/* Planes that can't be read are refused by name and the frame stays open; others lie anywhere, and their memory is the engine's
 * again when that is said. Outputs that are never released stay as they are, and hold up no frame. */
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void failed(int line, const char *what, rayloom_result result) {
  fprintf(stderr, "line %d: %s gave %d: %s\n", line, what, (int)result, rayloom_last_error());
  exit(1);
}
#define IS(call, wanted) do { rayloom_result r = (call); if (r != (wanted)) failed(__LINE__, #call, r); } while (0)

enum { WIDTH = 32, HEIGHT = 16, PLANES = 4, ODD_PITCH = WIDTH * 16 + 13, BYTES = ODD_PITCH * HEIGHT + 1, KEPT = 12 };
static const uint32_t kinds[PLANES] = { RAYLOOM_PLANE_DEPTH, RAYLOOM_PLANE_NORMAL, RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_PLANE_MATERIAL };
static const uint32_t formats[PLANES] = { RAYLOOM_FORMAT_R32_FLOAT, RAYLOOM_FORMAT_RGBA32_FLOAT, RAYLOOM_FORMAT_RGBA8_SRGB, RAYLOOM_FORMAT_RG8_UNORM };

/* On an odd address, with an odd pitch: pixels need no alignment. */
static void fill(rayloom_plane_desc *planes, unsigned char *memory, uint32_t lifetime) {
  for (int i = 0; i < PLANES; i++) {
    planes[i] = (rayloom_plane_desc)RAYLOOM_PLANE_DESC_INIT;
    planes[i].kind = kinds[i];
    planes[i].format = formats[i];
    planes[i].lifetime = lifetime;
    planes[i].data = memory + 1;
    planes[i].size = BYTES - 1;
    planes[i].row_pitch = ODD_PITCH;
    planes[i].width = WIDTH;
    planes[i].height = HEIGHT;
  }
}

static unsigned char *new_memory(void) {
  unsigned char *memory = calloc(BYTES, 1);
  if (!memory) exit(2);
  return memory;
}

static void refuse(rayloom_frame *frame) {
  const struct { uint32_t plane; uint32_t width, height, view_x, view_y, format; uint64_t pitch, size; const char *words; } wrong[] = {
    { 0, 0, HEIGHT, 0, 0, RAYLOOM_FORMAT_R32_FLOAT, ODD_PITCH, BYTES - 1, "depth plane: its texture is 0 x 16" },
    { 1, WIDTH, UINT32_MAX, 0, 0, RAYLOOM_FORMAT_RGBA32_FLOAT, ODD_PITCH, BYTES - 1, "normal plane: its texture is 32 x 4294967295" },
    { 2, WIDTH - 1, HEIGHT, 0, 0, RAYLOOM_FORMAT_RGBA8_SRGB, ODD_PITCH, BYTES - 1, "albedo plane: its view rect ends at 32, 16" },
    { 3, WIDTH, HEIGHT, 0, UINT32_MAX, RAYLOOM_FORMAT_RG8_UNORM, ODD_PITCH, BYTES - 1, "roughness/metalness plane: its view rect ends at" },
    { 0, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_R32_FLOAT, WIDTH * 4 - 1, BYTES - 1, "depth plane: its row pitch is 127 bytes" },
    { 1, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_RGBA32_FLOAT, 0, BYTES - 1, "normal plane: its row pitch is 0 bytes" },
    { 1, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_RGBA32_FLOAT, INT64_MAX, BYTES - 1, "normal plane: it has" },
    { 0, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_R32_FLOAT, UINT64_MAX, BYTES - 1, "planes[0] says size" },
    { 0, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_RGBA8_SRGB, ODD_PITCH, BYTES - 1, "depth plane: its format is RAYLOOM_FORMAT_RGBA8_SRGB" },
    { 1, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_R32_UINT, ODD_PITCH, BYTES - 1, "normal plane: its format is RAYLOOM_FORMAT_R32_UINT" },
    { 3, WIDTH, HEIGHT, 0, 0, RAYLOOM_FORMAT_RG8_UNORM, ODD_PITCH, ODD_PITCH * (HEIGHT - 1) + WIDTH * 2 - 1, "roughness/metalness plane: it has" },
  };
  unsigned char *memory = new_memory();
  rayloom_plane_desc planes[PLANES];
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    fill(planes, memory, i % 2 ? RAYLOOM_LIFETIME_BORROW : RAYLOOM_LIFETIME_COPY);
    rayloom_plane_desc *plane = &planes[wrong[i].plane];
    plane->width = wrong[i].width;
    plane->height = wrong[i].height;
    plane->view_x = wrong[i].view_x;
    plane->view_y = wrong[i].view_y;
    plane->format = wrong[i].format;
    plane->row_pitch = wrong[i].pitch;
    plane->size = wrong[i].size;
    IS(rayloom_frame_submit(frame, planes, PLANES), RAYLOOM_INVALID_ARGUMENT);
    if (!strstr(rayloom_last_error(), wrong[i].words)) failed(__LINE__, wrong[i].words, 0);
  }
  fill(planes, memory, RAYLOOM_LIFETIME_COPY);
  planes[3].kind = RAYLOOM_PLANE_DEPTH;
  planes[3].format = RAYLOOM_FORMAT_R32_FLOAT;
  IS(rayloom_frame_submit(frame, planes, PLANES), RAYLOOM_INVALID_ARGUMENT);
  if (!strstr(rayloom_last_error(), "depth plane: there are two")) failed(__LINE__, "there are two", 0);
  /* Nothing of what was refused is kept. */
  free(memory);
}

/* Until the planes of a frame are the engine's again. */
static void wait_for_release(rayloom_session *session, uint64_t frame_id) {
  rayloom_event event = RAYLOOM_EVENT_INIT;
  do {
    rayloom_result polled = rayloom_session_poll_event(session, &event);
    if (polled == RAYLOOM_NOT_READY) event.kind = 0;
    else IS(polled, RAYLOOM_OK);
  } while (event.kind != RAYLOOM_EVENT_PLANES_RELEASED || event.frame_id != frame_id);
}

int main(void) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody;
  session_desc.peer_count = 1;
  session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  IS(rayloom_session_create(&session_desc, &session), RAYLOOM_OK);
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  IS(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK);
  rayloom_frame_desc desc = RAYLOOM_FRAME_DESC_INIT;
  IS(rayloom_scene_commit(scene, &desc.revision), RAYLOOM_OK);
  rayloom_layer layer = RAYLOOM_LAYER_INIT;
  layer.deadline_ns = 1000000;
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = WIDTH;
  view_desc.height = HEIGHT;
  view_desc.flags = RAYLOOM_VIEW_GBUFFER | RAYLOOM_VIEW_OUTPUT_PLANES;
  view_desc.layers = &layer;
  view_desc.layer_count = 1;
  rayloom_view *view = NULL;
  IS(rayloom_view_create(session, &view_desc, &view), RAYLOOM_OK);

  rayloom_output *kept[KEPT];
  rayloom_output_info infos[KEPT];
  rayloom_plane_desc planes[PLANES];
  for (int i = 0; i < KEPT; i++) {
    rayloom_frame *frame = NULL;
    desc.frame_id++;
    IS(rayloom_frame_begin(view, &desc, &frame), RAYLOOM_OK);
    if (i == 0) refuse(frame);
    unsigned char *memory = new_memory();
    uint32_t lifetime = i % 2 ? RAYLOOM_LIFETIME_BORROW : RAYLOOM_LIFETIME_COPY;
    fill(planes, memory, lifetime);
    IS(rayloom_frame_submit(frame, planes, PLANES), RAYLOOM_OK);
    memset(planes, 0, sizeof planes);
    if (lifetime == RAYLOOM_LIFETIME_BORROW) wait_for_release(session, desc.frame_id);
    free(memory);
    IS(rayloom_view_acquire(view, desc.frame_id, UINT64_C(60000000000), &kept[i]), RAYLOOM_OK);
    infos[i] = (rayloom_output_info)RAYLOOM_OUTPUT_INFO_INIT;
    IS(rayloom_output_describe(kept[i], &infos[i]), RAYLOOM_OK);
  }
  for (int i = 0; i < KEPT; i++) {
    if (infos[i].frame_id != (uint64_t)i + 1 || infos[i].color[infos[i].color_row_pitch * (HEIGHT - 1) + WIDTH * 4 - 1] != 255)
      failed(__LINE__, "a kept output has changed", 0);
    if (i % 2) IS(rayloom_output_release(kept[i]), RAYLOOM_OK);
  }
  IS(rayloom_output_release(kept[1]), RAYLOOM_INVALID_HANDLE);

  /* The memory of lent planes is the engine's again when the session is gone, read or not. */
  unsigned char *memory = new_memory();
  rayloom_frame *frame = NULL;
  desc.frame_id++;
  IS(rayloom_frame_begin(view, &desc, &frame), RAYLOOM_OK);
  fill(planes, memory, RAYLOOM_LIFETIME_BORROW);
  IS(rayloom_frame_submit(frame, planes, PLANES), RAYLOOM_OK);
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
  free(memory);
  IS(rayloom_output_release(kept[0]), RAYLOOM_INVALID_HANDLE);
  return 0;
}
