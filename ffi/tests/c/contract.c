/* Does everything wrong that a host can do, and then some things right. */
#include <math.h>
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void failed(int line, const char *what, int result) {
  fprintf(stderr, "line %d: %s gave %d; last error: %s\n", line, what, result, rayloom_last_error());
  exit(1);
}
#define IS(call, wanted) do { int r = (int)(call); if (r != (wanted)) failed(__LINE__, #call, r); } while (0)
#define TRUE(what) do { if (!(what)) failed(__LINE__, #what, 0); } while (0)
/* The call fails so, and this thread's text has these words. */
#define SAYS(call, wanted, words) do { IS(call, wanted); TRUE(strstr(rayloom_last_error(), words)); } while (0)

static int lines;
static rayloom_result nested;
static void on_line(void *userdata, uint32_t level, const char *text) {
  TRUE(level >= RAYLOOM_LOG_ERROR && level <= RAYLOOM_LOG_INFO && text[0]);
  nested = rayloom_log_set_callback(NULL, 0, NULL);
  __atomic_add_fetch((int *)userdata, 1, __ATOMIC_SEQ_CST);
}

static rayloom_session *create_session(void) {
  rayloom_peer_address peer = RAYLOOM_PEER_ADDRESS_INIT;
  peer.url = "http://127.0.0.1:9";
  peer.token = "secret";
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.peers = &peer;
  desc.peer_count = 1;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  IS(rayloom_session_create(&desc, &session), RAYLOOM_OK);
  return session;
}

/* What a newer header may send, and what was never a handle. */
static void strangers(void) {
  struct { rayloom_session_desc desc; unsigned char tail[16]; } newer;
  memset(&newer, 0, sizeof newer);
  newer.desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  newer.desc.struct_size = sizeof newer;
  newer.tail[9] = 1;
  rayloom_session *untouched = (rayloom_session *)(void *)&lines, *session = untouched;
  char says[40];
  snprintf(says, sizeof says, "struct_size is %u", (unsigned)sizeof newer);
  SAYS(rayloom_session_create(&newer.desc, &session), RAYLOOM_UNKNOWN_STRUCT, says);
  TRUE(session == untouched);
  const uintptr_t forged[] = {1, 7, 15, 17, 0xdeadbeef, (uintptr_t)&lines, UINTPTR_MAX};
  for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
    uint64_t revision = 77;
    SAYS(rayloom_session_destroy((rayloom_session *)forged[i]), RAYLOOM_INVALID_HANDLE, "no live session");
    SAYS(rayloom_scene_commit((rayloom_scene *)forged[i], &revision), RAYLOOM_INVALID_HANDLE, "no live scene");
    SAYS(rayloom_view_destroy((rayloom_view *)forged[i]), RAYLOOM_INVALID_HANDLE, "no live view");
    SAYS(rayloom_frame_discard((rayloom_frame *)forged[i]), RAYLOOM_INVALID_HANDLE, "no live frame");
    SAYS(rayloom_output_release((rayloom_output *)forged[i]), RAYLOOM_INVALID_HANDLE, "no live output");
    SAYS(rayloom_stream_destroy((rayloom_stream *)forged[i]), RAYLOOM_INVALID_HANDLE, "no live stream");
    TRUE(revision == 77);
  }
}

static void sessions(void) {
  rayloom_session *untouched = (rayloom_session *)(void *)&lines, *session = untouched;
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  SAYS(rayloom_session_create(NULL, &session), RAYLOOM_INVALID_ARGUMENT, "rayloom_session_create: desc is NULL");
  SAYS(rayloom_session_create(&desc, NULL), RAYLOOM_INVALID_ARGUMENT, "session is NULL");
  desc.struct_type = 999;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_UNKNOWN_STRUCT, "999");
  desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  desc.struct_size = 8;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_UNKNOWN_STRUCT, "struct_size is 8");
  desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  desc.next = &desc;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_UNKNOWN_STRUCT, "next");
  desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  desc.header_version = 0x7f0000;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_UNSUPPORTED, "127.0");
  desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "no peers");
  desc.embedded = 77;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "77");
  desc = (rayloom_session_desc)RAYLOOM_SESSION_DESC_INIT;
  desc.flags = 0x80;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "0x80");
  desc.flags = 0;
  desc.peer_count = 1;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "desc->peers is NULL");
  rayloom_peer_address peer = { "\xff", NULL, NULL };
  desc.peers = &peer;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "peers[0].url is not UTF-8");
  peer.url = "ftp://127.0.0.1";
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "write it as https://host:port");
  peer.url = "https://127.0.0.1:9";
  desc.evidence_dir = "";
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "evidence's folder \"\"");
  desc.evidence_dir = NULL;
  peer.tls_pin = "sha256:1234";
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "peers[0].tls_pin: \"sha256:1234\"");
  desc.peer_count = 0;
  desc.max_frames_in_flight = 1000;
  SAYS(rayloom_session_create(&desc, &session), RAYLOOM_INVALID_ARGUMENT, "1000");
  TRUE(session == untouched);
  SAYS(rayloom_session_destroy(untouched), RAYLOOM_INVALID_HANDLE, "no live session");
  IS(rayloom_session_destroy(NULL), RAYLOOM_OK);
  uint64_t now;
  SAYS(rayloom_session_now(NULL, &now), RAYLOOM_INVALID_HANDLE, "NULL");
}

