/* An engine in small: moves a scene or plays its animation, has peers trace its frames, streams them to a page, obeys keys.
 * Build: cc -std=c11 -O2 -Iinclude samples/c/main.c -o engine -Ltarget/debug -lrayloom -lm -Wl,-rpath,target/debug
 * Keys in the page: W A S D Q E and the mouse move, the space bar pauses what moves, T draws tiles, costs, predictions,
 * errors in turn, 1 2 3 show the peers' picture, the local one, both's difference. */
#include "city.h"
#include "png.h"
#include <errno.h>
#include <signal.h>

enum { MAX_PEERS = 64, INPUTS = 32, PERIOD_NS = 1000000000 / 60 }; /* As a screen of 60 Hz paces an engine. */

static volatile sig_atomic_t stopped;
static void stop(int signal_number) { (void)signal_number; stopped = 1; }

typedef struct { /* What the command line says. */
  rayloom_peer_address peers[MAX_PEERS];
  uint32_t peer_count, width, height, triangles, embedded, mode, overlay;
  const char *token, *listen, *scene, *png, *capture, *timeline, *evidence;
  int half, paused;
  uint32_t denoise; /* A flag of the view. */
  uint32_t ahead;   /* Frames that are traced before they are begun. */
  uint32_t tracy;   /* A flag of the session. */
  uint32_t paced;   /* A flag of the view. */
  uint32_t animation; /* Of a scene from a file. */
  double second;      /* Where what moves begins. */
  uint64_t deadline_ns, frames;
} Options;

static const char usage[] =
  "engine [FLAG ...]: has peers trace a moving scene and streams the picture to a page\n"
  "  --peer URL            a peer's address; several times for several peers\n"
  "  --pin sha256:...      the certificate of the --peer before\n"
  "  --token TOKEN         the peers' token (better in the variable RAYLOOM_TOKEN)\n"
  "  --embedded WHEN       the peer inside: never, fallback (the rule) or always\n"
  "  --listen ADDRESS:PORT where the page is, 127.0.0.1:8080\n"
  "  --scene FILE          a .glb or .gltf instead of the generated city\n"
  "  --city N              triangles of that city, 200000\n"
  "  --animation N         which one of the file's plays, 0\n"
  "  --at SECONDS          the scene stands still as it is then\n"
  "  --size WxH            of the picture in pixels, 640x360\n"
  "  --deadline-ms MS      of all layers\n"
  "  --half                blurry layers at half resolution\n"
  "  --denoise[=HOW]       what is shown is filtered: cpu, gpu or open-image\n"
  "  --ahead N             frames that are traced before they are begun, 0 to 3\n"
  "  --paced               outputs come as steadily as frames begin\n"
  "  --view WHAT           remote, local or diff\n"
  "  --tiles               draws tiles over the picture\n"
  "  --frames N            ends after so many\n"
  "  --png FOLDER          writes each frame there\n"
  "  --capture FILE        for rayloom replay\n"
  "  --trace-out FILE      where the time went, for Perfetto\n"
  "  --tracy               and for Tracy\n"
  "  --evidence FOLDER     what proves that a peer lied\n";

static void refuse(const char *flag, const char *value, const char *why) {
  fprintf(stderr, "%s %s: %s (--help shows all flags)\n", flag, value, why);
  exit(2);
}

static uint32_t pick(const char *flag, const char *value, const char *a, const char *b, const char *c) {
  if (!strcmp(value, a)) return 0;
  if (!strcmp(value, b)) return 1;
  if (!strcmp(value, c)) return 2;
  fprintf(stderr, "%s %s: it may be %s, %s or %s\n", flag, value, a, b, c);
  exit(2);
}

/* The whole number at `text`, which ends where `end` is; what is behind that. */
static const char *read_number(const char *flag, const char *value, const char *text, char end, uint64_t most, uint64_t *number) {
  char *rest, why[64];
  errno = 0;
  *number = strtoull(text, &rest, 10);
  if (*text >= '0' && *text <= '9' && *rest == end && !errno && *number <= most) return rest + 1;
  const char *what = strcmp(flag, "--size") ? "a whole number" : "WxH, both";
  snprintf(why, sizeof why, "it must be %s up to %llu", what, (unsigned long long)most);
  refuse(flag, value, why);
  return NULL;
}

static uint64_t whole(const char *flag, const char *value, uint64_t most) {
  uint64_t number;
  read_number(flag, value, value, 0, most, &number);
  return number;
}

