/* Destroying joins every thread: after a session with all that it may have the process has the threads that it had before.
 * An argument is where a capture may be written. */
#include <dirent.h>
#include <rayloom.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define OK(call) do { \
    rayloom_result got = (call); \
    if (got != RAYLOOM_OK) { printf("line %d: %s gave %d: %s\n", __LINE__, #call, (int)got, rayloom_last_error()); exit(1); } \
  } while (0)

static int threads(void) {
  DIR *folder = opendir("/proc/self/task");
  if (!folder) exit(2);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

static void live(const char *capture) {
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = &nobody;
  session_desc.peer_count = 1;
  session_desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  session_desc.worker_threads = 3;
  session_desc.flags = RAYLOOM_SESSION_VALIDATE;
  session_desc.capture_path = capture;
  int before = threads();
  rayloom_session *session = NULL;
  OK(rayloom_session_create(&session_desc, &session));
  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene = NULL;
  OK(rayloom_scene_create(session, &scene_desc, &scene));
  OK(rayloom_scene_load_city(scene, 20000, 1));
  rayloom_frame_desc frame_desc = RAYLOOM_FRAME_DESC_INIT;
  OK(rayloom_scene_commit(scene, &frame_desc.revision));
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = 64;
  view_desc.height = 36;
  rayloom_view *view = NULL;
  OK(rayloom_view_create(session, &view_desc, &view));
  OK(rayloom_frame_begin(view, &frame_desc, NULL));
  rayloom_output *output = NULL;
  OK(rayloom_view_acquire(view, 0, UINT64_C(60000000000), &output));
  rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
  OK(rayloom_output_describe(output, &info));
  rayloom_stream_desc stream_desc = RAYLOOM_STREAM_DESC_INIT;
  stream_desc.listen = "127.0.0.1:0";
  rayloom_stream *stream = NULL;
  OK(rayloom_stream_start(session, &stream_desc, &stream));
  rayloom_image_desc image = RAYLOOM_IMAGE_DESC_INIT;
  image.pixels = info.color;
  image.row_pitch = info.color_row_pitch;
  image.width = info.width;
  image.height = info.height;
  OK(rayloom_stream_submit_image(stream, &image, 1));
  /* In flight when the session ends. */
  frame_desc.frame_id = 1;
  OK(rayloom_frame_begin(view, &frame_desc, NULL));
  int most = threads();
  if (most < before + 8) { printf("only %d threads: are they counted?\n", most - before); exit(1); }
  OK(rayloom_session_destroy(session));
  /* A joined thread may be in the kernel's list for a moment longer; one that was not joined stays. */
  for (long looks = 0; threads() != before; looks++) {
    if (looks > 1000000) { printf("%d threads outlive the session\n", threads() - before); exit(1); }
    sched_yield();
  }
}

int main(int argc, char **argv) {
  for (int i = 0; i < 4; i++) live(i % 2 && argc > 1 ? argv[1] : NULL);
  return 0;
}