static void scenes(rayloom_session *session, rayloom_scene *scene) {
  uint32_t id = 12345;
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *other = NULL;
  scene_desc.convention = 77;
  SAYS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_INVALID_ARGUMENT, "77");
  scene_desc.convention = RAYLOOM_CONVENTION_EXPLICIT;
  SAYS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_INVALID_ARGUMENT, "desc->next");
  rayloom_convention_desc convention = RAYLOOM_CONVENTION_DESC_INIT;
  SAYS(rayloom_convention_init(9, &convention), RAYLOOM_INVALID_ARGUMENT, "preset is 9");
  IS(rayloom_convention_init(RAYLOOM_CONVENTION_UNREAL, &convention), RAYLOOM_OK);
  TRUE(convention.up_axis == RAYLOOM_UP_Z && convention.depth_encoding == RAYLOOM_DEPTH_REVERSED_INFINITE);
  convention.metres_per_unit = -1;
  scene_desc.next = &convention;
  SAYS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_INVALID_ARGUMENT, "metres_per_unit is -1");
  scene_desc.next = &scene_desc;
  SAYS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_UNKNOWN_STRUCT, "desc->next->struct_type is 9");
  TRUE(!other);
  convention.metres_per_unit = 0.01f;
  scene_desc.next = &convention;
  IS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_OK);
  rayloom_light_desc lamp = RAYLOOM_LIGHT_DESC_INIT, same = RAYLOOM_LIGHT_DESC_INIT;
  lamp.position[0] = 300;
  lamp.position[2] = -50;
  IS(rayloom_light_create(other, &lamp, &id), RAYLOOM_OK);
  IS(rayloom_scene_describe_light(other, id, &same), RAYLOOM_OK);
  TRUE(fabsf(same.position[0] - 300) < 1e-3f && fabsf(same.position[2] + 50) < 1e-3f);
  IS(rayloom_scene_destroy(other), RAYLOOM_OK);
  other = NULL;
  id = 12345;
  TRUE(!other);
  SAYS(rayloom_scene_create((rayloom_session *)(void *)scene, &scene_desc, &other), RAYLOOM_INVALID_HANDLE, "is a scene, but a session");
  SAYS(rayloom_scene_load_gltf(scene, "/no/such/file.glb"), RAYLOOM_SCENE_ERROR, "/no/such/file.glb");
  SAYS(rayloom_scene_load_city(scene, UINT32_MAX, 1), RAYLOOM_INVALID_ARGUMENT, "4294967295");

  static const uint8_t pixels[16] = { 255, 0, 0, 255 };
  rayloom_texture_desc texture = RAYLOOM_TEXTURE_DESC_INIT;
  SAYS(rayloom_texture_create(scene, &texture, &id), RAYLOOM_SCENE_ERROR, "0x0");
  texture.user_id = 5;
  texture.width = texture.height = 2;
  texture.data = pixels;
  texture.size = 15;
  SAYS(rayloom_texture_create(scene, &texture, &id), RAYLOOM_INVALID_ARGUMENT, "texture (user id 5): desc->size is 15");
  texture.size = 16;
  IS(rayloom_texture_create(scene, &texture, &id), RAYLOOM_OK);
  IS(id, 0);
  texture.format = RAYLOOM_TEXTURE_FILE;
  texture.width = texture.height = 0;
  SAYS(rayloom_texture_create(scene, &texture, &id), RAYLOOM_SCENE_ERROR, "neither PNG nor JPEG");

  rayloom_material_desc material = RAYLOOM_MATERIAL_DESC_INIT;
  material.user_id = 6;
  material.base_color_texture.texture = 7;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "base_color_texture.texture is 7");
  material.base_color_texture.texture = 0;
  material.roughness = NAN;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "material (user id 6): desc->roughness is NaN");
  material.roughness = 0.5f;
  material.transmission = 1;
  material.ior = 0.5f;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "material (user id 6): desc->ior is 0.5");
  material.ior = 1.33f;
  material.thickness = -1;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "desc->thickness is -1");
  material.thickness = 1;
  material.attenuation_distance = -2;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "desc->attenuation_distance is -2");
  material.attenuation_distance = 2;
  material.attenuation_color[1] = NAN;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "material (user id 6): desc->attenuation_color is NaN");
  material.attenuation_color[1] = 0.25f;
  material.thickness_texture.texture = 9;
  SAYS(rayloom_material_create(scene, &material, &id), RAYLOOM_INVALID_ARGUMENT, "thickness_texture.texture is 9");
  material.thickness_texture.texture = RAYLOOM_NONE;
  IS(rayloom_material_create(scene, &material, &id), RAYLOOM_OK);

  static const float positions[9] = { 0, 0, 0, 1, 0, 0, 0, 1, 0 };
  static const float uvs[6] = { 0, 0, 1, 0, 0, 1 };
  uint32_t indices[3] = { 0, 1, 3 };
  rayloom_mesh_part part = { 0, 3, 0 };
  rayloom_mesh_desc mesh = RAYLOOM_MESH_DESC_INIT;
  SAYS(rayloom_mesh_create(scene, &mesh, &id), RAYLOOM_INVALID_ARGUMENT, "vertex_count is 0");
  mesh.vertex_count = mesh.index_count = 3;
  mesh.parts = &part;
  mesh.part_count = 1;
  mesh.indices = indices;
  mesh.uvs = uvs;
  SAYS(rayloom_mesh_create(scene, &mesh, &id), RAYLOOM_INVALID_ARGUMENT, "positions is NULL");
  mesh.positions = positions;
  SAYS(rayloom_mesh_create(scene, &mesh, &id), RAYLOOM_SCENE_ERROR, "3");
  indices[2] = 2;
  part.material = 9;
  SAYS(rayloom_mesh_create(scene, &mesh, &id), RAYLOOM_SCENE_ERROR, "9");
  part.material = 0;
  IS(rayloom_mesh_create(scene, &mesh, &id), RAYLOOM_OK);

  rayloom_instance_desc instance = RAYLOOM_INSTANCE_DESC_INIT;
  instance.user_id = 42;
  instance.mesh = 1;
  SAYS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_INVALID_ARGUMENT, "instance (user id 42): desc->mesh is 1");
  instance.mesh = 0;
  instance.transform[12] = INFINITY;
  SAYS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_INVALID_ARGUMENT, "index 12");
  instance.transform[12] = 5;
  instance.transform[0] = 0;
  SAYS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_INVALID_ARGUMENT, "instance (user id 42): desc->transform has determinant 0");
  instance.transform[0] = 1;
  IS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_OK);
  SAYS(rayloom_scene_find_instance(scene, 43, &id), RAYLOOM_INVALID_ARGUMENT, "43");
  IS(rayloom_scene_find_instance(scene, 42, &id), RAYLOOM_OK);

  float min[3], max[3];
  IS(rayloom_scene_bounds(scene, min, max), RAYLOOM_OK);
  TRUE(min[0] == 5 && max[0] == 6 && max[1] == 1);
  float matrix[16] = RAYLOOM_MATRIX_IDENTITY;
  SAYS(rayloom_scene_set_transforms(scene, 1, NULL, matrix), RAYLOOM_INVALID_ARGUMENT, "ids is NULL");
  SAYS(rayloom_scene_set_transforms(scene, 1, &id, NULL), RAYLOOM_INVALID_ARGUMENT, "matrices is NULL");
  IS(rayloom_scene_set_transforms(scene, 0, NULL, NULL), RAYLOOM_OK);
  IS(rayloom_scene_set_transforms(scene, 1, &id, matrix), RAYLOOM_OK);
  uint32_t wrong = 99;
  SAYS(rayloom_scene_set_transforms(scene, 1, &wrong, matrix), RAYLOOM_INVALID_ARGUMENT, "99");
  uint32_t one = 1;
  float weight = 0.5f;
  SAYS(rayloom_scene_set_palettes(scene, 1, NULL, &one, matrix), RAYLOOM_INVALID_ARGUMENT, "ids is NULL");
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, NULL, matrix), RAYLOOM_INVALID_ARGUMENT, "joint_counts is NULL");
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, &one, NULL), RAYLOOM_INVALID_ARGUMENT, "matrices is NULL");
  SAYS(rayloom_scene_set_palettes(scene, 1, &wrong, &one, matrix), RAYLOOM_INVALID_ARGUMENT, "99");
  uint32_t wild = UINT32_MAX;
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, &wild, matrix), RAYLOOM_INVALID_ARGUMENT, "no mesh has more");
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &wild, matrix), RAYLOOM_INVALID_ARGUMENT, "no mesh has more");
  IS(rayloom_scene_set_palettes(scene, 0, NULL, NULL, NULL), RAYLOOM_OK);
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, NULL, &weight), RAYLOOM_INVALID_ARGUMENT, "weight_counts is NULL");
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &one, NULL), RAYLOOM_INVALID_ARGUMENT, "weights is NULL");
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &one, &weight), RAYLOOM_SCENE_ERROR, "user id 42");

  rayloom_light_desc light = RAYLOOM_LIGHT_DESC_INIT;
  light.user_id = 8;
  light.kind = RAYLOOM_LIGHT_SPOT;
  light.inner_rad = 1;
  SAYS(rayloom_light_create(scene, &light, &id), RAYLOOM_INVALID_ARGUMENT, "user_id 8");
  light.inner_rad = 0.1f;
  IS(rayloom_light_create(scene, &light, &id), RAYLOOM_OK);
  IS(rayloom_scene_find_light(scene, 8, &id), RAYLOOM_OK);
  rayloom_light_desc read = RAYLOOM_LIGHT_DESC_INIT;
  IS(rayloom_scene_describe_light(scene, id, &read), RAYLOOM_OK);
  TRUE(memcmp(&read, &light, sizeof read) == 0);
  SAYS(rayloom_scene_set_light(scene, 3, &light), RAYLOOM_INVALID_ARGUMENT, "light 3");
  SAYS(rayloom_scene_describe_light(scene, 3, &light), RAYLOOM_INVALID_ARGUMENT, "light 3");
  rayloom_environment_desc sky = RAYLOOM_ENVIRONMENT_DESC_INIT;
  sky.zenith[2] = -1;
  SAYS(rayloom_scene_set_environment(scene, &sky), RAYLOOM_INVALID_ARGUMENT, "zenith");
  sky.zenith[2] = 1;
  IS(rayloom_scene_set_environment(scene, &sky), RAYLOOM_OK);

  uint64_t first = 0, second = 0;
  IS(rayloom_scene_commit(scene, &first), RAYLOOM_OK);
  IS(rayloom_scene_set_light(scene, id, &light), RAYLOOM_OK);
  IS(rayloom_scene_commit(scene, &second), RAYLOOM_OK);
  TRUE(first > 0 && second > first);
  rayloom_scene_progress_info progress = RAYLOOM_SCENE_PROGRESS_INFO_INIT;
  IS(rayloom_scene_progress(scene, &progress), RAYLOOM_OK);
  TRUE(progress.revision == first && progress.peers_ready == 0 && progress.stage == RAYLOOM_SCENE_WAITING);
}