static double seconds_of(const char *flag, const char *value) {
  char *rest;
  double seconds = strtod(value, &rest);
  if (rest == value || *rest || !isfinite(seconds)) refuse(flag, value, "it must be a number of seconds");
  return seconds;
}

/* The value behind a flag; the end of the line and the next flag are none. */
static const char *value_of(int argc, char **argv, int i) {
  if (i + 1 < argc && strncmp(argv[i + 1], "--", 2)) return argv[i + 1];
  fprintf(stderr, "%s needs a value (--help shows all flags)\n", argv[i]);
  exit(2);
}

static Options parse(int argc, char **argv) {
  Options o = { .width = 640, .height = 360, .triangles = 200000, .embedded = 1, .listen = "127.0.0.1:8080" };
  static const char *const valued[] = { "--peer", "--pin", "--token", "--listen", "--scene", "--city", "--animation", "--at", "--size",
    "--deadline-ms", "--ahead", "--view", "--embedded", "--frames", "--png", "--capture", "--trace-out", "--evidence" };
  o.token = getenv("RAYLOOM_TOKEN"); /* A command line is visible to everyone on the machine. */
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = NULL;
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) { fputs(usage, stdout); exit(0); }
    if (!strcmp(name, "--half")) { o.half = 1; continue; }
    if (!strcmp(name, "--denoise") || !strcmp(name, "--denoise=cpu")) { o.denoise = RAYLOOM_VIEW_DENOISE; continue; }
    if (!strcmp(name, "--denoise=gpu")) { o.denoise = RAYLOOM_VIEW_DENOISE_GPU; continue; }
    if (!strcmp(name, "--denoise=open-image")) { o.denoise = RAYLOOM_VIEW_DENOISE_OPEN_IMAGE; continue; }
    if (!strncmp(name, "--denoise", 9)) { fprintf(stderr, "%s: it may be cpu, gpu or open-image\n", name); exit(2); }
    if (!strcmp(name, "--paced")) { o.paced = RAYLOOM_VIEW_PACED; continue; }
    if (!strcmp(name, "--tracy")) { o.tracy = RAYLOOM_SESSION_TRACY; continue; }
    if (!strcmp(name, "--tiles")) { o.overlay = RAYLOOM_OVERLAY_TILES; continue; }
    for (size_t v = 0; v < sizeof valued / sizeof *valued && !value; v++)
      if (!strcmp(name, valued[v])) value = value_of(argc, argv, i++);
    if (!value) { fprintf(stderr, "%s is not understood (--help shows all flags)\n", name); exit(2); }
    if (!strcmp(name, "--peer")) {
      if (o.peer_count == MAX_PEERS) refuse(name, value, "64 peers are the most");
      o.peers[o.peer_count++].url = value;
    } else if (!strcmp(name, "--pin")) {
      if (!o.peer_count) refuse(name, value, "it belongs behind its --peer");
      o.peers[o.peer_count - 1].tls_pin = value;
    } else if (!strcmp(name, "--size")) {
      uint64_t width, height;
      const char *behind = read_number(name, value, value, 'x', 16384, &width);
      read_number(name, value, behind, 0, 16384, &height);
      o.width = (uint32_t)width; o.height = (uint32_t)height;
    }
    else if (!strcmp(name, "--token")) o.token = value;
    else if (!strcmp(name, "--listen")) o.listen = value;
    else if (!strcmp(name, "--scene")) o.scene = value;
    else if (!strcmp(name, "--city")) o.triangles = (uint32_t)whole(name, value, UINT32_MAX);
    else if (!strcmp(name, "--animation")) o.animation = (uint32_t)whole(name, value, UINT32_MAX);
    else if (!strcmp(name, "--at")) { o.second = seconds_of(name, value); o.paused = 1; }
    else if (!strcmp(name, "--deadline-ms")) o.deadline_ns = whole(name, value, 60000) * 1000000;
    else if (!strcmp(name, "--ahead")) o.ahead = (uint32_t)whole(name, value, UINT32_MAX);
    else if (!strcmp(name, "--view")) o.mode = pick(name, value, "remote", "local", "diff");
    else if (!strcmp(name, "--embedded")) o.embedded = pick(name, value, "never", "fallback", "always");
    else if (!strcmp(name, "--frames")) o.frames = whole(name, value, UINT64_MAX);
    else if (!strcmp(name, "--png")) o.png = value;
    else if (!strcmp(name, "--capture")) o.capture = value; /* For `rayloom replay`. */
    else if (!strcmp(name, "--trace-out")) o.timeline = value; /* For Perfetto. */
    else o.evidence = value; /* Of peers that lie. */
  }
  for (uint32_t i = 0; i < o.peer_count; i++) o.peers[i].token = o.token;
  return o;
}

