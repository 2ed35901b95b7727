/* Faults that valgrind and the sanitizers must find. They show that those who watch are awake. The program's own: a text that
 * is lost, and memory that is read beyond its end. The library's, by what it is given: it writes beyond the end (`short`),
 * and reads what was released (`freed`). */
#include <rayloom.h>
#include <stdlib.h>
#include <string.h>

static int of_the_library(int freed) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.peers = &nobody;
  desc.peer_count = 1;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  if (rayloom_session_create(&desc, &session) != RAYLOOM_OK) return 2;
  if (freed) {
    rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
    rayloom_scene *scene = NULL;
    if (rayloom_scene_create(session, &scene_desc, &scene) != RAYLOOM_OK) return 2;
    const float identity[16] = RAYLOOM_MATRIX_IDENTITY;
    uint32_t *volatile ids = malloc(sizeof *ids);
    free(ids);
    /* Whatever is read: there is no such instance. */
    if (rayloom_scene_set_transforms(scene, 1, ids, identity) != RAYLOOM_INVALID_ARGUMENT) return 2;
  } else {
    void *volatile half = malloc(sizeof(uint64_t) / 2);
    if (rayloom_session_now(session, (uint64_t *)half) != RAYLOOM_OK) return 2;
    free(half);
  }
  return rayloom_session_destroy(session) != RAYLOOM_OK;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (!strcmp(argv[1], "leak")) {
    char *volatile lost = malloc(100);
    if (!lost) return 2;
    strcpy(lost, rayloom_version());
    lost = NULL;
    return 0;
  }
  if (!strcmp(argv[1], "short") || !strcmp(argv[1], "freed")) return of_the_library(!strcmp(argv[1], "freed"));
  rayloom_convention_desc *small = malloc(sizeof *small - 8);
  if (!small) return 2;
  memset(small, 0, sizeof *small - 8);
  small->struct_type = RAYLOOM_STRUCT_CONVENTION_DESC; small->struct_size = sizeof *small;
  rayloom_result result = rayloom_convention_init(RAYLOOM_CONVENTION_UNREAL, small);
  volatile uint32_t last = ((const uint32_t *)small)[sizeof *small / 4 - 1];
  free(small);
  return result != RAYLOOM_OK || last == 12345;
}
