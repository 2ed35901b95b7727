/* Meshes with joints and morph targets, and animations of the glTF file named on the command line: what is wrong with them
 * is named, and in every engine's convention the same pose stands where it does in glTF's. */
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

enum { VERTICES = 16, INDICES = 72 };

/* A bar along x from 0 to 2, half a metre high, a quarter deep, of two boxes; the second one's joint is bound at x = 1. */
typedef struct {
  float positions[VERTICES][3], lift[VERTICES][3], weights[VERTICES][4];
  uint16_t joints[VERTICES][4];
  uint32_t indices[INDICES];
  rayloom_mesh_part part;
  rayloom_morph_target targets[1];
  rayloom_mesh_deformation_desc deformation;
  rayloom_mesh_desc desc;
} Bar;

/* From glTF's axes and metres to a convention's. */
typedef void (*To)(const float gltf[3], float out[3]);
static void to_gltf(const float p[3], float out[3]) { memcpy(out, p, 3 * sizeof *p); }
static void to_unity(const float p[3], float out[3]) { out[0] = p[0]; out[1] = p[1]; out[2] = -p[2]; }
static void to_unreal(const float p[3], float out[3]) { out[0] = -100 * p[2]; out[1] = 100 * p[0]; out[2] = 100 * p[1]; }

static void make(Bar *bar, To to) {
  static const uint32_t box[36] = { 0, 2, 1, 1, 2, 3, 4, 5, 6, 5, 7, 6, 0, 1, 4, 1, 5, 4,
                                    2, 6, 3, 3, 6, 7, 0, 4, 2, 2, 4, 6, 1, 3, 5, 3, 7, 5 };
  memset(bar, 0, sizeof *bar);
  for (int i = 0; i < VERTICES; i++) {
    const float corner[3] = { (float)(i / 8 + (i & 1)), (i & 2) ? .5f : 0, (i & 4) ? .25f : 0 }, up[3] = { 0, 0, .6f };
    to(corner, bar->positions[i]);
    to(up, bar->lift[i]);
    /* Not scaled to a sum of 1, and what weighs nothing may be named by anything. */
    bar->weights[i][0] = 2;
    bar->joints[i][0] = (uint16_t)(i / 8);
    bar->joints[i][1] = 999;
  }
  for (uint32_t i = 0; i < INDICES; i++) bar->indices[i] = box[i % 36] + i / 36 * 8;
  bar->part = (rayloom_mesh_part){ 0, INDICES, 0 };
  bar->targets[0] = (rayloom_morph_target)RAYLOOM_MORPH_TARGET_INIT;
  bar->targets[0].positions = bar->lift[0];
  bar->deformation = (rayloom_mesh_deformation_desc)RAYLOOM_MESH_DEFORMATION_DESC_INIT;
  bar->deformation.joints = bar->joints[0];
  bar->deformation.weights = bar->weights[0];
  bar->deformation.joint_count = 2;
  bar->deformation.targets = bar->targets;
  bar->deformation.target_count = 1;
  bar->desc = (rayloom_mesh_desc)RAYLOOM_MESH_DESC_INIT;
  bar->desc.next = &bar->deformation;
  bar->desc.user_id = 4711;
  bar->desc.positions = bar->positions[0];
  bar->desc.indices = bar->indices;
  bar->desc.parts = &bar->part;
  bar->desc.vertex_count = VERTICES;
  bar->desc.index_count = INDICES;
  bar->desc.part_count = 1;
}

static rayloom_scene *create_scene(rayloom_session *session, uint32_t convention) {
  rayloom_scene_desc desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_material_desc material = RAYLOOM_MATERIAL_DESC_INIT;
  rayloom_scene *scene = NULL;
  uint32_t id;
  desc.convention = convention;
  IS(rayloom_scene_create(session, &desc, &scene), RAYLOOM_OK);
  IS(rayloom_material_create(scene, &material, &id), RAYLOOM_OK);
  return scene;
}