typedef struct { float at[3], yaw, pitch; int held[6]; } Walker;

static void obey(rayloom_stream *stream, rayloom_view *view, Walker *walker, Options *o) {
  static const char *const keys[6] = { "KeyW", "KeyS", "KeyA", "KeyD", "KeyQ", "KeyE" };
  static rayloom_input_event events[INPUTS];
  uint32_t count = 0;
  check(rayloom_stream_poll_input(stream, INPUTS, events, &count));
  for (const rayloom_input_event *e = events; e < events + count; e++) {
    if (e->kind == RAYLOOM_INPUT_POINTER_MOVE) {
      walker->yaw -= e->dx * .0025f;
      walker->pitch = fmaxf(-1.5f, fminf(1.5f, walker->pitch - e->dy * .0025f));
    }
    if (e->kind != RAYLOOM_INPUT_KEY) continue;
    for (int k = 0; k < 6; k++) if (!strcmp(e->text, keys[k])) walker->held[k] = (int)e->down;
    if (e->down && !strcmp(e->text, "KeyT")) check(rayloom_view_set_overlay(view, o->overlay = (o->overlay + 1) % 5));
    if (e->down && !strcmp(e->text, "Space")) o->paused = !o->paused;
    if (e->down && !strncmp(e->text, "Digit", 5) && e->text[5] >= '1' && e->text[5] <= '3')
      check(rayloom_view_set_mode(view, (uint32_t)(e->text[5] - '1')));
  }
}

static void walk(Walker *walker, double seconds, rayloom_camera *camera) {
  float *m = camera->camera_to_world, step = (float)seconds * 12;
  const int *h = walker->held;
  for (int axis = 0; axis < 3; axis++)
    walker->at[axis] += step * ((float)(h[1] - h[0]) * m[8 + axis] + (float)(h[3] - h[2]) * m[axis]);
  walker->at[1] += step * (float)(h[5] - h[4]);
  pose(m, walker->at[0], walker->at[1], walker->at[2], walker->yaw, walker->pitch);
}

