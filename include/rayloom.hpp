// Rayloom for C++11 and later: owners that destroy what they own, errors as exceptions. Everything else is rayloom.h.
#ifndef RAYLOOM_HPP
#define RAYLOOM_HPP

#include "rayloom.h"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace rayloom {

/// A call that failed: its result and the text of rayloom_last_error().
class Error : public std::runtime_error {
public:
  Error(rayloom_result result, const char *text) : std::runtime_error(text), result_(result) {}
  rayloom_result result() const noexcept { return result_; }

private:
  rayloom_result result_;
};

/// Throws where a call failed; gives RAYLOOM_OK, RAYLOOM_NOT_READY or RAYLOOM_BUSY back.
inline rayloom_result check(rayloom_result result) {
  if (result < RAYLOOM_OK) throw Error(result, rayloom_last_error());
  return result;
}

/// Owns a handle: moves, does not copy, destroys it at the end. A session must outlive what belongs to it.
template <typename T, rayloom_result (*Destroy)(T *)> class Owner {
public:
  Owner() noexcept = default;
  explicit Owner(T *handle) noexcept : handle_(handle) {}
  Owner(Owner &&other) noexcept : handle_(other.release()) {}
  Owner &operator=(Owner &&other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Owner(const Owner &) = delete;
  Owner &operator=(const Owner &) = delete;
  ~Owner() { reset(); }

  /// The handle for the functions of rayloom.h.
  T *get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  /// Gives the handle up without destroying it.
  T *release() noexcept {
    T *handle = handle_;
    handle_ = nullptr;
    return handle;
  }
  void reset(T *handle = nullptr) noexcept {
    if (handle_) Destroy(handle_);
    handle_ = handle;
  }

private:
  T *handle_ = nullptr;
};

/// A finished frame; pointers of info() are valid as long as it lives.
class Output : public Owner<rayloom_output, rayloom_output_release> {
public:
  using Owner::Owner;
  rayloom_output_info info() const {
    rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT;
    check(rayloom_output_describe(get(), &info));
    return info;
  }
};

/// A view.
class View : public Owner<rayloom_view, rayloom_view_destroy> {
public:
  using Owner::Owner;
  /// Begins a frame in state mode; false while max_frames_in_flight are not finished.
  bool begin(const rayloom_frame_desc &desc) const { return check(rayloom_frame_begin(get(), &desc, nullptr)) == RAYLOOM_OK; }
  /// The newest finished frame from min_frame_id on; empty when there is none in time.
  Output acquire(std::uint64_t min_frame_id, std::uint64_t timeout_ns) const {
    rayloom_output *output = nullptr;
    check(rayloom_view_acquire(get(), min_frame_id, timeout_ns, &output));
    return Output(output);
  }
  void set_mode(std::uint32_t mode) const { check(rayloom_view_set_mode(get(), mode)); }
  void set_overlay(std::uint32_t overlay) const { check(rayloom_view_set_overlay(get(), overlay)); }
  std::string stats_text() const {
    char text[2048];
    check(rayloom_view_stats_text(get(), sizeof text, text, nullptr));
    return text;
  }
};

/// A scene.
class Scene : public Owner<rayloom_scene, rayloom_scene_destroy> {
public:
  using Owner::Owner;
  void load_gltf(const std::string &path) const { check(rayloom_scene_load_gltf(get(), path.c_str())); }
  void load_city(std::uint32_t triangles, std::uint64_t seed) const { check(rayloom_scene_load_city(get(), triangles, seed)); }
  std::uint32_t create_material(const rayloom_material_desc &desc) const { return create(rayloom_material_create, desc); }
  /// desc.next may be a rayloom_mesh_deformation_desc.
  std::uint32_t create_mesh(const rayloom_mesh_desc &desc) const { return create(rayloom_mesh_create, desc); }
  std::uint32_t create_instance(const rayloom_instance_desc &desc) const { return create(rayloom_instance_create, desc); }
  /// The palette of one instance: 16 floats a joint.
  void set_palette(std::uint32_t instance, std::uint32_t joint_count, const float *matrices) const {
    check(rayloom_scene_set_palettes(get(), 1, &instance, &joint_count, matrices));
  }
  void set_morph_weights(std::uint32_t instance, std::uint32_t weight_count, const float *weights) const {
    check(rayloom_scene_set_morph_weights(get(), 1, &instance, &weight_count, weights));
  }
  std::uint32_t animation_count() const {
    std::uint32_t count = 0;
    check(rayloom_scene_animation_count(get(), &count));
    return count;
  }
  rayloom_animation_info animation(std::uint32_t index) const {
    rayloom_animation_info info = RAYLOOM_ANIMATION_INFO_INIT;
    check(rayloom_scene_describe_animation(get(), index, &info));
    return info;
  }
  void pose_animation(std::uint32_t index, double time_s) const { check(rayloom_scene_pose_animation(get(), index, time_s)); }
  std::uint64_t commit() const {
    std::uint64_t revision = 0;
    check(rayloom_scene_commit(get(), &revision));
    return revision;
  }
  rayloom_camera default_camera(float aspect) const {
    rayloom_camera camera = RAYLOOM_CAMERA_INIT;
    check(rayloom_scene_default_camera(get(), aspect, &camera));
    return camera;
  }
  rayloom_scene_progress_info progress() const {
    rayloom_scene_progress_info progress = RAYLOOM_SCENE_PROGRESS_INFO_INIT;
    check(rayloom_scene_progress(get(), &progress));
    return progress;
  }

private:
  template <typename Desc>
  std::uint32_t create(rayloom_result (*function)(rayloom_scene *, const Desc *, std::uint32_t *), const Desc &desc) const {
    std::uint32_t id = 0;
    check(function(get(), &desc, &id));
    return id;
  }
};

/// A stream to browsers.
class Stream : public Owner<rayloom_stream, rayloom_stream_destroy> {
public:
  using Owner::Owner;
  void submit(const rayloom_image_desc &image, std::uint64_t time_ns) const {
    check(rayloom_stream_submit_image(get(), &image, time_ns));
  }
  void send_message(const std::string &text) const { check(rayloom_stream_send_message(get(), text.c_str())); }
};

/// A session; declare it before what belongs to it.
class Session : public Owner<rayloom_session, rayloom_session_destroy> {
public:
  Session() noexcept = default;
  explicit Session(const rayloom_session_desc &desc) {
    rayloom_session *session = nullptr;
    check(rayloom_session_create(&desc, &session));
    reset(session);
  }
  Scene create_scene() const {
    rayloom_scene_desc desc = RAYLOOM_SCENE_DESC_INIT;
    rayloom_scene *scene = nullptr;
    check(rayloom_scene_create(get(), &desc, &scene));
    return Scene(scene);
  }
  View create_view(const rayloom_view_desc &desc) const {
    rayloom_view *view = nullptr;
    check(rayloom_view_create(get(), &desc, &view));
    return View(view);
  }
  Stream start_stream(const rayloom_stream_desc &desc) const {
    rayloom_stream *stream = nullptr;
    check(rayloom_stream_start(get(), &desc, &stream));
    return Stream(stream);
  }
  /// Takes the oldest event; false when there is none.
  bool poll_event(rayloom_event &event) const { return check(rayloom_session_poll_event(get(), &event)) == RAYLOOM_OK; }
};

} // namespace rayloom

#endif