static void mistakes(rayloom_session *session) {
  rayloom_scene *scene = create_scene(session, RAYLOOM_CONVENTION_GLTF);
  static Bar bar;
  uint32_t mesh = 77;
#define REFUSED(field, value, result, words) do { \
    make(&bar, to_gltf); \
    bar.field = value; \
    SAYS(rayloom_mesh_create(scene, &bar.desc, &mesh), result, words); \
    TRUE(mesh == 77 && (result == RAYLOOM_UNKNOWN_STRUCT || strstr(rayloom_last_error(), "mesh (user id 4711)"))); \
  } while (0)
  REFUSED(deformation.struct_type, 5, RAYLOOM_UNKNOWN_STRUCT, "desc->next->struct_type is 5");
  REFUSED(deformation.struct_size, 8, RAYLOOM_UNKNOWN_STRUCT, "desc->next->struct_size is 8");
  REFUSED(deformation.next, &bar, RAYLOOM_UNKNOWN_STRUCT, "desc->next->next");
  REFUSED(desc.vertex_count, 0, RAYLOOM_INVALID_ARGUMENT, "desc->vertex_count is 0");
  REFUSED(deformation.joints, NULL, RAYLOOM_INVALID_ARGUMENT, "joints are NULL");
  REFUSED(deformation.weights, NULL, RAYLOOM_INVALID_ARGUMENT, "weights are NULL");
  REFUSED(deformation.joint_count, 0, RAYLOOM_INVALID_ARGUMENT, "joint_count is 0");
  REFUSED(deformation.joint_count, 65537, RAYLOOM_INVALID_ARGUMENT, "joint_count is 65537");
  REFUSED(deformation.joint_count, 1, RAYLOOM_SCENE_ERROR, "vertex 8 names joint 1, but desc->next->joint_count is 1");
  REFUSED(deformation.targets, NULL, RAYLOOM_INVALID_ARGUMENT, "desc->next->targets is NULL");
  REFUSED(deformation.target_count, UINT32_MAX, RAYLOOM_INVALID_ARGUMENT, "target_count is 4294967295");
  REFUSED(weights[3][0], 0, RAYLOOM_SCENE_ERROR, "weighs the joints of vertex 3 by [0.0");
  REFUSED(weights[3][1], -1, RAYLOOM_SCENE_ERROR, "vertex 3");
  REFUSED(weights[3][0], NAN, RAYLOOM_SCENE_ERROR, "vertex 3");
  REFUSED(weights[3][0], INFINITY, RAYLOOM_SCENE_ERROR, "vertex 3");
  REFUSED(lift[5][1], NAN, RAYLOOM_SCENE_ERROR, "morph target 0 moves positions of vertex 5");
  REFUSED(indices[4], 16, RAYLOOM_SCENE_ERROR, "index 16 at position 4");
#undef REFUSED

  make(&bar, to_gltf);
  IS(rayloom_mesh_create(scene, &bar.desc, &mesh), RAYLOOM_OK);
  rayloom_instance_desc instance = RAYLOOM_INSTANCE_DESC_INIT;
  uint32_t id = 0, one = 1, two = 2;
  uint64_t revision = 77;
  instance.mesh = mesh;
  instance.user_id = 42;
  IS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_OK);
  SAYS(rayloom_scene_commit(scene, &revision), RAYLOOM_SCENE_ERROR, "instance 0 (user id 42): has no palette");
  float palette[2][16] = { RAYLOOM_MATRIX_IDENTITY, RAYLOOM_MATRIX_IDENTITY };
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, &one, palette[0]), RAYLOOM_SCENE_ERROR, "user id 42");
  TRUE(strstr(rayloom_last_error(), "palette of 1 matrices") && strstr(rayloom_last_error(), "2 joints"));
  palette[1][12] = NAN;
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, &two, palette[0]), RAYLOOM_INVALID_ARGUMENT, "matrix 1 of instance 0");
  palette[1][12] = 1e30f;
  SAYS(rayloom_scene_set_palettes(scene, 1, &id, &two, palette[0]), RAYLOOM_SCENE_ERROR, "user id 42");
  palette[1][12] = 0;
  const float weights[2] = { 1, NAN };
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &one, weights + 1), RAYLOOM_SCENE_ERROR, "palette of 0 matrices");
  /* A joint that is scaled to nothing hides what hangs on it, a mirrored one mirrors it: no mistakes. */
  palette[0][0] = -1;
  palette[1][0] = palette[1][5] = palette[1][10] = 0;
  IS(rayloom_scene_set_palettes(scene, 1, &id, &two, palette[0]), RAYLOOM_OK);
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &two, weights), RAYLOOM_SCENE_ERROR, "weighs 2 morph targets");
  SAYS(rayloom_scene_set_morph_weights(scene, 1, &id, &one, weights + 1), RAYLOOM_SCENE_ERROR, "morph target 0");
  IS(rayloom_scene_commit(scene, &revision), RAYLOOM_OK);
  float min[3], max[3];
  IS(rayloom_scene_bounds(scene, min, max), RAYLOOM_OK);
  TRUE(min[0] == -1 && max[0] == 0 && max[1] == .5f);
  IS(rayloom_scene_destroy(scene), RAYLOOM_OK);
}