int main(int argc, char **argv) {
  Options o = parse(argc, argv);
  if (o.png) make_folder(o.png);
  signal(SIGINT, stop); signal(SIGTERM, stop);
  setvbuf(stdout, NULL, _IOLBF, 0);

  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.peers = o.peers; session_desc.peer_count = o.peer_count;
  session_desc.embedded = o.embedded; session_desc.flags = RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU | o.tracy;
  session_desc.capture_path = o.capture; session_desc.timeline_path = o.timeline; session_desc.evidence_dir = o.evidence;
  rayloom_session *session; check(rayloom_session_create(&session_desc, &session));
  rayloom_stream_desc stream_desc = RAYLOOM_STREAM_DESC_INIT;
  stream_desc.listen = o.listen; stream_desc.width = o.width; stream_desc.height = o.height; stream_desc.max_fps = 60;
  rayloom_stream *stream; check(rayloom_stream_start(session, &stream_desc, &stream));
  char text[1024];
  check(rayloom_stream_address(stream, sizeof text, text, NULL));
  printf("page on http://%s/\n", text);

  rayloom_scene_desc scene_desc = RAYLOOM_SCENE_DESC_INIT;
  rayloom_scene *scene; check(rayloom_scene_create(session, &scene_desc, &scene));
  City city; uint64_t revision; uint32_t animations = 0;
  rayloom_animation_info playing = RAYLOOM_ANIMATION_INFO_INIT;
  printf("scene: loading\n");
  if (o.scene) check(rayloom_scene_load_gltf(scene, o.scene));
  else { check(rayloom_scene_load_city(scene, o.triangles, 1)); find_movable(scene, &city); }
  check(rayloom_scene_animation_count(scene, &animations));
  if (animations) check(rayloom_scene_describe_animation(scene, o.animation, &playing));
  check(rayloom_scene_commit(scene, &revision));

  rayloom_layer layers[4];
  for (uint32_t kind = 0; kind < 4; kind++) {
    int blurry = kind == RAYLOOM_LAYER_SPECULAR || kind == RAYLOOM_LAYER_INDIRECT;
    uint32_t tier = kind == RAYLOOM_LAYER_INDIRECT ? RAYLOOM_TIER_T3 : RAYLOOM_TIER_T2;
    layers[kind] = (rayloom_layer){ kind, tier, o.deadline_ns, 1, o.half && blurry ? 2 : 1, 0, 0 };
  }
  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.flags = o.denoise | o.paced; view_desc.frames_ahead = o.ahead;
  view_desc.width = o.width; view_desc.height = o.height; view_desc.layers = layers; view_desc.layer_count = 4;
  rayloom_view *view; check(rayloom_view_create(session, &view_desc, &view));
  check(rayloom_view_set_mode(view, o.mode)); check(rayloom_view_set_overlay(view, o.overlay));

  rayloom_frame_desc frame = RAYLOOM_FRAME_DESC_INIT;
  check(rayloom_scene_default_camera(scene, (float)o.width / (float)o.height, &frame.camera));
  const float *m = frame.camera.camera_to_world;
  Walker walker = { { m[12], m[13], m[14] }, atan2f(m[8], m[10]), asinf(-m[9]), { 0 } };
  uint64_t now = 0, next = 0, before = 0, told = 0, shown = 0, count = 0;
  int ready = 0, posed = 0; /* A peer has the scene; the next frame's state is committed. */
  float way = -1;           /* How far to the peers the scene was when that was told last. */
  static const char *const stages[] = { "waiting for a peer", "uploading", "building", "ready", "failed" };
  rayloom_scene_progress_info progress = RAYLOOM_SCENE_PROGRESS_INFO_INIT;
  while (!stopped && (!o.frames || count < o.frames)) {
    rayloom_event event = RAYLOOM_EVENT_INIT;
    while (rayloom_session_poll_event(session, &event) == RAYLOOM_OK) printf("%s\n", event.text);
    obey(stream, view, &walker, &o);
    check(rayloom_scene_progress(scene, &progress));
    ready = ready || progress.peers_ready > 0;
    if (progress.stage == RAYLOOM_SCENE_READY && progress.peers_preparing) { /* One has it, others don't yet. */
      int uploading = progress.bytes_had < progress.bytes_total;
      progress.stage = uploading ? RAYLOOM_SCENE_UPLOADING : RAYLOOM_SCENE_BUILDING;
      progress.fraction = uploading ? (float)progress.bytes_had / (float)progress.bytes_total : 0;
    }
    check(rayloom_session_now(session, &now));
    float gone = (float)progress.stage + .99f * progress.fraction;
    if (gone != way || now - told > 1000000000) {
      if (gone != way || !ready)
        snprintf(text, sizeof text, "scene: %s %.0f %%", stages[progress.stage], (double)progress.fraction * 100);
      else check(rayloom_view_stats_text(view, sizeof text, text, NULL));
      told = now; way = gone;
      printf("%s\n", text); check(rayloom_stream_send_message(stream, text));
    }
    if (!posed && now >= next) { /* The next frame's state, once, however often it has to wait for its turn. */
      double seconds = before ? (double)(now - before) * 1e-9 : 0, length = (double)playing.duration_s;
      before = now;
      next = next + PERIOD_NS > now ? next + PERIOD_NS : now;
      walk(&walker, seconds, &frame.camera);
      if (!o.paused) o.second += seconds;
      if (!o.scene) animate(scene, &city, o.second);
      if (animations) check(rayloom_scene_pose_animation(scene, o.animation, length > 0 ? fmod(o.second, length) : 0));
      check(rayloom_scene_commit(scene, &frame.revision));
      frame.frame_id++; posed = 1;
    }
    if (posed && ready) {
      rayloom_result begun = rayloom_frame_begin(view, &frame, NULL);
      check(begun);
      posed = begun == RAYLOOM_BUSY;
    }
    uint64_t wait = posed ? 100000000 : next > now ? next - now : 0;
    rayloom_output *output;
    if (rayloom_view_acquire(view, shown + 1, wait, &output) != RAYLOOM_OK) continue;
    rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
    check(rayloom_output_describe(output, &info));
    shown = info.frame_id;
    rayloom_image_desc image = RAYLOOM_IMAGE_DESC_INIT;
    image.pixels = info.color; image.row_pitch = info.color_row_pitch;
    image.width = info.width; image.height = info.height;
    check(rayloom_session_now(session, &now));
    check(rayloom_stream_submit_image(stream, &image, now));
    if (o.png) write_png(o.png, &info);
    count++;
    rayloom_output_release(output);
  }
  check(rayloom_session_destroy(session));
  return 0;
}
