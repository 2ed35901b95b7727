// An engine in small with rayloom.hpp: renders frames of a glTF file, whose first animation plays at ten frames a second, or of
// the generated city to PNG files.
// Build: c++ -std=c++17 -O2 -Iinclude samples/cpp/main.cpp -o render -Ltarget/debug -lrayloom -Wl,-rpath,target/debug
// Run:   ./render FOLDER FRAMES [SCENE.glb] [PEER_URL TOKEN [PIN]]; without a peer the embedded one traces.
#include "../c/png.h"
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <rayloom.hpp>

namespace {

constexpr std::uint32_t width = 320, height = 180;
constexpr std::uint64_t second_ns = 1000000000;

void render(const std::string &folder, std::uint64_t frames, const std::string &file, const char *url,
            const char *token, const char *pin) {
  rayloom_peer_address peer = RAYLOOM_PEER_ADDRESS_INIT;
  peer.url = url;
  peer.token = token;
  peer.tls_pin = pin;
  rayloom_session_desc session_desc = RAYLOOM_SESSION_DESC_INIT;
  session_desc.flags = RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU;
  session_desc.peers = &peer;
  session_desc.peer_count = url ? 1 : 0;
  rayloom::Session session(session_desc);

  rayloom::Scene scene = session.create_scene();
  if (file.empty()) scene.load_city(20000, 1);
  else scene.load_gltf(file);
  rayloom_frame_desc frame = RAYLOOM_FRAME_DESC_INIT;
  frame.revision = scene.commit();
  frame.camera = scene.default_camera(float(width) / float(height));

  rayloom_view_desc view_desc = RAYLOOM_VIEW_DESC_INIT;
  view_desc.width = width;
  view_desc.height = height;
  rayloom_layer layers[4];
  for (std::uint32_t i = 0; i < 4; i++) {
    layers[i] = RAYLOOM_LAYER_INIT;
    layers[i].kind = i;
    layers[i].deadline_ns = 5 * second_ns; // Files are not in a hurry: rather late than unfinished.
  }
  view_desc.layers = layers;
  view_desc.layer_count = 4;
  rayloom::View view = session.create_view(view_desc);

  while (scene.progress().peers_ready == 0) {
    view.acquire(0, second_ns / 20); // Nothing was begun, so nothing comes: it only waits.
    rayloom_event event = RAYLOOM_EVENT_INIT;
    while (session.poll_event(event)) std::cout << event.text << std::endl;
    if (scene.progress().stage == RAYLOOM_SCENE_FAILED) throw std::runtime_error("no peer can trace the scene");
  }
  const bool animated = scene.animation_count() > 0;
  const double duration = animated ? scene.animation(0).duration_s : 0;
  for (std::uint64_t written = 0; written < frames;) {
    frame.frame_id++;
    if (animated) {
      scene.pose_animation(0, duration > 0 ? std::fmod(double(written) * 0.1, duration) : 0);
      frame.revision = scene.commit();
    }
    while (!view.begin(frame)) view.acquire(frame.frame_id - 1, second_ns);
    rayloom::Output output = view.acquire(frame.frame_id, 10 * second_ns);
    if (!output || output.info().fresh < 1) continue;
    rayloom_output_info info = output.info();
    write_png(folder.c_str(), &info);
    written++;
    std::cout << view.stats_text() << std::endl;
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    std::cerr << "usage: render FOLDER FRAMES [SCENE.glb] [PEER_URL TOKEN [PIN]]\n";
    return 2;
  }
  try {
    const char *url = argc > 4 ? argv[4] : nullptr, *token = argc > 5 ? argv[5] : nullptr;
    const char *pin = argc > 6 ? argv[6] : nullptr;
    render(argv[1], std::strtoull(argv[2], nullptr, 10), argc > 3 ? argv[3] : "", url, token, pin);
  } catch (const std::exception &error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