/* Planes of one colour for a view of 32x16, 3 columns and 2 rows inside of a texture. */
static rayloom_plane_desc plane_of(uint32_t kind, uint32_t format, const void *data, uint64_t size) {
  rayloom_plane_desc plane = RAYLOOM_PLANE_DESC_INIT;
  plane.kind = kind;
  plane.format = format;
  plane.data = data;
  plane.size = size;
  plane.row_pitch = 256;
  plane.width = 40;
  plane.height = 20;
  plane.view_x = 3;
  plane.view_y = 2;
  return plane;
}

static void gbuffer(const rayloom_frame_desc *usual) {
  rayloom_session *session = create_session();
  static unsigned char memory[256 * 20];
  rayloom_view_desc desc = RAYLOOM_VIEW_DESC_INIT;
  desc.width = 32;
  desc.height = 16;
  desc.flags = RAYLOOM_VIEW_GBUFFER;
  rayloom_view *view = NULL;
  IS(rayloom_view_create(session, &desc, &view), RAYLOOM_OK);
  rayloom_view_requirements_info requirements = RAYLOOM_VIEW_REQUIREMENTS_INFO_INIT;
  IS(rayloom_view_requirements(view, &requirements), RAYLOOM_OK);
  TRUE(requirements.required_planes == (15u << RAYLOOM_PLANE_DEPTH) && (requirements.optional_planes >> RAYLOOM_PLANE_MOTION & 1));

  rayloom_frame_desc frame_desc = *usual;
  rayloom_frame *frame = NULL, *second = NULL, *third = NULL;
  SAYS(rayloom_frame_begin(view, &frame_desc, &frame), RAYLOOM_INVALID_ARGUMENT, "was never committed");
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  IS(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK);
  IS(rayloom_scene_commit(scene, &frame_desc.revision), RAYLOOM_OK);
  SAYS(rayloom_frame_begin(view, &frame_desc, NULL), RAYLOOM_INVALID_ARGUMENT, "RAYLOOM_VIEW_GBUFFER");
  frame_desc.world_origin[1] = NAN;
  SAYS(rayloom_frame_begin(view, &frame_desc, &frame), RAYLOOM_INVALID_ARGUMENT, "world_origin is [0, NaN, 0]");
  frame_desc.world_origin[1] = 0;
  frame_desc.time_ns = 77;
  IS(rayloom_frame_begin(view, &frame_desc, &frame), RAYLOOM_OK);
  frame_desc.frame_id++;
  IS(rayloom_frame_begin(view, &frame_desc, &second), RAYLOOM_OK);
  frame_desc.frame_id++;
  SAYS(rayloom_frame_begin(view, &frame_desc, &third), RAYLOOM_BUSY, "2");
  IS(rayloom_frame_discard(second), RAYLOOM_OK);
  SAYS(rayloom_frame_discard(second), RAYLOOM_INVALID_HANDLE, "no live frame");
  IS(rayloom_frame_discard(NULL), RAYLOOM_OK);
  IS(rayloom_frame_begin(view, &frame_desc, &third), RAYLOOM_OK);

  rayloom_plane_desc planes[4] = {
    plane_of(RAYLOOM_PLANE_DEPTH, RAYLOOM_FORMAT_R32_FLOAT, memory, sizeof memory),
    plane_of(RAYLOOM_PLANE_NORMAL, RAYLOOM_FORMAT_RGBA8_SNORM, memory, sizeof memory),
    plane_of(RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_FORMAT_RGBA8_SRGB, memory, sizeof memory),
    plane_of(RAYLOOM_PLANE_MATERIAL, RAYLOOM_FORMAT_RG8_UNORM, memory, sizeof memory),
  };
  SAYS(rayloom_frame_submit(frame, NULL, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0]");
  SAYS(rayloom_frame_submit(frame, planes, 9), RAYLOOM_INVALID_ARGUMENT, "count is 9");
  SAYS(rayloom_frame_submit(frame, planes, 3), RAYLOOM_INVALID_ARGUMENT, "roughness");
  const rayloom_plane_desc good = planes[0];
  planes[0].kind = RAYLOOM_PLANE_LAYER_DIRECT;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0].kind is 0");
  planes[0] = good;
  planes[0].format = 26;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0].format is 26");
  planes[0] = good;
  planes[0].lifetime = 2;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0].lifetime is 2");
  planes[0] = good;
  planes[0].memory_kind = 1;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_UNSUPPORTED, "planes[0].memory_kind is 1");
  planes[0] = good;
  planes[0].data = NULL;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0].data is NULL");
  planes[0] = good;
  planes[0].size = UINT64_MAX;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "planes[0] says size");
  planes[0] = good;
  planes[0].size = 100;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "depth");
  planes[0] = good;
  planes[0].view_x = 9;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_ARGUMENT, "depth");
  planes[0] = good;
  planes[0].struct_size = 8;
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_UNKNOWN_STRUCT, "planes[0]");
  planes[0] = good;
  planes[0].lifetime = planes[1].lifetime = RAYLOOM_LIFETIME_BORROW;
  IS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_OK);
  SAYS(rayloom_frame_submit(frame, planes, 4), RAYLOOM_INVALID_HANDLE, "no live frame");

  /* Without any peer the frame is finished all the same; its planes are released before. */
  rayloom_output *output = NULL;
  IS(rayloom_view_acquire(view, usual->frame_id, UINT64_C(60000000000), &output), RAYLOOM_OK);
  rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
  IS(rayloom_output_describe(output, &info), RAYLOOM_OK);
  TRUE(info.frame_id == usual->frame_id && info.time_ns == 77);
  IS(rayloom_output_release(output), RAYLOOM_OK);
  rayloom_event event = RAYLOOM_EVENT_INIT;
  while (rayloom_session_poll_event(session, &event) == RAYLOOM_OK && event.kind != RAYLOOM_EVENT_PLANES_RELEASED) {}
  TRUE(event.kind == RAYLOOM_EVENT_PLANES_RELEASED && event.frame_id == usual->frame_id);
  IS(rayloom_frame_submit(third, NULL, 0), RAYLOOM_OK);
  IS(rayloom_view_destroy(view), RAYLOOM_OK);
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
}

