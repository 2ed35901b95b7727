/* What an engine does from beginning to end without any peer. Compiled once a release, kept in tests/abi, and run against
 * every later library of the same SONAME: results and layouts count, texts do not. */
#include <rayloom.h>
#include <stdio.h>
#include <string.h>

#define EXPECT(call, result) do { \
    rayloom_result got = (call); \
    if (got != (result)) { printf("line %d: %s gave %d: %s\n", __LINE__, #call, (int)got, rayloom_last_error()); return 1; } \
  } while (0)

int main(void) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody; session_desc.peer_count = 1; session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL; EXPECT(rayloom_session_create(&session_desc, &session), RAYLOOM_OK);

  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL; EXPECT(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK);
  rayloom_material_desc material_desc = RAYLOOM_MATERIAL_DESC_INIT;
  uint32_t material = 77; EXPECT(rayloom_material_create(scene, &material_desc, &material), RAYLOOM_OK);
  const float positions[9] = { 0, 0, 0, 1, 0, 0, 0, 1, 0 };
  const uint32_t indices[3] = { 0, 1, 2 };
  rayloom_mesh_part part = { 0, 3, material };
  rayloom_mesh_desc mesh_desc = RAYLOOM_MESH_DESC_INIT;
  mesh_desc.positions = positions; mesh_desc.vertex_count = 3;
  mesh_desc.indices = indices; mesh_desc.index_count = 3;
  mesh_desc.parts = &part; mesh_desc.part_count = 1;
  const uint16_t joints[12] = { 0 };
  const float weights[12] = { 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 };
  rayloom_morph_target target = RAYLOOM_MORPH_TARGET_INIT; target.positions = positions;
  rayloom_mesh_deformation_desc deformation_desc = RAYLOOM_MESH_DEFORMATION_DESC_INIT;
  deformation_desc.joints = joints; deformation_desc.weights = weights; deformation_desc.joint_count = 1;
  deformation_desc.targets = &target; deformation_desc.target_count = 1;
  mesh_desc.next = &deformation_desc;
  uint32_t mesh = 77; EXPECT(rayloom_mesh_create(scene, &mesh_desc, &mesh), RAYLOOM_OK);
  rayloom_instance_desc instance_desc = RAYLOOM_INSTANCE_DESC_INIT;
  instance_desc.mesh = mesh;
  uint32_t instance = 77; EXPECT(rayloom_instance_create(scene, &instance_desc, &instance), RAYLOOM_OK);
  const float palette[16] = RAYLOOM_MATRIX_IDENTITY, morph_weight = 0.5f;
  const uint32_t one = 1;
  EXPECT(rayloom_scene_set_palettes(scene, 1, &instance, &one, palette), RAYLOOM_OK);
  EXPECT(rayloom_scene_set_morph_weights(scene, 1, &instance, &one, &morph_weight), RAYLOOM_OK);
  uint32_t animations = 77; EXPECT(rayloom_scene_animation_count(scene, &animations), RAYLOOM_OK);
  EXPECT(rayloom_scene_pose_animation(scene, animations, 0), RAYLOOM_INVALID_ARGUMENT);
  rayloom_light_desc light_desc = RAYLOOM_LIGHT_DESC_INIT;
  uint32_t light = 77; EXPECT(rayloom_light_create(scene, &light_desc, &light), RAYLOOM_OK);
  uint64_t revision = 0; EXPECT(rayloom_scene_commit(scene, &revision), RAYLOOM_OK);

  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = 64; view_desc.height = 36;
  rayloom_view *view = NULL; EXPECT(rayloom_view_create(session, &view_desc, &view), RAYLOOM_OK);
  rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
  frame_desc.frame_id = 1; frame_desc.revision = revision;
  EXPECT(rayloom_frame_begin(view, &frame_desc, NULL), RAYLOOM_OK);
  /* Nobody traces it, so it comes at its deadline, of sky alone. */
  rayloom_output *output = NULL; EXPECT(rayloom_view_acquire(view, 1, 20000000000u, &output), RAYLOOM_OK);
  rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
  EXPECT(rayloom_output_describe(output, &info), RAYLOOM_OK);
  if (info.frame_id != 1 || info.width != 64 || info.height != 36) return printf("the output is of another frame\n"), 1;
  EXPECT(rayloom_output_release(output), RAYLOOM_OK);
  EXPECT(rayloom_view_acquire(view, 2, 0, &output), RAYLOOM_NOT_READY);

  rayloom_view_desc bad_view = RAYLOOM_VIEW_DESC_INIT;
  bad_view.struct_type = 12345;
  rayloom_view *untouched = NULL; EXPECT(rayloom_view_create(session, &bad_view, &untouched), RAYLOOM_UNKNOWN_STRUCT);
  if (untouched || !strlen(rayloom_last_error())) return printf("a refused call wrote, or said nothing\n"), 1;
  EXPECT(rayloom_view_destroy(view), RAYLOOM_OK);
  EXPECT(rayloom_scene_destroy(scene), RAYLOOM_OK);
  EXPECT(rayloom_session_destroy(session), RAYLOOM_OK);
  printf("an engine of rayloom %d.%d ran, made of " SOURCES "\n", RAYLOOM_HEADER_VERSION >> 16, RAYLOOM_HEADER_VERSION >> 8 & 0xff);
  return 0;
}
