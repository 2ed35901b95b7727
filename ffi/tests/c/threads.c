/* Every function that may be called from any thread, called from four at once, on one session: each call answers one of the
 * results that its order allows, and nothing breaks. */
#include <rayloom.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 300 };

static rayloom_session *session;
static rayloom_scene *scene;
static rayloom_view *view;

/* Ends the program where a call answers neither of the two. */
static rayloom_result either(const char *call, rayloom_result got, rayloom_result a, rayloom_result b) {
  if (got == a || got == b) return got;
  printf("%s gave %d: %s\n", call, (int)got, rayloom_last_error());
  exit(1);
}
#define EITHER(call, a, b) either(#call, (call), (a), (b))

static void *begin(void *unused) {
  uint64_t revision = 0;
  EITHER(rayloom_scene_commit(scene, &revision), RAYLOOM_OK, RAYLOOM_OK);
  for (uint64_t id = 1; id <= ROUNDS; id++) {
    rayloom_frame_desc desc = RAYLOOM_FRAME_DESC_INIT;
    desc.frame_id = id; desc.revision = revision;
    while (EITHER(rayloom_frame_begin(view, &desc, NULL), RAYLOOM_OK, RAYLOOM_BUSY) == RAYLOOM_BUSY) {
      rayloom_output *output = NULL;
      if (EITHER(rayloom_view_acquire(view, 0, 1000000, &output), RAYLOOM_OK, RAYLOOM_NOT_READY) == RAYLOOM_OK)
        EITHER(rayloom_output_release(output), RAYLOOM_OK, RAYLOOM_OK);
    }
  }
  return unused;
}

static void *look(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    rayloom_output *output = NULL;
    if (EITHER(rayloom_view_acquire(view, 0, 1000000, &output), RAYLOOM_OK, RAYLOOM_NOT_READY) == RAYLOOM_OK) {
      rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
      EITHER(rayloom_output_describe(output, &info), RAYLOOM_OK, RAYLOOM_OK);
      if (info.width != 32 || !info.color) { printf("an output of another view\n"); exit(1); }
      EITHER(rayloom_output_release(output), RAYLOOM_OK, RAYLOOM_OK);
      EITHER(rayloom_output_release(output), RAYLOOM_INVALID_HANDLE, RAYLOOM_INVALID_HANDLE);
    }
  }
  return unused;
}

static void *edit(void *unused) {
  const float identity[16] = RAYLOOM_MATRIX_IDENTITY;
  for (int i = 0; i < ROUNDS; i++) {
    rayloom_material_desc material = RAYLOOM_MATERIAL_DESC_INIT;
    uint32_t id = 0;
    EITHER(rayloom_material_create(scene, &material, &id), RAYLOOM_OK, RAYLOOM_OK);
    const uint32_t nobody = 12345;
    EITHER(rayloom_scene_set_transforms(scene, 1, &nobody, identity), RAYLOOM_INVALID_ARGUMENT, RAYLOOM_INVALID_ARGUMENT);
    uint64_t revision = 0;
    EITHER(rayloom_scene_commit(scene, &revision), RAYLOOM_OK, RAYLOOM_OK);
  }
  return unused;
}

static void *come_and_go(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    rayloom_event event = RAYLOOM_EVENT_INIT;
    EITHER(rayloom_session_poll_event(session, &event), RAYLOOM_OK, RAYLOOM_NOT_READY);
    rayloom_view_desc desc = RAYLOOM_VIEW_DESC_INIT;
    desc.width = 8; desc.height = 8;
    rayloom_view *passing = NULL;
    EITHER(rayloom_view_create(session, &desc, &passing), RAYLOOM_OK, RAYLOOM_OK);
    EITHER(rayloom_view_set_overlay(passing, RAYLOOM_OVERLAY_TILES), RAYLOOM_OK, RAYLOOM_OK);
    EITHER(rayloom_view_destroy(passing), RAYLOOM_OK, RAYLOOM_OK);
    EITHER(rayloom_view_destroy(passing), RAYLOOM_INVALID_HANDLE, RAYLOOM_INVALID_HANDLE);
  }
  return unused;
}

/* Two begin frames of one view at a time, against the rule: each is begun or refused, never both or neither. */
static rayloom_view *contested;
static unsigned begun;
static void *contend(void *unused) {
  rayloom_frame_desc desc = RAYLOOM_FRAME_DESC_INIT;
  desc.revision = 1;
  for (desc.frame_id = 1; desc.frame_id <= ROUNDS; desc.frame_id++) {
    rayloom_result result = rayloom_frame_begin(contested, &desc, NULL);
    if (result != RAYLOOM_INVALID_ARGUMENT) EITHER(result, RAYLOOM_OK, RAYLOOM_BUSY);
    if (result == RAYLOOM_OK) __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
    /* Acquired here, released by whoever comes first. */
    static rayloom_output *passed;
    rayloom_output *output = NULL;
    if (rayloom_view_acquire(contested, 0, 0, &output) != RAYLOOM_OK) continue;
    output = __atomic_exchange_n(&passed, output, __ATOMIC_ACQ_REL);
    if (output) EITHER(rayloom_output_release(output), RAYLOOM_OK, RAYLOOM_OK);
  }
  return unused;
}

int main(void) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody; session_desc.peer_count = 1; session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  EITHER(rayloom_session_create(&session_desc, &session), RAYLOOM_OK, RAYLOOM_OK);
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  EITHER(rayloom_scene_create(session, &scene_desc, &scene), RAYLOOM_OK, RAYLOOM_OK);
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = 32; view_desc.height = 16;
  EITHER(rayloom_view_create(session, &view_desc, &view), RAYLOOM_OK, RAYLOOM_OK);
  uint64_t revision = 0;
  EITHER(rayloom_scene_commit(scene, &revision), RAYLOOM_OK, RAYLOOM_OK);
  EITHER(rayloom_view_create(session, &view_desc, &contested), RAYLOOM_OK, RAYLOOM_OK);
  pthread_t rivals[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&rivals[i], NULL, contend, NULL)) return 1;
  for (int i = 0; i < 2; i++) pthread_join(rivals[i], NULL);
  if (!begun || begun > ROUNDS) { printf("%u frames of %d ids were begun\n", begun, ROUNDS); return 1; }
  void *(*const work[])(void *) = { begin, look, edit, come_and_go };
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    if (pthread_create(&threads[i], NULL, work[i], NULL)) return 1;
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  EITHER(rayloom_session_destroy(session), RAYLOOM_OK, RAYLOOM_OK);
  EITHER(rayloom_view_destroy(view), RAYLOOM_INVALID_HANDLE, RAYLOOM_INVALID_HANDLE);
  return 0;
}