static void frames(rayloom_session *session, rayloom_scene *scene) {
  rayloom_view_desc desc = RAYLOOM_VIEW_DESC_INIT;
  rayloom_view *view = NULL;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "width is 0");
  desc.width = 32;
  desc.height = 16;
  rayloom_layer layers[2] = { RAYLOOM_LAYER_INIT, RAYLOOM_LAYER_INIT };
  desc.layers = layers;
  desc.layer_count = 2;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "direct is named twice");
  layers[1].kind = RAYLOOM_LAYER_UNLIT;
  layers[1].tier = RAYLOOM_TIER_T1;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "never leaves the machine");
  layers[1].tier = RAYLOOM_TIER_T2;
  layers[1].samples = 256;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "layers[1].samples is 256, it may be at most 64");
  layers[1].samples = 1;
  layers[1].deadline_ns = 999999;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "layers[1].deadline_ns is 999999, allowed is 1000000 to");
  layers[1].deadline_ns = UINT64_C(60000000001);
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "60000000001");
  layers[1].deadline_ns = 0;
  desc.frames_ahead = UINT32_MAX;
  SAYS(rayloom_view_create(session, &desc, &view), RAYLOOM_INVALID_ARGUMENT, "frames_ahead is 4294967295, it may be at most 3");
  desc.frames_ahead = 0;
  TRUE(!view);
  desc.flags = RAYLOOM_VIEW_OUTPUT_PLANES;
  IS(rayloom_view_create(session, &desc, &view), RAYLOOM_OK);
  SAYS(rayloom_view_set_mode(view, 3), RAYLOOM_INVALID_ARGUMENT, "mode is 3");
  SAYS(rayloom_view_set_overlay(view, 5), RAYLOOM_INVALID_ARGUMENT, "overlay is 5");
  for (uint32_t overlay = RAYLOOM_OVERLAY_OFF; overlay <= RAYLOOM_OVERLAY_ERROR; overlay++)
    IS(rayloom_view_set_overlay(view, overlay), RAYLOOM_OK);
  rayloom_view_requirements_info requirements = RAYLOOM_VIEW_REQUIREMENTS_INFO_INIT;
  requirements.required_planes = 1;
  IS(rayloom_view_requirements(view, &requirements), RAYLOOM_OK);
  TRUE(requirements.required_planes == 0 && requirements.optional_planes == 0);

  rayloom_output *output = NULL;
  SAYS(rayloom_view_acquire(view, 0, 0, &output), RAYLOOM_NOT_READY, "no output of frame 0");
  rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
  rayloom_frame *frame = NULL;
  IS(rayloom_scene_commit(scene, &frame_desc.revision), RAYLOOM_OK);
  SAYS(rayloom_scene_default_camera(scene, NAN, &frame_desc.camera), RAYLOOM_INVALID_ARGUMENT, "NaN");
  IS(rayloom_scene_default_camera(scene, 2, &frame_desc.camera), RAYLOOM_OK);
  frame_desc.frame_id = 10;
  rayloom_frame_desc bad = frame_desc;
  bad.camera.camera_to_world[5] = NAN;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "index 5");
  bad = frame_desc;
  bad.camera.vertical_fov_rad = 4;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "vertical_fov_rad is 4");
  bad = frame_desc;
  bad.camera.camera_to_world[0] *= 3;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "scales");
  bad = frame_desc;
  bad.exposure = 0;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "exposure is 0");
  bad = frame_desc;
  bad.pre_exposure = NAN;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "pre_exposure is NaN");
  bad = frame_desc;
  bad.tone_map = 3;
  SAYS(rayloom_frame_begin(view, &bad, &frame), RAYLOOM_INVALID_ARGUMENT, "tone_map is 3");
  TRUE(!frame);
  IS(rayloom_frame_begin(view, &frame_desc, &frame), RAYLOOM_OK);
  TRUE(frame != NULL);
  rayloom_plane_desc plane = RAYLOOM_PLANE_DESC_INIT;
  SAYS(rayloom_frame_submit(frame, &plane, 1), RAYLOOM_INVALID_STATE, "RAYLOOM_VIEW_GBUFFER");
  IS(rayloom_frame_submit(frame, NULL, 0), RAYLOOM_OK);
  SAYS(rayloom_frame_submit(frame, NULL, 0), RAYLOOM_INVALID_HANDLE, "no live frame");

  /* Without any peer a frame is finished all the same. */
  SAYS(rayloom_output_describe(output, NULL), RAYLOOM_INVALID_HANDLE, "NULL");
  IS(rayloom_view_acquire(view, 10, UINT64_C(60000000000), &output), RAYLOOM_OK);
  SAYS(rayloom_frame_begin(view, &frame_desc, NULL), RAYLOOM_INVALID_ARGUMENT, "does not grow");
  rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
  info.struct_type = RAYLOOM_STRUCT_EVENT;
  IS(rayloom_output_describe(output, &info), RAYLOOM_UNKNOWN_STRUCT);
  TRUE(info.width == 0);
  info.struct_type = RAYLOOM_STRUCT_OUTPUT_INFO;
  IS(rayloom_output_describe(output, &info), RAYLOOM_OK);
  TRUE(info.frame_id == 10 && info.width == 32 && info.height == 16 && info.color_row_pitch == 128 && info.fresh == 0);
  TRUE(info.plane_count == 2 + 7 && info.planes[0].kind == RAYLOOM_PLANE_LAYER_DIRECT && info.planes[0].pixel_size == 8);
  const rayloom_output_plane *ages = &info.planes[info.plane_count - 1];
  TRUE(ages->kind == RAYLOOM_PLANE_AGE && ((const uint8_t *)ages->data)[ages->row_pitch * 15 + 31] == 255);
  TRUE(info.color[info.color_row_pitch * 15 + 127] == 255);
  TRUE(info.color_format == RAYLOOM_FORMAT_RGBA8_SRGB && info.flags == 0 && info.pre_exposure == 1);
  TRUE(fabsf(info.camera.camera_to_world[12] - frame_desc.camera.camera_to_world[12]) < 1e-4f);

  rayloom_view_stats_info stats = RAYLOOM_VIEW_STATS_INFO_INIT;
  IS(rayloom_view_stats(view, &stats), RAYLOOM_OK);
  TRUE(stats.frames == 1 && stats.peer_count == 0);
  char text[8];
  size_t length = 0;
  IS(rayloom_view_stats_text(view, sizeof text, text, &length), RAYLOOM_OK);
  TRUE(strcmp(text, "fresh 0") == 0 && length > 60);
  IS(rayloom_view_stats_text(view, 0, NULL, NULL), RAYLOOM_OK);

  gbuffer(&frame_desc);

  /* A scene takes its revisions with it; a frame in flight ends. */
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *other = NULL;
  IS(rayloom_scene_create(session, &scene_desc, &other), RAYLOOM_OK);
  rayloom_frame_desc gone = frame_desc;
  IS(rayloom_scene_commit(other, &gone.revision), RAYLOOM_OK);
  gone.frame_id = 20;
  IS(rayloom_frame_begin(view, &gone, NULL), RAYLOOM_OK);
  IS(rayloom_scene_destroy(other), RAYLOOM_OK);
  gone.frame_id = 21;
  SAYS(rayloom_frame_begin(view, &gone, NULL), RAYLOOM_INVALID_ARGUMENT, "went with its scene");
  gone.revision = frame_desc.revision;
  rayloom_output *last = NULL;
  IS(rayloom_view_acquire(view, 20, UINT64_C(60000000000), &last), RAYLOOM_OK);
  IS(rayloom_output_release(last), RAYLOOM_OK);
  gone.frame_id = UINT64_MAX;
  SAYS(rayloom_frame_begin(view, &gone, NULL), RAYLOOM_INVALID_ARGUMENT, "18446744073709551614");

  IS(rayloom_view_destroy(view), RAYLOOM_OK);
  SAYS(rayloom_view_destroy(view), RAYLOOM_INVALID_HANDLE, "no live view");
  SAYS(rayloom_frame_begin(view, &frame_desc, NULL), RAYLOOM_INVALID_HANDLE, "no live view");
  IS(rayloom_output_describe(output, &info), RAYLOOM_OK);
  TRUE(info.color[3] == 255);
  IS(rayloom_output_release(output), RAYLOOM_OK);
  SAYS(rayloom_output_describe(output, &info), RAYLOOM_INVALID_HANDLE, "no live output");
}

