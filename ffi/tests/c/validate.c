/* An engine that states its convention wrong is told what to set; the ground to the horizon, seen from one metre above. */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void failed(int line, const char *what, const char *text) {
  fprintf(stderr, "line %d: %s: %s; last error: %s\n", line, what, text, rayloom_last_error());
  exit(1);
}
#define IS(call, wanted) do { if ((call) != (wanted)) failed(__LINE__, #call, ""); } while (0)
#define TRUE(what, text) do { if (!(what)) failed(__LINE__, #what, text); } while (0)

enum { WIDTH = 160, HEIGHT = 80 };
static const float near_plane = 0.1f, fov = 0.9f;
static float depth[HEIGHT][WIDTH], normal[HEIGHT][WIDTH][4];
static uint8_t albedo[HEIGHT][WIDTH][4], material[HEIGHT][WIDTH][2];

/* Waits for an event of either kind. */
static rayloom_event wait_for(rayloom_session *session, uint32_t kind, uint32_t other) {
  rayloom_event event = RAYLOOM_EVENT_INIT;
  const struct timespec pause = { 0, 2000000 };
  for (int tries = 0; tries < 60000; tries++) {
    while (rayloom_session_poll_event(session, &event) == RAYLOOM_OK)
      if (event.kind == kind || event.kind == other) return event;
    nanosleep(&pause, NULL);
  }
  failed(__LINE__, "no such event", event.text);
  return event;
}

static uint64_t ground(rayloom_session *session, rayloom_scene **scene) {
  rayloom_scene_desc desc = RAYLOOM_SCENE_DESC_INIT;
  IS(rayloom_scene_create(session, &desc, scene), RAYLOOM_OK);
  rayloom_material_desc surface = RAYLOOM_MATERIAL_DESC_INIT;
  rayloom_instance_desc instance = RAYLOOM_INSTANCE_DESC_INIT;
  surface.roughness = surface.metallic = 128.0f / 255;
  IS(rayloom_material_create(*scene, &surface, &(uint32_t){ 0 }), RAYLOOM_OK);
  static const float corners[12] = { -100, 0, 100, 100, 0, 100, 100, 0, -100, -100, 0, -100 };
  static const uint32_t indices[6] = { 0, 1, 2, 0, 2, 3 };
  static const rayloom_mesh_part part = { 0, 6, 0 };
  rayloom_mesh_desc mesh = RAYLOOM_MESH_DESC_INIT;
  mesh.positions = corners;
  mesh.indices = indices;
  mesh.parts = &part;
  mesh.vertex_count = 4;
  mesh.index_count = 6;
  mesh.part_count = 1;
  IS(rayloom_mesh_create(*scene, &mesh, &(uint32_t){ 0 }), RAYLOOM_OK);
  IS(rayloom_instance_create(*scene, &instance, &(uint32_t){ 0 }), RAYLOOM_OK);
  uint64_t revision = 0;
  IS(rayloom_scene_commit(*scene, &revision), RAYLOOM_OK);
  TRUE(wait_for(session, RAYLOOM_EVENT_SCENE_READY, RAYLOOM_EVENT_PEER_UNREACHABLE).kind == RAYLOOM_EVENT_SCENE_READY,
       "the embedded peer has a device");
  return revision;
}

/* Reversed depth without a far plane, whatever is stated. */
static void draw(void) {
  memset(normal, 0, sizeof normal);
  memset(albedo, 128, sizeof albedo);
  memset(material, 128, sizeof material);
  for (int y = 0; y < HEIGHT; y++) {
    float down = ((float)y + 0.5f) / HEIGHT * 2 - 1, distance = down > 0 ? 1 / (down * tanf(fov / 2)) : INFINITY;
    int hit = distance < 100;
    for (int x = 0; x < WIDTH; x++) {
      depth[y][x] = hit ? near_plane / distance : 0;
      normal[y][x][1] = hit ? 1.0f : 0.0f;
    }
  }
}

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

static rayloom_view *create_view(rayloom_session *session, const rayloom_convention_desc *stated) {
  rayloom_view_desc desc = RAYLOOM_VIEW_DESC_INIT;
  rayloom_layer layer = RAYLOOM_LAYER_INIT;
  layer.deadline_ns = UINT64_C(30000000000);
  desc.width = WIDTH;
  desc.height = HEIGHT;
  desc.flags = RAYLOOM_VIEW_GBUFFER;
  desc.layers = &layer;
  desc.layer_count = 1;
  desc.convention = RAYLOOM_CONVENTION_EXPLICIT;
  desc.next = stated;
  rayloom_view *view = NULL;
  IS(rayloom_view_create(session, &desc, &view), RAYLOOM_OK);
  return view;
}

