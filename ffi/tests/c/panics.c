/* Calls every function once; the one named on the command line panics inside (RAYLOOM_TEST_PANIC names it too). */
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *target;
static int hits, poisoned;

static void fail(const char *what, rayloom_result result) {
  fprintf(stderr, "%s: %d, %s\n", what, (int)result, rayloom_last_error());
  exit(1);
}

/* The target answers RAYLOOM_PANIC, once; before it all is well, after it nothing crashes. */
static rayloom_result expect(const char *name, int on_session, rayloom_result result) {
  if (strcmp(name, target) == 0 && !hits) {
    if (result != RAYLOOM_PANIC) fail(name, result);
    if (!strstr(rayloom_last_error(), name)) fail("the text does not name the function", result);
    hits++;
    poisoned = on_session;
  } else if (!hits && result < RAYLOOM_OK) {
    fail(name, result);
  } else if (poisoned && on_session && result != RAYLOOM_PANIC) {
    fail(name, result);
  }
  return result;
}
#define ON_SESSION(name, ...) expect(#name, 1, name(__VA_ARGS__))
#define ALWAYS(name, ...) expect(#name, 0, name(__VA_ARGS__))

/* A function that answers with a text answers with an empty one. */
static void expect_text(const char *name, const char *text) {
  if (strcmp(name, target) != 0) return;
  if (!text || *text) fail(name, 0);
  hits++;
}