static void streams(rayloom_session *session) {
  rayloom_stream_desc desc = RAYLOOM_STREAM_DESC_INIT;
  rayloom_stream *stream = NULL, *second = NULL;
  SAYS(rayloom_stream_start(session, &desc, &stream), RAYLOOM_INVALID_ARGUMENT, "listen is NULL");
  desc.listen = "localhost";
  SAYS(rayloom_stream_start(session, &desc, &stream), RAYLOOM_INVALID_ARGUMENT, "localhost");
  desc.listen = "127.0.0.1:0";
  desc.max_fps = NAN;
  SAYS(rayloom_stream_start(session, &desc, &stream), RAYLOOM_STREAM_ERROR, "max_fps");
  desc.max_fps = 30;
  IS(rayloom_stream_start(session, &desc, &stream), RAYLOOM_OK);
  char address[64];
  IS(rayloom_stream_address(stream, sizeof address, address, NULL), RAYLOOM_OK);
  desc.listen = address;
  SAYS(rayloom_stream_start(session, &desc, &second), RAYLOOM_STREAM_ERROR, "in use");
  TRUE(!second);

  uint8_t *pixels = calloc(64 * 64, 4);
  rayloom_image_desc image = RAYLOOM_IMAGE_DESC_INIT;
  image.pixels = pixels;
  image.width = image.height = 64;
  image.row_pitch = 255;
  SAYS(rayloom_stream_submit_image(stream, &image, 1), RAYLOOM_INVALID_ARGUMENT, "255");
  image.row_pitch = UINT64_MAX / 4;
  SAYS(rayloom_stream_submit_image(stream, &image, 1), RAYLOOM_INVALID_ARGUMENT, "too much");
  image.row_pitch = 256;
  IS(rayloom_stream_submit_image(stream, &image, 1), RAYLOOM_OK);
  SAYS(rayloom_stream_submit_image(stream, &image, 1), RAYLOOM_STREAM_ERROR, "not after");
  free(pixels);
  static rayloom_input_event events[40];
  uint32_t count = 7;
  SAYS(rayloom_stream_poll_input(stream, 40, NULL, &count), RAYLOOM_INVALID_ARGUMENT, "events is NULL");
  TRUE(count == 7);
  IS(rayloom_stream_poll_input(stream, 40, events, &count), RAYLOOM_OK);
  TRUE(count == 0);
  IS(rayloom_stream_send_message(stream, "hello"), RAYLOOM_OK);
  SAYS(rayloom_stream_send_message(stream, NULL), RAYLOOM_INVALID_ARGUMENT, "text is NULL");
  rayloom_stream_stats_info stats = RAYLOOM_STREAM_STATS_INFO_INIT;
  IS(rayloom_stream_stats(stream, &stats), RAYLOOM_OK);
  TRUE(stats.submitted == 1 && stats.viewers == 0);
  IS(rayloom_stream_destroy(stream), RAYLOOM_OK);
  SAYS(rayloom_stream_stats(stream, &stats), RAYLOOM_INVALID_HANDLE, "no live stream");
}