static rayloom_frame_desc looking_ahead(uint64_t revision) {
  rayloom_frame_desc desc = RAYLOOM_FRAME_DESC_INIT;
  desc.frame_id = 7;
  desc.revision = revision;
  desc.camera.vertical_fov_rad = fov;
  desc.camera.camera_to_world[13] = 1;
  return desc;
}

/* What a new view is told of its convention. */
static rayloom_event told(rayloom_session *session, uint64_t revision, const rayloom_convention_desc *stated) {
  rayloom_view *view = create_view(session, stated);
  rayloom_frame_desc desc = looking_ahead(revision);
  rayloom_frame *frame = NULL;
  IS(rayloom_frame_begin(view, &desc, &frame), RAYLOOM_OK);
  draw();
  rayloom_plane_desc planes[4] = {
    plane(RAYLOOM_PLANE_DEPTH, RAYLOOM_FORMAT_R32_FLOAT, depth, sizeof depth),
    plane(RAYLOOM_PLANE_NORMAL, RAYLOOM_FORMAT_RGBA32_FLOAT, normal, sizeof normal),
    plane(RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_FORMAT_RGBA8_SRGB, albedo, sizeof albedo),
    plane(RAYLOOM_PLANE_MATERIAL, RAYLOOM_FORMAT_RG8_UNORM, material, sizeof material),
  };
  IS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_OK);
  /* The memory is the engine's again, whatever is examined afterwards. */
  wait_for(session, RAYLOOM_EVENT_PLANES_RELEASED, RAYLOOM_EVENT_PLANES_RELEASED);
  memset(depth, 0x3f, sizeof depth);
  memset(normal, 0x3f, sizeof normal);
  rayloom_event event = wait_for(session, RAYLOOM_EVENT_CONVENTION, RAYLOOM_EVENT_CONVENTION_AGREES);
  puts(event.text);
  TRUE(event.frame_id == desc.frame_id && event.peer == RAYLOOM_NO_PEER, event.text);
  IS(rayloom_view_destroy(view), RAYLOOM_OK);
  return event;
}

/* A camera that the convention makes none is refused at once, with what to set. */
static void refused(rayloom_session *session, uint64_t revision, const rayloom_convention_desc *stated, const char *fix) {
  rayloom_view *view = create_view(session, stated);
  rayloom_frame_desc desc = looking_ahead(revision);
  rayloom_frame *frame = NULL;
  IS(rayloom_frame_begin(view, &desc, &frame), RAYLOOM_INVALID_ARGUMENT);
  TRUE(strstr(rayloom_last_error(), fix), fix);
  IS(rayloom_view_destroy(view), RAYLOOM_OK);
}

int main(void) {
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.embedded = RAYLOOM_EMBEDDED_ALWAYS;
  desc.flags = RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU | RAYLOOM_SESSION_VALIDATE;
  rayloom_session *session = NULL;
  IS(rayloom_session_create(&desc, &session), RAYLOOM_OK);
  rayloom_scene *scene = NULL;
  uint64_t revision = ground(session, &scene);

  rayloom_convention_desc truth = RAYLOOM_CONVENTION_DESC_INIT;
  IS(rayloom_convention_init(RAYLOOM_CONVENTION_GLTF, &truth), RAYLOOM_OK);
  truth.depth_encoding = RAYLOOM_DEPTH_REVERSED_INFINITE;
  truth.near_plane = near_plane;
  rayloom_event event = told(session, revision, &truth);
  TRUE(event.kind == RAYLOOM_EVENT_CONVENTION_AGREES && strstr(event.text, "depth on "), event.text);

  rayloom_convention_desc stated = truth;
  stated.depth_encoding = RAYLOOM_DEPTH_FORWARD_INFINITE;
  event = told(session, revision, &stated);
  TRUE(event.kind == RAYLOOM_EVENT_CONVENTION && strstr(event.text, "depth disagrees on "), event.text);
  TRUE(strstr(event.text, ": set RAYLOOM_DEPTH_REVERSED_INFINITE"), event.text);

  stated = truth;
  stated.up_axis = RAYLOOM_UP_Z;
  event = told(session, revision, &stated);
  TRUE(event.kind == RAYLOOM_EVENT_CONVENTION && strstr(event.text, ": set RAYLOOM_UP_Y"), event.text);

  stated = truth;
  stated.normal_encoding = RAYLOOM_NORMAL_BIASED;
  event = told(session, revision, &stated);
  TRUE(event.kind == RAYLOOM_EVENT_CONVENTION && strstr(event.text, ": set RAYLOOM_NORMAL_SIGNED"), event.text);

  stated = truth;
  stated.handedness = RAYLOOM_HANDEDNESS_LEFT;
  refused(session, revision, &stated, "RAYLOOM_HANDEDNESS_RIGHT");
  stated = truth;
  stated.matrix_storage = RAYLOOM_MATRIX_ROW_MAJOR;
  refused(session, revision, &stated, "RAYLOOM_MATRIX_COLUMN_MAJOR");
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
  return 0;
}