static rayloom_session *create(const char *name) {
  rayloom_peer_address peer = RAYLOOM_PEER_ADDRESS_INIT;
  peer.url = "http://127.0.0.1:9";
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.peers = &peer;
  desc.peer_count = 1;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  expect(name, 0, rayloom_session_create(&desc, &session));
  return session;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  target = argv[1];
  expect_text("rayloom_version", rayloom_version());
  expect_text("rayloom_last_error", rayloom_last_error());
  ALWAYS(rayloom_log_set_callback, NULL, 0, NULL);
  rayloom_convention_desc convention = RAYLOOM_CONVENTION_DESC_INIT;
  ALWAYS(rayloom_convention_init, RAYLOOM_CONVENTION_UNREAL, &convention);
  rayloom_session *session = create("rayloom_session_create");
  if (session) {
    rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
    rayloom_scene *scene = NULL;
    ON_SESSION(rayloom_scene_create, session, &scene_desc, &scene);
    if (hits) goto others;
    ON_SESSION(rayloom_scene_load_city, scene, 20000, 1);
    if (strcmp(target, "rayloom_scene_load_gltf") == 0) {
      /* There is no file: the panic comes instead of the error. */
      ON_SESSION(rayloom_scene_load_gltf, scene, "no such file.glb");
    }
    uint32_t id;
    static const uint8_t white[4] = { 255, 255, 255, 255 };
    rayloom_texture_desc texture = RAYLOOM_TEXTURE_DESC_INIT;
    texture.width = texture.height = 1;
    texture.data = white;
    texture.size = 4;
    ON_SESSION(rayloom_texture_create, scene, &texture, &id);
    rayloom_material_desc material = RAYLOOM_MATERIAL_DESC_INIT;
    ON_SESSION(rayloom_material_create, scene, &material, &id);
    static const float corners[9] = { 0, 0, 0, 1, 0, 0, 0, 1, 0 };
    static const uint32_t indices[3] = { 0, 1, 2 };
    rayloom_mesh_part part = { 0, 3, 0 };
    rayloom_mesh_desc mesh = RAYLOOM_MESH_DESC_INIT;
    mesh.positions = corners;
    mesh.indices = indices;
    mesh.parts = &part;
    mesh.vertex_count = mesh.index_count = 3;
    mesh.part_count = 1;
    ON_SESSION(rayloom_mesh_create, scene, &mesh, &id);
    rayloom_instance_desc instance = RAYLOOM_INSTANCE_DESC_INIT;
    ON_SESSION(rayloom_instance_create, scene, &instance, &id);
    rayloom_light_desc light = RAYLOOM_LIGHT_DESC_INIT;
    ON_SESSION(rayloom_light_create, scene, &light, &id);
    ON_SESSION(rayloom_scene_set_light, scene, id, &light);
    ON_SESSION(rayloom_scene_describe_light, scene, id, &light);
    ON_SESSION(rayloom_scene_find_instance, scene, 1, &id);
    static const float identity[16] = RAYLOOM_MATRIX_IDENTITY;
    ON_SESSION(rayloom_scene_set_transforms, scene, 1, &id, identity);
    uint32_t one = 1;
    uint32_t none = 0;
    ON_SESSION(rayloom_scene_set_palettes, scene, 1, &id, &one, identity);
    ON_SESSION(rayloom_scene_set_morph_weights, scene, 1, &id, &none, NULL);
    ON_SESSION(rayloom_scene_animation_count, scene, &one);
    rayloom_animation_info animation = RAYLOOM_ANIMATION_INFO_INIT;
    if (strcmp(target, "rayloom_scene_describe_animation") == 0) {
      /* There is none: as with the file. */
      ON_SESSION(rayloom_scene_describe_animation, scene, 0, &animation);
    }
    ON_SESSION(rayloom_scene_pose_animation, scene, RAYLOOM_NONE, 0);
    ON_SESSION(rayloom_scene_find_light, scene, 1, &id);
    rayloom_environment_desc environment = RAYLOOM_ENVIRONMENT_DESC_INIT;
    ON_SESSION(rayloom_scene_set_environment, scene, &environment);
    float min[3], max[3];
    ON_SESSION(rayloom_scene_bounds, scene, min, max);
    rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
    ON_SESSION(rayloom_scene_default_camera, scene, 1, &frame_desc.camera);
    ON_SESSION(rayloom_scene_commit, scene, &frame_desc.revision);
    rayloom_scene_progress_info progress = RAYLOOM_SCENE_PROGRESS_INFO_INIT;
    ON_SESSION(rayloom_scene_progress, scene, &progress);

    rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
    view_desc.width = view_desc.height = 16;
    rayloom_view *view = NULL;
    ON_SESSION(rayloom_view_create, session, &view_desc, &view);
    rayloom_stream_desc stream_desc = RAYLOOM_STREAM_DESC_INIT;
    stream_desc.listen = "127.0.0.1:0";
    rayloom_stream *stream = NULL;
    ON_SESSION(rayloom_stream_start, session, &stream_desc, &stream);
    if (hits) goto others;
    ON_SESSION(rayloom_view_set_mode, view, RAYLOOM_VIEW_MODE_REMOTE);
    ON_SESSION(rayloom_view_set_overlay, view, RAYLOOM_OVERLAY_TILES);
    rayloom_view_requirements_info requirements = RAYLOOM_VIEW_REQUIREMENTS_INFO_INIT;
    ON_SESSION(rayloom_view_requirements, view, &requirements);
    rayloom_view_stats_info stats = RAYLOOM_VIEW_STATS_INFO_INIT;
    ON_SESSION(rayloom_view_stats, view, &stats);
    char line[64];
    ON_SESSION(rayloom_view_stats_text, view, sizeof line, line, NULL);
    rayloom_frame *frame = NULL;
    ON_SESSION(rayloom_frame_begin, view, &frame_desc, &frame);
    if (!hits) {
      rayloom_output *output = NULL;
      ON_SESSION(rayloom_frame_submit, frame, NULL, 0);
      ALWAYS(rayloom_frame_discard, NULL);
      if (!hits) ON_SESSION(rayloom_view_acquire, view, 0, UINT64_C(60000000000), &output);
      if (!hits) {
        rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
        ON_SESSION(rayloom_output_describe, output, &info);
        ALWAYS(rayloom_output_release, output);
      }
    }
    ON_SESSION(rayloom_stream_address, stream, sizeof line, line, NULL);
    rayloom_input_event events[2];
    uint32_t count;
    ON_SESSION(rayloom_stream_poll_input, stream, 2, events, &count);
    static const uint8_t pixels[16 * 16 * 4];
    rayloom_image_desc image = RAYLOOM_IMAGE_DESC_INIT;
    image.pixels = pixels;
    image.row_pitch = 64;
    image.width = image.height = 16;
    ON_SESSION(rayloom_stream_submit_image, stream, &image, 1);
    ON_SESSION(rayloom_stream_send_message, stream, "hello");
    rayloom_stream_stats_info stream_stats = RAYLOOM_STREAM_STATS_INFO_INIT;
    ON_SESSION(rayloom_stream_stats, stream, &stream_stats);
    rayloom_event event = RAYLOOM_EVENT_INIT;
    ON_SESSION(rayloom_session_poll_event, session, &event);
    uint64_t now;
    ON_SESSION(rayloom_session_now, session, &now);
    ALWAYS(rayloom_stream_destroy, stream);
    ALWAYS(rayloom_view_destroy, view);
    ALWAYS(rayloom_scene_destroy, scene);
  }
others:
  /* Whatever happened: the first session ends, and another one works unless creating or asking it is what panics. */
  if (session) ALWAYS(rayloom_session_destroy, session);
  if (strcmp(target, "rayloom_session_create") != 0 && strcmp(target, "rayloom_session_now") != 0) {
    rayloom_session *other = create("another session");
    uint64_t now;
    if (!other || rayloom_session_now(other, &now) != RAYLOOM_OK) fail("another session", 0);
    rayloom_result result = rayloom_session_destroy(other);
    if (result != (strcmp(target, "rayloom_session_destroy") == 0 ? RAYLOOM_PANIC : RAYLOOM_OK)) fail("its end", result);
  }
  if (hits != 1) {
    fprintf(stderr, "%s was called %d times\n", target, hits);
    return 3;
  }
  return 0;
}