int main(void) {
  TRUE(rayloom_version()[0] && rayloom_last_error()[0] == 0);
  SAYS(rayloom_log_set_callback(NULL, 9, on_line), RAYLOOM_INVALID_ARGUMENT, "9");
  IS(rayloom_log_set_callback(&lines, RAYLOOM_LOG_INFO, on_line), RAYLOOM_OK);
  strangers();
  sessions();
  rayloom_session *session = create_session();
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  IS(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK);
  scenes(session, scene);
  IS(rayloom_scene_load_city(scene, 20000, 1), RAYLOOM_OK);
  TRUE(__atomic_load_n(&lines, __ATOMIC_SEQ_CST) > 0 && nested == RAYLOOM_INVALID_STATE);
  frames(session, scene);
  streams(session);

  rayloom_event event = RAYLOOM_EVENT_INIT;
  event.struct_size--;
  IS(rayloom_session_poll_event(session, &event), RAYLOOM_UNKNOWN_STRUCT);
  event.struct_size++;
  rayloom_result polled;
  do polled = rayloom_session_poll_event(session, &event); while (polled == RAYLOOM_NOT_READY);
  IS(polled, RAYLOOM_OK);
  TRUE(event.kind == RAYLOOM_EVENT_PEER_UNREACHABLE && event.peer == 0);
  TRUE(strstr(event.text, "127.0.0.1:9") && !strstr(event.text, "secret"));

  /* What belongs to a session ends with it. */
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
  uint64_t revision = 77;
  SAYS(rayloom_scene_commit(scene, &revision), RAYLOOM_INVALID_HANDLE, "no live scene");
  TRUE(revision == 77);
  IS(rayloom_session_destroy(session), RAYLOOM_INVALID_HANDLE);
  IS(rayloom_log_set_callback(NULL, 0, NULL), RAYLOOM_OK);
  int before = __atomic_load_n(&lines, __ATOMIC_SEQ_CST);
  IS(rayloom_session_destroy(create_session()), RAYLOOM_OK);
  TRUE(__atomic_load_n(&lines, __ATOMIC_SEQ_CST) == before);
  return 0;
}