/* The second half turned up by a right angle, everything lifted by half of the target's 0.6 m: its box in glTF's axes. */
static void poses_like_gltf(rayloom_session *session, uint32_t convention, To to, const float turned[16]) {
  static Bar bar;
  make(&bar, to);
  rayloom_scene *scene = create_scene(session, convention);
  rayloom_instance_desc instance = RAYLOOM_INSTANCE_DESC_INIT;
  uint32_t id = 0, one = 1, two = 2;
  uint64_t revision = 0;
  const float half = .5f;
  IS(rayloom_mesh_create(scene, &bar.desc, &instance.mesh), RAYLOOM_OK);
  IS(rayloom_instance_create(scene, &instance, &id), RAYLOOM_OK);
  float palette[2][16] = { RAYLOOM_MATRIX_IDENTITY };
  memcpy(palette[1], turned, sizeof palette[1]);
  IS(rayloom_scene_set_palettes(scene, 1, &id, &two, palette[0]), RAYLOOM_OK);
  IS(rayloom_scene_set_morph_weights(scene, 1, &id, &one, &half), RAYLOOM_OK);
  IS(rayloom_scene_commit(scene, &revision), RAYLOOM_OK);
  const float low[3] = { 0, 0, .3f }, high[3] = { 1, 1, .55f };
  float a[3], b[3], min[3], max[3];
  to(low, a);
  to(high, b);
  IS(rayloom_scene_bounds(scene, min, max), RAYLOOM_OK);
  for (int axis = 0; axis < 3; axis++) {
    TRUE(fabsf(min[axis] - fminf(a[axis], b[axis])) < 1e-3f);
    TRUE(fabsf(max[axis] - fmaxf(a[axis], b[axis])) < 1e-3f);
  }
  IS(rayloom_scene_destroy(scene), RAYLOOM_OK);
}

static void animations(rayloom_session *session, const char *file) {
  rayloom_scene *scene = create_scene(session, RAYLOOM_CONVENTION_GLTF);
  rayloom_animation_info info = RAYLOOM_ANIMATION_INFO_INIT;
  uint32_t count = 77;
  IS(rayloom_scene_animation_count(scene, &count), RAYLOOM_OK);
  TRUE(count == 0);
  SAYS(rayloom_scene_pose_animation(scene, 0, 0), RAYLOOM_INVALID_ARGUMENT, "animation 0 does not exist");
  IS(rayloom_scene_pose_animation(scene, RAYLOOM_NONE, 0), RAYLOOM_OK);
  IS(rayloom_scene_load_gltf(scene, file), RAYLOOM_OK);
  SAYS(rayloom_scene_animation_count(scene, NULL), RAYLOOM_INVALID_ARGUMENT, "count is NULL");
  IS(rayloom_scene_animation_count(scene, &count), RAYLOOM_OK);
  TRUE(count == 2);
  SAYS(rayloom_scene_describe_animation(scene, 2, &info), RAYLOOM_INVALID_ARGUMENT, "animation is 2");
  info.struct_size = 4;
  SAYS(rayloom_scene_describe_animation(scene, 0, &info), RAYLOOM_UNKNOWN_STRUCT, "struct_size is 4");
  info = (rayloom_animation_info)RAYLOOM_ANIMATION_INFO_INIT;
  IS(rayloom_scene_describe_animation(scene, 1, &info), RAYLOOM_OK);
  TRUE(strcmp(info.name, "wave") == 0 && info.duration_s == 2);
  IS(rayloom_scene_describe_animation(scene, 0, &info), RAYLOOM_OK);
  TRUE(strcmp(info.name, "walk") == 0 && fabsf(info.duration_s - 1.2f) < 1e-6f);
  SAYS(rayloom_scene_pose_animation(scene, 2, 0), RAYLOOM_INVALID_ARGUMENT, "animation 2 does not exist: the scene has 2");
  SAYS(rayloom_scene_pose_animation(scene, 0, INFINITY), RAYLOOM_INVALID_ARGUMENT, "second inf");
  uint64_t before = 0, after = 0;
  IS(rayloom_scene_commit(scene, &before), RAYLOOM_OK);
  for (int i = 0; i < 3; i++) {
    IS(rayloom_scene_pose_animation(scene, 0, i * .3), RAYLOOM_OK);
    IS(rayloom_scene_commit(scene, &after), RAYLOOM_OK);
    TRUE(after > before);
    before = after;
  }
  /* It travels with the frames: nothing is uploaded anew. */
  rayloom_scene_progress_info progress = RAYLOOM_SCENE_PROGRESS_INFO_INIT;
  IS(rayloom_scene_progress(scene, &progress), RAYLOOM_OK);
  TRUE(progress.revision < after);
  IS(rayloom_scene_destroy(scene), RAYLOOM_OK);
}

int main(int argc, char **argv) {
  TRUE(argc == 2);
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.peers = &nobody;
  desc.peer_count = 1;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  IS(rayloom_session_create(&desc, &session), RAYLOOM_OK);
  mistakes(session);
  /* About z = glTF's, through x = 1. Unreal's rows are images of its axes: x stays, y goes to z, z to -y. */
  static const float gltf[16] = { 0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 1, -1, 0, 1 };
  static const float unreal[16] = { 1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 100, -100, 1 };
  poses_like_gltf(session, RAYLOOM_CONVENTION_GLTF, to_gltf, gltf);
  poses_like_gltf(session, RAYLOOM_CONVENTION_UNITY, to_unity, gltf);
  poses_like_gltf(session, RAYLOOM_CONVENTION_UNREAL, to_unreal, unreal);
  animations(session, argv[1]);
  IS(rayloom_session_destroy(session), RAYLOOM_OK);
  return 0;
}
