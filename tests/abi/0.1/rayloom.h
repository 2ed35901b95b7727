/*
 * Rayloom: ray-traced frames split over several remote GPUs, given back in time.
 *
 *   rayloom_session_desc sd = RAYLOOM_SESSION_DESC_INIT;              // fill in sd.peers, sd.peer_count
 *   rayloom_session *session; rayloom_scene *scene; rayloom_view *view; rayloom_output *output; uint64_t revision;
 *   if (rayloom_session_create(&sd, &session) != RAYLOOM_OK) { puts(rayloom_last_error()); exit(1); }
 *   rayloom_scene_desc cd = RAYLOOM_SCENE_DESC_INIT; rayloom_scene_create(session, &cd, &scene);
 *   if (rayloom_scene_load_gltf(scene, "scene.glb") != RAYLOOM_OK) { puts(rayloom_last_error()); exit(1); }
 *   rayloom_scene_commit(scene, &revision);
 *   rayloom_view_desc vd = RAYLOOM_VIEW_DESC_INIT;   vd.width = 640; vd.height = 360;
 *   rayloom_view_create(session, &vd, &view);
 *   for (uint64_t id = 1;; id++) {
 *     rayloom_frame_desc fd = RAYLOOM_FRAME_DESC_INIT; fd.frame_id = id; fd.revision = revision;
 *     rayloom_scene_default_camera(scene, 640.0f / 360.0f, &fd.camera); rayloom_frame_begin(view, &fd, NULL);
 *     if (rayloom_view_acquire(view, id, 1000000000, &output) != RAYLOOM_OK) continue;
 *     rayloom_output_info info = RAYLOOM_OUTPUT_INFO_INIT; rayloom_output_describe(output, &info); // show info.color
 *     rayloom_output_release(output); }
 *
 * Structs begin with struct_type, struct_size, next: start from their _INIT macro. Descriptors are copied during the call.
 * Handles are opaque; a handle that is NULL, stale or of another kind is RAYLOOM_INVALID_HANDLE. Texts are UTF-8 with NUL.
 * Matrices are 16 floats in the convention of their scene or view; glTF's: column by column, the translation in 12, 13, 14.
 * Each function's comment ends with its thread rule. Generated from ffi/src: edit there. Guide: docs/c-guide.md.
 */


#ifndef RAYLOOM_H
#define RAYLOOM_H

#include <stddef.h>
#include <stdint.h>

/* Values to start descriptors from: type and size set, everything else empty or its usual value. */
#define RAYLOOM_MATRIX_IDENTITY { 1, 0, 0, 0,  0, 1, 0, 0,  0, 0, 1, 0,  0, 0, 0, 1 }
#define RAYLOOM_CAMERA_INIT { RAYLOOM_MATRIX_IDENTITY, 0.9f, 0, { 0, 0 }, { 0, 0 } }
#define RAYLOOM_TEXTURE_SLOT_INIT { RAYLOOM_NONE, 0, { 0, 0 }, { 1, 1 } }
#define RAYLOOM_LAYER_INIT { RAYLOOM_LAYER_DIRECT, RAYLOOM_TIER_T2, 0, 1, 1, 0, 0 }
#define RAYLOOM_PEER_ADDRESS_INIT { NULL, NULL, NULL }
#define RAYLOOM_SESSION_DESC_INIT { RAYLOOM_STRUCT_SESSION_DESC, sizeof(rayloom_session_desc), NULL, RAYLOOM_HEADER_VERSION, \
  RAYLOOM_EMBEDDED_FALLBACK, NULL, 0, 0, NULL, 2, 2, NULL, NULL, 0, 0, NULL, NULL, 0, 0 }
#define RAYLOOM_EVENT_INIT { RAYLOOM_STRUCT_EVENT, sizeof(rayloom_event), NULL, 0, 0, 0, 0, { 0 } }
/* glTF's; rayloom_convention_init fills in others. */
#define RAYLOOM_CONVENTION_DESC_INIT { RAYLOOM_STRUCT_CONVENTION_DESC, sizeof(rayloom_convention_desc), NULL, RAYLOOM_UP_Y, \
  RAYLOOM_HANDEDNESS_RIGHT, RAYLOOM_CAMERA_BACK_Z, 1, RAYLOOM_MATRIX_COLUMN_MAJOR, RAYLOOM_VECTOR_COLUMN, \
  RAYLOOM_WINDING_COUNTER_CLOCKWISE, RAYLOOM_UV_TOP_LEFT, RAYLOOM_NORMAL_MAP_GREEN_UP, RAYLOOM_NORMAL_WORLD, \
  RAYLOOM_NORMAL_SIGNED, RAYLOOM_DEPTH_LINEAR, 0.1f, 0, RAYLOOM_MOTION_PLAIN, RAYLOOM_MOTION_PIXELS, \
  RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT, RAYLOOM_MOTION_Y_DOWN, RAYLOOM_MOTION_JITTER_EXCLUDED, \
  RAYLOOM_MOTION_CAMERA_AND_OBJECTS, -65504.0f, 0, 1, RAYLOOM_ROUGHNESS, 1, 1, 0 }
#define RAYLOOM_VIEW_DESC_INIT { RAYLOOM_STRUCT_VIEW_DESC, sizeof(rayloom_view_desc), NULL, RAYLOOM_CONVENTION_GLTF, 0, 0, 0, \
  NULL, 0, 24, 0, 1, 2, RAYLOOM_FORMAT_RGBA8_SRGB, 0, 2000 }
#define RAYLOOM_VIEW_REQUIREMENTS_INFO_INIT { RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO, sizeof(rayloom_view_requirements_info), NULL, 0, 0 }
#define RAYLOOM_STAGE_TIMES_INIT { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define RAYLOOM_VIEW_STATS_INFO_INIT { RAYLOOM_STRUCT_VIEW_STATS_INFO, sizeof(rayloom_view_stats_info), NULL, 0, 0, 0, 0, 0, 0, 0, \
  RAYLOOM_STAGE_TIMES_INIT, 0, 0, 0, 0, RAYLOOM_CAMERA_MODEL_HOLD, 0, 0, 0, 0, 0 }
#define RAYLOOM_FRAME_DESC_INIT { RAYLOOM_STRUCT_FRAME_DESC, sizeof(rayloom_frame_desc), NULL, 0, 0, 0, { 0, 0, 0 }, \
  RAYLOOM_CAMERA_INIT, NULL, 1, 1, RAYLOOM_TONE_MAP_ACES, 0, 0, 0, NULL, NULL }
#define RAYLOOM_PLANE_DESC_INIT { RAYLOOM_STRUCT_PLANE_DESC, sizeof(rayloom_plane_desc), NULL, RAYLOOM_PLANE_DEPTH, \
  RAYLOOM_FORMAT_R32_FLOAT, RAYLOOM_LIFETIME_COPY, RAYLOOM_MEMORY_CPU, NULL, 0, 0, 0, 0, 0, 0 }
#define RAYLOOM_OUTPUT_INFO_INIT { RAYLOOM_STRUCT_OUTPUT_INFO, sizeof(rayloom_output_info), NULL, 0, 0, 0, 0, NULL, 0, \
  RAYLOOM_CAMERA_INIT, 0, 0, NULL, NULL, 0, 0, 0, 1, RAYLOOM_STAGE_TIMES_INIT, { 0 } }
#define RAYLOOM_SCENE_DESC_INIT { RAYLOOM_STRUCT_SCENE_DESC, sizeof(rayloom_scene_desc), NULL, RAYLOOM_CONVENTION_GLTF, 0 }
#define RAYLOOM_ENVIRONMENT_DESC_INIT { RAYLOOM_STRUCT_ENVIRONMENT_DESC, sizeof(rayloom_environment_desc), NULL, \
  { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 }, 0 }
#define RAYLOOM_SCENE_PROGRESS_INFO_INIT { RAYLOOM_STRUCT_SCENE_PROGRESS_INFO, sizeof(rayloom_scene_progress_info), NULL, \
  0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define RAYLOOM_ANIMATION_INFO_INIT { RAYLOOM_STRUCT_ANIMATION_INFO, sizeof(rayloom_animation_info), NULL, { 0 }, 0, 0 }
#define RAYLOOM_TEXTURE_DESC_INIT { RAYLOOM_STRUCT_TEXTURE_DESC, sizeof(rayloom_texture_desc), NULL, 0, RAYLOOM_TEXTURE_RGBA8, \
  0, 0, 0, NULL, 0 }
#define RAYLOOM_MATERIAL_DESC_INIT { RAYLOOM_STRUCT_MATERIAL_DESC, sizeof(rayloom_material_desc), NULL, 0, { 1, 1, 1, 1 }, \
  { 0, 0, 0 }, 0, 1, 1, RAYLOOM_ALPHA_OPAQUE, 0.5f, 0, 0, 1.5f, 0, 0, { 1, 1, 1 }, \
  RAYLOOM_TEXTURE_SLOT_INIT, RAYLOOM_TEXTURE_SLOT_INIT, RAYLOOM_TEXTURE_SLOT_INIT, RAYLOOM_TEXTURE_SLOT_INIT, \
  RAYLOOM_TEXTURE_SLOT_INIT, RAYLOOM_TEXTURE_SLOT_INIT }
#define RAYLOOM_MESH_DESC_INIT { RAYLOOM_STRUCT_MESH_DESC, sizeof(rayloom_mesh_desc), NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, \
  0, 0, 0, 0 }
#define RAYLOOM_MORPH_TARGET_INIT { NULL, NULL, NULL }
#define RAYLOOM_MESH_DEFORMATION_DESC_INIT { RAYLOOM_STRUCT_MESH_DEFORMATION_DESC, sizeof(rayloom_mesh_deformation_desc), NULL, \
  NULL, NULL, NULL, 0, 0 }
#define RAYLOOM_INSTANCE_DESC_INIT { RAYLOOM_STRUCT_INSTANCE_DESC, sizeof(rayloom_instance_desc), NULL, 0, 0, 0, \
  RAYLOOM_MATRIX_IDENTITY }
#define RAYLOOM_LIGHT_DESC_INIT { RAYLOOM_STRUCT_LIGHT_DESC, sizeof(rayloom_light_desc), NULL, 0, RAYLOOM_LIGHT_POINT, 0, \
  { 1, 1, 1 }, { 0, 0, 0 }, { 0, -1, 0 }, 0, 0, 0.7853982f }
#define RAYLOOM_STREAM_DESC_INIT { RAYLOOM_STRUCT_STREAM_DESC, sizeof(rayloom_stream_desc), NULL, NULL, NULL, NULL, 0, 8, 1280, 720, \
  6000000, 30 }
#define RAYLOOM_IMAGE_DESC_INIT { RAYLOOM_STRUCT_IMAGE_DESC, sizeof(rayloom_image_desc), NULL, NULL, 0, 0, 0 }
#define RAYLOOM_STREAM_STATS_INFO_INIT { RAYLOOM_STRUCT_STREAM_STATS_INFO, sizeof(rayloom_stream_stats_info), NULL, \
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }


/**
 * Version of this header: major << 16 | minor << 8 | patch. RAYLOOM_SESSION_DESC_INIT passes it to the library.
 */
#define RAYLOOM_HEADER_VERSION 256

/**
 * Something failed and the engine should know.
 */
#define RAYLOOM_LOG_ERROR 1

/**
 * Something is not as it should be, work goes on.
 */
#define RAYLOOM_LOG_WARN 2

/**
 * What happens: connections, scenes.
 */
#define RAYLOOM_LOG_INFO 3

/**
 * Details for finding out why.
 */
#define RAYLOOM_LOG_DEBUG 4

/**
 * Everything.
 */
#define RAYLOOM_LOG_TRACE 5

/**
 * glTF's convention: right-handed, +Y up, metres; a camera looks along its own -Z with +X to the right; triangles are
 * counter-clockwise from in front; texture coordinates begin at the top left; normal maps have green up.
 */
#define RAYLOOM_CONVENTION_GLTF 1

/**
 * Unreal Engine 5's: left-handed, +Z up, centimetres, row vectors; a camera looks along its own +X with +Y to the right;
 * normal maps have green down; reversed infinite depth (near plane at 10 cm), encoded velocity.
 */
#define RAYLOOM_CONVENTION_UNREAL 2

/**
 * Unity's: left-handed, +Y up, metres; a camera looks along its own +Z; triangles are clockwise from in front; texture
 * coordinates begin at the bottom left; reversed depth, motion in texture coordinates since the previous frame.
 */
#define RAYLOOM_CONVENTION_UNITY 3

/**
 * The one that the rayloom_convention_desc at `next` describes.
 */
#define RAYLOOM_CONVENTION_EXPLICIT 4

/**
 * +Y is up.
 */
#define RAYLOOM_UP_Y 0

/**
 * +Z is up.
 */
#define RAYLOOM_UP_Z 1

/**
 * Right-handed axes: glTF, OpenGL.
 */
#define RAYLOOM_HANDEDNESS_RIGHT 0

/**
 * Left-handed axes: Unreal, Unity, Direct3D.
 */
#define RAYLOOM_HANDEDNESS_LEFT 1

/**
 * A camera's right is +X, its up +Y, it looks along -Z: glTF, OpenGL, Unity's cameraToWorldMatrix.
 */
#define RAYLOOM_CAMERA_BACK_Z 0

/**
 * A camera's right is +X, its up +Y, it looks along +Z: Direct3D, Unity's transforms.
 */
#define RAYLOOM_CAMERA_FORWARD_Z 1

/**
 * A camera's right is +Y, its up +Z, it looks along +X: Unreal.
 */
#define RAYLOOM_CAMERA_FORWARD_X 2

/**
 * A camera's right is +X, its up -Y, it looks along +Z: OpenCV.
 */
#define RAYLOOM_CAMERA_FORWARD_Z_DOWN_Y 3

/**
 * Matrices are stored column by column.
 */
#define RAYLOOM_MATRIX_COLUMN_MAJOR 0

/**
 * Matrices are stored row by row.
 */
#define RAYLOOM_MATRIX_ROW_MAJOR 1

/**
 * matrix * vector: the translation is in the last column.
 */
#define RAYLOOM_VECTOR_COLUMN 0

/**
 * vector * matrix: the translation is in the last row.
 */
#define RAYLOOM_VECTOR_ROW 1

/**
 * Triangles that face the viewer are counter-clockwise.
 */
#define RAYLOOM_WINDING_COUNTER_CLOCKWISE 0

/**
 * Triangles that face the viewer are clockwise.
 */
#define RAYLOOM_WINDING_CLOCKWISE 1

/**
 * Texture coordinates begin at the top left, where the first row of a texture is.
 */
#define RAYLOOM_UV_TOP_LEFT 0

/**
 * Texture coordinates begin at the bottom left; textures are given from their top row on nevertheless.
 */
#define RAYLOOM_UV_BOTTOM_LEFT 1

/**
 * Green of normal maps, and bitangents, point up the texture ("OpenGL").
 */
#define RAYLOOM_NORMAL_MAP_GREEN_UP 0

/**
 * Green of normal maps, and bitangents, point down the texture ("DirectX").
 */
#define RAYLOOM_NORMAL_MAP_GREEN_DOWN 1

/**
 * Normals of the G-buffer are in world space.
 */
#define RAYLOOM_NORMAL_WORLD 0

/**
 * Normals of the G-buffer are in camera space, with the camera axes named here.
 */
#define RAYLOOM_NORMAL_VIEW 1

/**
 * x, y, z in a signed format.
 */
#define RAYLOOM_NORMAL_SIGNED 0

/**
 * x, y, z * 0.5 + 0.5.
 */
#define RAYLOOM_NORMAL_BIASED 1

/**
 * Octahedral in the first two channels; formats of two channels always are.
 */
#define RAYLOOM_NORMAL_OCTAHEDRAL 2

/**
 * Distance along the view axis in units; not finite or not above 0 is sky.
 */
#define RAYLOOM_DEPTH_LINEAR 0

/**
 * 0 at the near plane, 1 at the far plane.
 */
#define RAYLOOM_DEPTH_FORWARD 1

/**
 * 1 at the near plane, 0 at the far plane.
 */
#define RAYLOOM_DEPTH_REVERSED 2

/**
 * 0 at the near plane, 1 at infinity.
 */
#define RAYLOOM_DEPTH_FORWARD_INFINITE 3

/**
 * 1 at the near plane, 0 at infinity.
 */
#define RAYLOOM_DEPTH_REVERSED_INFINITE 4

/**
 * -1 at the near plane, 1 at the far plane (OpenGL's device coordinates; its depth buffers are RAYLOOM_DEPTH_FORWARD).
 */
#define RAYLOOM_DEPTH_FORWARD_SIGNED 5

/**
 * Motion as it is.
 */
#define RAYLOOM_MOTION_PLAIN 0

/**
 * Motion * 0.5 + 0.5.
 */
#define RAYLOOM_MOTION_BIASED 1

/**
 * Unreal Engine 4's velocity: v * 0.2495 + 32767 / 65535.
 */
#define RAYLOOM_MOTION_UNREAL4 2

/**
 * Unreal Engine 5's velocity: that of sign(v) * sqrt(2 |v|).
 */
#define RAYLOOM_MOTION_UNREAL5 3

/**
 * Motion in pixels.
 */
#define RAYLOOM_MOTION_PIXELS 0

/**
 * Motion in shares of the view's size.
 */
#define RAYLOOM_MOTION_UV 1

/**
 * Motion in shares of half of the view's size.
 */
#define RAYLOOM_MOTION_NDC 2

/**
 * Where a surface was minus where it is.
 */
#define RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT 0

/**
 * Where a surface is minus where it was.
 */
#define RAYLOOM_MOTION_CURRENT_MINUS_PREVIOUS 1

/**
 * Positive motion is down the screen.
 */
#define RAYLOOM_MOTION_Y_DOWN 0

/**
 * Positive motion is up the screen.
 */
#define RAYLOOM_MOTION_Y_UP 1

/**
 * The cameras' jitter is not in motion.
 */
#define RAYLOOM_MOTION_JITTER_EXCLUDED 0

/**
 * Motion is between jittered positions.
 */
#define RAYLOOM_MOTION_JITTER_INCLUDED 1

/**
 * All motion on the screen.
 */
#define RAYLOOM_MOTION_CAMERA_AND_OBJECTS 0

/**
 * Motion without the camera's.
 */
#define RAYLOOM_MOTION_OBJECTS_ONLY 1

/**
 * The channel holds roughness.
 */
#define RAYLOOM_ROUGHNESS 0

/**
 * The channel holds 1 - roughness.
 */
#define RAYLOOM_SMOOTHNESS 1

/**
 * struct_type of rayloom_convention_desc.
 */
#define RAYLOOM_STRUCT_CONVENTION_DESC 20

/**
 * The embedded peer is not used: without peers frames are reprojected history.
 */
#define RAYLOOM_EMBEDDED_NEVER 0

/**
 * The embedded peer (inside this process) traces while no other can.
 */
#define RAYLOOM_EMBEDDED_FALLBACK 1

/**
 * The embedded peer is one of the peers.
 */
#define RAYLOOM_EMBEDDED_ALWAYS 2

/**
 * The embedded peer may be a CPU device.
 */
#define RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU 1

/**
 * Layers come back bit for bit instead of as RGB9E5: for tests and captures, costs bandwidth.
 */
#define RAYLOOM_SESSION_LOSSLESS 2

/**
 * The planes of views with RAYLOOM_VIEW_GBUFFER are compared with what a peer traces, at most once a second and view, and
 * what a wrong convention explains is told as RAYLOOM_EVENT_CONVENTION. For development: such a frame's planes are copied,
 * and a peer traces the view once more.
 */
#define RAYLOOM_SESSION_VALIDATE 4

/**
 * Shows where each frame's time went in Tracy, which connects to this machine's port 8086 (TRACY_PORT names another one): it listens
 * from the first such session to the process's end. RAYLOOM_UNSUPPORTED but in builds with the feature "tracy".
 */
#define RAYLOOM_SESSION_TRACY 8

/**
 * Number of the embedded peer in events and tiles.
 */
#define RAYLOOM_EMBEDDED_PEER 4294967295

/**
 * In events: it is about no peer.
 */
#define RAYLOOM_NO_PEER 4294967294

/**
 * struct_type of rayloom_session_desc.
 */
#define RAYLOOM_STRUCT_SESSION_DESC 1

/**
 * struct_type of rayloom_event.
 */
#define RAYLOOM_STRUCT_EVENT 2

/**
 * A peer is connected; text says what it is.
 */
#define RAYLOOM_EVENT_PEER_CONNECTED 1

/**
 * A peer can't be reached (told once an outage; the session keeps trying); text says why and what to do.
 */
#define RAYLOOM_EVENT_PEER_UNREACHABLE 2

/**
 * A connected peer is gone; the session keeps trying to get it back.
 */
#define RAYLOOM_EVENT_PEER_LOST 3

/**
 * A peer missed a deadline and gets little work until it holds.
 */
#define RAYLOOM_EVENT_PEER_SUSPECT 4

/**
 * A suspect peer holds its deadlines again.
 */
#define RAYLOOM_EVENT_PEER_RECOVERED 5

/**
 * A peer can trace a scene revision.
 */
#define RAYLOOM_EVENT_SCENE_READY 6

/**
 * A peer can't trace a scene revision; text says why. The last ready one stays.
 */
#define RAYLOOM_EVENT_SCENE_FAILED 7

/**
 * The lent planes of a frame were read: the engine may write to their memory again. Ids of frames differ between views
 * where the engine wants to tell them apart here. Poll every frame: at most 256 events wait.
 */
#define RAYLOOM_EVENT_PLANES_RELEASED 8

/**
 * With RAYLOOM_SESSION_VALIDATE: a plane of a frame is not what a peer traces of it; text says on how many pixels, and which
 * field of the convention to set to what. Told once for each different finding of a view.
 */
#define RAYLOOM_EVENT_CONVENTION 9

/**
 * The session's capture ends before the session: text says why. All before can be replayed.
 */
#define RAYLOOM_EVENT_CAPTURE_FAILED 10

/**
 * With RAYLOOM_SESSION_VALIDATE: the planes of a frame are what a peer traces of it. Told once a view.
 */
#define RAYLOOM_EVENT_CONVENTION_AGREES 11

/**
 * Peers hold the scene of a view, and none is what the view asks for; told once until that changes.
 */
#define RAYLOOM_EVENT_UNTRACEABLE 12

/**
 * A peer did not trace what it was asked for: nothing of it is used any more in this session. Text: what it did, and where what
 * proves it was written.
 */
#define RAYLOOM_EVENT_PEER_CAUGHT 13

/**
 * A peer will go: it finishes what it has and gets nothing more.
 */
#define RAYLOOM_EVENT_PEER_LEAVING 14

/**
 * The session's timeline ends before the session: text says why. All before can be read.
 */
#define RAYLOOM_EVENT_TIMELINE_FAILED 15

/**
 * Something that this header does not know; text says it.
 */
#define RAYLOOM_EVENT_OTHER 4294967295

/**
 * Bytes of an event's text with its NUL.
 */
#define RAYLOOM_EVENT_TEXT_SIZE 512

/**
 * Diffuse light from lights and sun with shadow rays, divided by the albedo.
 */
#define RAYLOOM_LAYER_DIRECT 0

/**
 * Specular highlights and reflections, divided by the specular albedo.
 */
#define RAYLOOM_LAYER_SPECULAR 1

/**
 * One-bounce diffuse global illumination and sky light, divided by the albedo.
 */
#define RAYLOOM_LAYER_INDIRECT 2

/**
 * Emissive surfaces and the sky, not divided.
 */
#define RAYLOOM_LAYER_UNLIT 3

/**
 * All light of the pixel by unbiased paths, not divided: the picture itself, for tier 4. It is asked for alone.
 */
#define RAYLOOM_LAYER_PATH 4

/**
 * Input, physics, gameplay: never leaves the machine, so no layer may have it.
 */
#define RAYLOOM_TIER_T1 1

/**
 * 16 to 50 ms: shadows, simple reflections.
 */
#define RAYLOOM_TIER_T2 2

/**
 * 50 to 100 ms: global illumination, complex reflections.
 */
#define RAYLOOM_TIER_T3 3

/**
 * Above 100 ms: path tracing, offline denoising.
 */
#define RAYLOOM_TIER_T4 4

/**
 * Outputs carry layers, primary-hit planes and ages beside the composed picture; costs a copy of each.
 */
#define RAYLOOM_VIEW_OUTPUT_PLANES 1

/**
 * G-buffer mode: frames begin when the planes of the engine's own raster are submitted, and peers light what it saw.
 */
#define RAYLOOM_VIEW_GBUFFER 2

/**
 * Merged light is smoothed where noise is left, for pictures of one sample a pixel; history is not. Outliers are cut, which
 * makes the picture a little too dark: RAYLOOM_OUTPUT_DENOISED says so. Costs about 0.4 us a pixel of worker threads: for small
 * views, or where there is no GPU (RAYLOOM_VIEW_DENOISE_GPU).
 */
#define RAYLOOM_VIEW_DENOISE 4

/**
 * As RAYLOOM_VIEW_DENOISE, on the GPU that the embedded peer would take instead of worker threads; RAYLOOM_UNSUPPORTED where
 * there is none. The first view that asks for it opens the device, which takes a while.
 */
#define RAYLOOM_VIEW_DENOISE_GPU 8

/**
 * As RAYLOOM_VIEW_DENOISE, by Intel Open Image Denoise, RAYLOOM_LAYER_PATH as well: better, and slower. Its library is loaded at
 * run time, where it is installed or from where the environment's RAYLOOM_OIDN says; RAYLOOM_UNSUPPORTED without.
 */
#define RAYLOOM_VIEW_DENOISE_OPEN_IMAGE 16

/**
 * Peers must be GPUs to trace the view. Where no peer is what a view asks for, RAYLOOM_EVENT_UNTRACEABLE says so and its frames are
 * history.
 */
#define RAYLOOM_VIEW_GPU_PEERS 32

/**
 * Peers must be GPUs with ray tracing units that are in use.
 */
#define RAYLOOM_VIEW_RAY_TRACING_PEERS 64

/**
 * Peers must be trusted (trusted_peers of rayloom_session_desc; the embedded one is): for assets that nobody else may have.
 */
#define RAYLOOM_VIEW_TRUSTED_PEERS 128

/**
 * Where a frame is predicted to be late, fewer samples are traced, down to one a pixel.
 */
#define RAYLOOM_VIEW_LOWER_SAMPLES 256

/**
 * As RAYLOOM_VIEW_LOWER_SAMPLES, and then layers at full resolution are traced at half of it.
 */
#define RAYLOOM_VIEW_LOWER_RESOLUTION 512

/**
 * Outputs come at the intervals at which their frames were begun: each is held until what 19 of 20 frames of late took is over since its
 * begin, and comes at once where it took longer. An engine that waits for one output before it begins the next frame gains nothing.
 */
#define RAYLOOM_VIEW_PACED 1024

/**
 * What the peers traced.
 */
#define RAYLOOM_VIEW_MODE_REMOTE 0

/**
 * What the embedded peer traced.
 */
#define RAYLOOM_VIEW_MODE_LOCAL 1

/**
 * The difference of both, amplified.
 */
#define RAYLOOM_VIEW_MODE_DIFFERENCE 2

/**
 * The camera stays where it is.
 */
#define RAYLOOM_CAMERA_MODEL_HOLD 0

/**
 * It goes and turns on at the speeds of its last step.
 */
#define RAYLOOM_CAMERA_MODEL_VELOCITY 1

/**
 * As RAYLOOM_CAMERA_MODEL_VELOCITY, but the direction in which it goes turns with it.
 */
#define RAYLOOM_CAMERA_MODEL_ARC 2

/**
 * Its speeds go on changing as they did in its last two steps, a little less so.
 */
#define RAYLOOM_CAMERA_MODEL_ACCELERATION 3

/**
 * It goes on along a line through its last six places.
 */
#define RAYLOOM_CAMERA_MODEL_FIT 4

/**
 * It goes where the engine says: predicted_camera of rayloom_frame_desc.
 */
#define RAYLOOM_CAMERA_MODEL_ENGINE 5

/**
 * Nothing is drawn over the picture.
 */
#define RAYLOOM_OVERLAY_OFF 0

/**
 * Borders of the tiles, who traced each, and in how many milliseconds.
 */
#define RAYLOOM_OVERLAY_TILES 1

/**
 * What blocks cost: peers' times relative to the fastest, divided by the rays that they counted; dear is bright.
 */
#define RAYLOOM_OVERLAY_COST 2

/**
 * What blocks were predicted to cost, on the same scale, and each tile's predicted milliseconds.
 */
#define RAYLOOM_OVERLAY_PREDICTION 3

/**
 * How much longer (red) or shorter (blue) than predicted each tile took, and by how many percent.
 */
#define RAYLOOM_OVERLAY_ERROR 4

/**
 * struct_type of rayloom_view_desc.
 */
#define RAYLOOM_STRUCT_VIEW_DESC 3

/**
 * struct_type of rayloom_view_requirements_info.
 */
#define RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO 4

/**
 * struct_type of rayloom_view_stats_info.
 */
#define RAYLOOM_STRUCT_VIEW_STATS_INFO 5

/**
 * Nothing of the frame before is to be seen in this one: a cut, a teleport.
 */
#define RAYLOOM_FRAME_CUT 1

/**
 * Light as it is: formats of whole numbers clamp it to 0..1, RAYLOOM_FORMAT_RGBA16_FLOAT keeps it.
 */
#define RAYLOOM_TONE_MAP_LINEAR 0

/**
 * A fit of the ACES filmic curve.
 */
#define RAYLOOM_TONE_MAP_ACES 1

/**
 * AgX without a look: bright colours turn white instead of clipping.
 */
#define RAYLOOM_TONE_MAP_AGX 2

/**
 * struct_type of rayloom_frame_desc.
 */
#define RAYLOOM_STRUCT_FRAME_DESC 6

/**
 * Normals of the triangles; submitted only. Without them the shading normals serve.
 */
#define RAYLOOM_PLANE_GEOMETRIC_NORMAL 22

/**
 * Light that surfaces send out themselves; submitted only.
 */
#define RAYLOOM_PLANE_EMISSIVE 23

/**
 * One float; depth buffers of 32 bits too.
 */
#define RAYLOOM_FORMAT_R32_FLOAT 0

/**
 * One half float.
 */
#define RAYLOOM_FORMAT_R16_FLOAT 1

/**
 * 16 bits that mean 0 to 1; depth buffers of 16 bits too.
 */
#define RAYLOOM_FORMAT_R16_UNORM 2

/**
 * Depth of 24 bits that mean 0 to 1, in the lower bits; the upper 8 (stencil) are ignored.
 */
#define RAYLOOM_FORMAT_D24_UNORM_S8 3

/**
 * Two bytes that mean 0 to 1.
 */
#define RAYLOOM_FORMAT_RG8_UNORM 4

/**
 * Two bytes that mean -1 to 1.
 */
#define RAYLOOM_FORMAT_RG8_SNORM 5

/**
 * Two half floats.
 */
#define RAYLOOM_FORMAT_RG16_FLOAT 6

/**
 * Two times 16 bits that mean 0 to 1.
 */
#define RAYLOOM_FORMAT_RG16_UNORM 7

/**
 * Two times 16 bits that mean -1 to 1.
 */
#define RAYLOOM_FORMAT_RG16_SNORM 8

/**
 * Two floats.
 */
#define RAYLOOM_FORMAT_RG32_FLOAT 9

/**
 * Four bytes that mean 0 to 1.
 */
#define RAYLOOM_FORMAT_RGBA8_UNORM 10

/**
 * Four bytes, the first three sRGB-encoded.
 */
#define RAYLOOM_FORMAT_RGBA8_SRGB 11

/**
 * Four bytes that mean 0 to 1, blue first.
 */
#define RAYLOOM_FORMAT_BGRA8_UNORM 12

/**
 * Four bytes, the first three sRGB-encoded, blue first.
 */
#define RAYLOOM_FORMAT_BGRA8_SRGB 13

/**
 * Four bytes that mean -1 to 1.
 */
#define RAYLOOM_FORMAT_RGBA8_SNORM 14

/**
 * 10, 10, 10 and 2 bits that mean 0 to 1, red lowest.
 */
#define RAYLOOM_FORMAT_RGB10A2_UNORM 15

/**
 * Floats of 11, 11 and 10 bits without sign, red lowest.
 */
#define RAYLOOM_FORMAT_R11G11B10_FLOAT 16

/**
 * 9-bit mantissas with a shared exponent of 5 bits, red lowest.
 */
#define RAYLOOM_FORMAT_RGB9E5 17

/**
 * Four half floats.
 */
#define RAYLOOM_FORMAT_RGBA16_FLOAT 18

/**
 * Four times 16 bits that mean 0 to 1.
 */
#define RAYLOOM_FORMAT_RGBA16_UNORM 19

/**
 * Four times 16 bits that mean -1 to 1.
 */
#define RAYLOOM_FORMAT_RGBA16_SNORM 20

/**
 * Three floats.
 */
#define RAYLOOM_FORMAT_RGB32_FLOAT 21

/**
 * Four floats.
 */
#define RAYLOOM_FORMAT_RGBA32_FLOAT 22

/**
 * A whole number of 32 bits.
 */
#define RAYLOOM_FORMAT_R32_UINT 23

/**
 * A whole number of 16 bits.
 */
#define RAYLOOM_FORMAT_R16_UINT 24

/**
 * A whole number of 8 bits.
 */
#define RAYLOOM_FORMAT_R8_UINT 25

/**
 * The plane is copied during the call: one pass over its bytes on the calling thread, and memory for them.
 */
#define RAYLOOM_LIFETIME_COPY 0

/**
 * The plane stays readable and unwritten until RAYLOOM_EVENT_PLANES_RELEASED of its frame; nothing is copied.
 */
#define RAYLOOM_LIFETIME_BORROW 1

/**
 * Memory that the CPU reads at full speed: a readback buffer in cached memory, not one behind a bus.
 */
#define RAYLOOM_MEMORY_CPU 0

/**
 * struct_type of rayloom_plane_desc.
 */
#define RAYLOOM_STRUCT_PLANE_DESC 7

/**
 * Layer of diffuse direct light: 4 half floats a pixel, scene-linear RGB, alpha 1 on surfaces and 0 on sky.
 */
#define RAYLOOM_PLANE_LAYER_DIRECT 0

/**
 * Layer of specular light: 4 half floats a pixel, RGB, alpha = hit distance in metres (65504 = sky).
 */
#define RAYLOOM_PLANE_LAYER_SPECULAR 1

/**
 * Layer of indirect diffuse light: 4 half floats a pixel, RGB, alpha = hit distance in metres.
 */
#define RAYLOOM_PLANE_LAYER_INDIRECT 2

/**
 * Layer of emissive surfaces and sky: 4 half floats a pixel, RGB, alpha 1 on surfaces and 0 on sky.
 */
#define RAYLOOM_PLANE_LAYER_UNLIT 3

/**
 * Layer of all light by paths: 4 half floats a pixel, RGB not divided, alpha = share of samples that met a surface.
 */
#define RAYLOOM_PLANE_LAYER_PATH 4

/**
 * float: planar distance along the view axis in metres, infinity on sky.
 */
#define RAYLOOM_PLANE_DEPTH 16

/**
 * uint32_t: octahedral shading normal in world space, two 16-bit snorm, x in the low half.
 */
#define RAYLOOM_PLANE_NORMAL 17

/**
 * uint32_t: base colour, R in the lowest byte, sRGB-coded; alpha in the highest.
 */
#define RAYLOOM_PLANE_BASE_COLOR 18

/**
 * uint32_t: roughness in the lowest byte, then metalness, zero, flags (bit 0: hit by a primary ray).
 */
#define RAYLOOM_PLANE_MATERIAL 19

/**
 * uint32_t: two half floats: where the surface was in the frame before minus where it is, in pixels, +x right, +y down,
 * without jitter. 65504 both ways, out of any view: it was not seen then, and its tile is missing.
 */
#define RAYLOOM_PLANE_MOTION 20

/**
 * uint32_t: id of the instance + 1; 0 on sky.
 */
#define RAYLOOM_PLANE_INSTANCE_ID 21

/**
 * uint8_t: age of the pixel in frames; 0 was traced for this very frame, 255 never was.
 */
#define RAYLOOM_PLANE_AGE 32

/**
 * Layers and picture were filtered and outliers cut (RAYLOOM_VIEW_DENOISE): they are biased.
 */
#define RAYLOOM_OUTPUT_DENOISED 1

/**
 * struct_type of rayloom_output_info.
 */
#define RAYLOOM_STRUCT_OUTPUT_INFO 8

/**
 * struct_type of rayloom_scene_desc.
 */
#define RAYLOOM_STRUCT_SCENE_DESC 9

/**
 * struct_type of rayloom_environment_desc.
 */
#define RAYLOOM_STRUCT_ENVIRONMENT_DESC 10

/**
 * struct_type of rayloom_scene_progress_info.
 */
#define RAYLOOM_STRUCT_SCENE_PROGRESS_INFO 11

/**
 * Peers must be GPUs to have the scene. Nobody else is sent its assets, or anything of frames that show it; of each peer that may not have
 * it, RAYLOOM_EVENT_SCENE_FAILED tells once. So it does of peers with less memory than the scene needs.
 */
#define RAYLOOM_SCENE_GPU_PEERS 1

/**
 * Peers must be GPUs with ray tracing units that are in use to have the scene.
 */
#define RAYLOOM_SCENE_RAY_TRACING_PEERS 2

/**
 * Peers must be trusted (trusted_peers of rayloom_session_desc; the embedded one is) to have the scene.
 */
#define RAYLOOM_SCENE_TRUSTED_PEERS 4

/**
 * No peer has begun to prepare the scene.
 */
#define RAYLOOM_SCENE_WAITING 0

/**
 * The scene is on its way to the peers.
 */
#define RAYLOOM_SCENE_UPLOADING 1

/**
 * Peers build acceleration structures.
 */
#define RAYLOOM_SCENE_BUILDING 2

/**
 * A peer can trace the newest revision.
 */
#define RAYLOOM_SCENE_READY 3

/**
 * Every peer that tried failed; the session's events say why.
 */
#define RAYLOOM_SCENE_FAILED 4

/**
 * struct_type of rayloom_animation_info.
 */
#define RAYLOOM_STRUCT_ANIMATION_INFO 24

/**
 * Bytes of an animation's name with its NUL.
 */
#define RAYLOOM_ANIMATION_NAME_SIZE 64

/**
 * Rows from the top, R, G, B, A with 8 bits each, no padding.
 */
#define RAYLOOM_TEXTURE_RGBA8 1

/**
 * The bytes of a PNG or JPEG file, decoded on the peers.
 */
#define RAYLOOM_TEXTURE_FILE 2

/**
 * struct_type of rayloom_texture_desc.
 */
#define RAYLOOM_STRUCT_TEXTURE_DESC 12

/**
 * Alpha is ignored.
 */
#define RAYLOOM_ALPHA_OPAQUE 0

/**
 * Where alpha is below alpha_cutoff there is no surface.
 */
#define RAYLOOM_ALPHA_MASK 1

/**
 * Blended; for now opaque where alpha is 0.5 or above.
 */
#define RAYLOOM_ALPHA_BLEND 2

/**
 * Shaded from behind too.
 */
#define RAYLOOM_MATERIAL_DOUBLE_SIDED 1

/**
 * Instead of an id: none.
 */
#define RAYLOOM_NONE 4294967295

/**
 * struct_type of rayloom_material_desc.
 */
#define RAYLOOM_STRUCT_MATERIAL_DESC 13

/**
 * struct_type of rayloom_mesh_desc.
 */
#define RAYLOOM_STRUCT_MESH_DESC 14

/**
 * struct_type of rayloom_mesh_deformation_desc.
 */
#define RAYLOOM_STRUCT_MESH_DEFORMATION_DESC 23

/**
 * struct_type of rayloom_instance_desc.
 */
#define RAYLOOM_STRUCT_INSTANCE_DESC 15

/**
 * Infinitely far: color is irradiance on a surface that faces it, in W/m2.
 */
#define RAYLOOM_LIGHT_DIRECTIONAL 0

/**
 * A point: color is radiant intensity in W/sr.
 */
#define RAYLOOM_LIGHT_POINT 1

/**
 * A cone about direction: color is radiant intensity on its axis in W/sr.
 */
#define RAYLOOM_LIGHT_SPOT 2

/**
 * struct_type of rayloom_light_desc.
 */
#define RAYLOOM_STRUCT_LIGHT_DESC 16

/**
 * struct_type of rayloom_stream_desc.
 */
#define RAYLOOM_STRUCT_STREAM_DESC 17

/**
 * struct_type of rayloom_image_desc.
 */
#define RAYLOOM_STRUCT_IMAGE_DESC 18

/**
 * struct_type of rayloom_stream_stats_info.
 */
#define RAYLOOM_STRUCT_STREAM_STATS_INFO 19

/**
 * A key went down or up: text is its place on the keyboard, like "KeyW" (code of W3C UI Events).
 */
#define RAYLOOM_INPUT_KEY 1

/**
 * The mouse moved by dx, dy CSS pixels.
 */
#define RAYLOOM_INPUT_POINTER_MOVE 2

/**
 * A mouse button went down or up.
 */
#define RAYLOOM_INPUT_POINTER_BUTTON 3

/**
 * The wheel turned by dx, dy CSS pixels.
 */
#define RAYLOOM_INPUT_WHEEL 4

/**
 * A free message of the page.
 */
#define RAYLOOM_INPUT_TEXT 5

/**
 * Something that this header does not know.
 */
#define RAYLOOM_INPUT_OTHER 4294967295

/**
 * Bytes of an input event's text with its NUL.
 */
#define RAYLOOM_INPUT_TEXT_SIZE 520

/**
 * A frame that was begun and waits for rayloom_frame_submit.
 */
typedef struct rayloom_frame rayloom_frame;

/**
 * A finished frame.
 */
typedef struct rayloom_output rayloom_output;

/**
 * A scene: textures, materials, meshes, instances, lights, sky. Changes gather until rayloom_scene_commit.
 */
typedef struct rayloom_scene rayloom_scene;

/**
 * A connection to peers, with scenes, views and streams.
 */
typedef struct rayloom_session rayloom_session;

/**
 * A picture that browsers watch by WebRTC (WHEP), with a page at "/".
 */
typedef struct rayloom_stream rayloom_stream;

/**
 * A camera's picture of a scene: split screens, eyes and editor viewports are views of one session.
 */
typedef struct rayloom_view rayloom_view;

/**
 * What a call answers: RAYLOOM_OK, a positive "not now" or a negative error. Outputs are written only with RAYLOOM_OK.
 */
typedef int32_t rayloom_result;

/**
 * Takes a line of the log: the userdata given, the level (RAYLOOM_LOG_ERROR to _TRACE), the text (UTF-8, valid during the
 * call). Comes from any thread, also several at once; must not block, throw, or call a function of this library.
 */
typedef void (*rayloom_log_callback)(void *userdata, uint32_t level, const char *text);

/**
 * Every choice by itself: begin with rayloom_convention_init, change what differs, set `convention` of a scene's or
 * view's descriptor to RAYLOOM_CONVENTION_EXPLICIT and its `next` to this.
 */
typedef struct rayloom_convention_desc {
  /**
   * RAYLOOM_STRUCT_CONVENTION_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_convention_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * A RAYLOOM_UP_ value.
   */
  uint32_t up_axis;
  /**
   * A RAYLOOM_HANDEDNESS_ value.
   */
  uint32_t handedness;
  /**
   * A RAYLOOM_CAMERA_ value.
   */
  uint32_t camera_axes;
  /**
   * Metres in a unit of length, above 0.
   */
  float metres_per_unit;
  /**
   * A RAYLOOM_MATRIX_ value.
   */
  uint32_t matrix_storage;
  /**
   * A RAYLOOM_VECTOR_ value.
   */
  uint32_t vector_side;
  /**
   * A RAYLOOM_WINDING_ value.
   */
  uint32_t winding;
  /**
   * A RAYLOOM_UV_ value.
   */
  uint32_t uv_origin;
  /**
   * A RAYLOOM_NORMAL_MAP_GREEN_ value.
   */
  uint32_t normal_map_green;
  /**
   * RAYLOOM_NORMAL_WORLD or _VIEW.
   */
  uint32_t normal_space;
  /**
   * RAYLOOM_NORMAL_SIGNED, _BIASED or _OCTAHEDRAL.
   */
  uint32_t normal_encoding;
  /**
   * A RAYLOOM_DEPTH_ value.
   */
  uint32_t depth_encoding;
  /**
   * Distance of the near plane in units, above 0; unused by RAYLOOM_DEPTH_LINEAR.
   */
  float near_plane;
  /**
   * Distance of the far plane in units; 0 = infinite.
   */
  float far_plane;
  /**
   * RAYLOOM_MOTION_PLAIN, _BIASED, _UNREAL4 or _UNREAL5.
   */
  uint32_t motion_encoding;
  /**
   * RAYLOOM_MOTION_PIXELS, _UV or _NDC.
   */
  uint32_t motion_unit;
  /**
   * RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT or _CURRENT_MINUS_PREVIOUS.
   */
  uint32_t motion_direction;
  /**
   * RAYLOOM_MOTION_Y_DOWN or _UP.
   */
  uint32_t motion_y;
  /**
   * RAYLOOM_MOTION_JITTER_EXCLUDED or _INCLUDED.
   */
  uint32_t motion_jitter;
  /**
   * RAYLOOM_MOTION_CAMERA_AND_OBJECTS or _OBJECTS_ONLY.
   */
  uint32_t motion_content;
  /**
   * Raw value of both channels where no motion was written; one that motion never has (-65504) = it is always written.
   */
  float motion_unwritten;
  /**
   * Channel of the roughness/metalness plane that holds roughness: 0 to 3.
   */
  uint32_t roughness_channel;
  /**
   * Channel that holds metalness: 0 to 3.
   */
  uint32_t metalness_channel;
  /**
   * RAYLOOM_ROUGHNESS or RAYLOOM_SMOOTHNESS.
   */
  uint32_t roughness_kind;
  /**
   * Lights' colours times this are W/m2 and W/sr; 1 gives light back in the engine's own unit.
   */
  float light_scale;
  /**
   * Emissive colours times this are radiance in the same unit.
   */
  float emissive_scale;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_convention_desc;

/**
 * Where a peer is.
 */
typedef struct rayloom_peer_address {
  /**
   * "https://host:port" of its signalling; http on loopback only.
   */
  const char *url;
  /**
   * Its bearer token; NULL = none.
   */
  const char *token;
  /**
   * The only certificate to accept, whatever its names and dates: "sha256:" and 64 hexadecimal digits, SHA-256 of the
   * certificate in DER, as the peer prints it at its start. NULL = the web's authorities decide.
   */
  const char *tls_pin;
} rayloom_peer_address;

/**
 * What a session is made of.
 */
typedef struct rayloom_session_desc {
  /**
   * RAYLOOM_STRUCT_SESSION_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_session_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * RAYLOOM_HEADER_VERSION.
   */
  uint32_t header_version;
  /**
   * RAYLOOM_EMBEDDED_NEVER, _FALLBACK or _ALWAYS.
   */
  uint32_t embedded;
  /**
   * Peers to use, numbered by their place here; the session keeps connecting to all of them. At most 64.
   */
  const struct rayloom_peer_address *peers;
  /**
   * Number of peers.
   */
  uint32_t peer_count;
  /**
   * RAYLOOM_SESSION_ flags.
   */
  uint32_t flags;
  /**
   * Name or index of the embedded peer's device; NULL = the best.
   */
  const char *embedded_device;
  /**
   * Frames begun and not finished, per view: 1 to 8.
   */
  uint32_t max_frames_in_flight;
  /**
   * Threads for the network, and as many that merge a frame together: 1 to 64.
   */
  uint32_t worker_threads;
  /**
   * Writes all that decides pixels to this file (replaced if it is there), to be replayed by `rayloom replay FILE`; NULL =
   * no capture. Costs a copy of every plane and a hash of every frame.
   */
  const char *capture_path;
  /**
   * Folder in which the embedded peer keeps its compiled pipelines, made where it is not there; NULL = compiled at each
   * start.
   */
  const char *cache_dir;
  /**
   * Most bytes of GPU memory that the embedded peer's buffers may take together; 0 = what there is.
   */
  uint64_t memory_limit;
  /**
   * Bit i: peers[i] is trusted. It may trace views with RAYLOOM_VIEW_TRUSTED_PEERS, and what it traces is not checked.
   */
  uint64_t trusted_peers;
  /**
   * Folder in which what proves that a peer lied is written (RAYLOOM_EVENT_PEER_CAUGHT), made where it is not there; NULL =
   * nowhere. One that can't be written to is refused.
   */
  const char *evidence_dir;
  /**
   * Writes where each frame's time went to this file (replaced if it is there), as Perfetto and chrome://tracing read it; NULL = none.
   */
  const char *timeline_path;
  /**
   * Share of the tiles of other peers that are traced again by another one and compared, up to 1; 0 = 0.01, below 0 = none.
   */
  float verified_share;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_session_desc;

/**
 * Something that happened.
 */
typedef struct rayloom_event {
  /**
   * RAYLOOM_STRUCT_EVENT.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_event).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * A RAYLOOM_EVENT_ value.
   */
  uint32_t kind;
  /**
   * Place in the session's list of peers, RAYLOOM_EMBEDDED_PEER, or RAYLOOM_NO_PEER where it is about none.
   */
  uint32_t peer;
  /**
   * Scene revision, 0 where it is about none.
   */
  uint64_t revision;
  /**
   * Frame, 0 where it is about none.
   */
  uint64_t frame_id;
  /**
   * The event as one line for people, UTF-8, cut to fit.
   */
  char text[RAYLOOM_EVENT_TEXT_SIZE];
} rayloom_event;

/**
 * What to trace of one layer.
 */
typedef struct rayloom_layer {
  /**
   * A RAYLOOM_LAYER_ value; each at most once.
   */
  uint32_t kind;
  /**
   * RAYLOOM_TIER_T2, _T3 or _T4.
   */
  uint32_t tier;
  /**
   * Time from rayloom_frame_begin to when its result is late; 0 = the tier's (50, 100, 250 ms). 1 ms to 60 s.
   */
  uint64_t deadline_ns;
  /**
   * Samples a traced pixel: 1 to 64.
   */
  uint32_t samples;
  /**
   * One traced pixel per scale x scale block: 1 or 2.
   */
  uint32_t scale;
  /**
   * Surfaces after the camera's at which light is gathered, 1 to 64; 0 = 4. Walks end by chance once they can bring little
   * more. Direct light has none.
   */
  uint32_t bounces;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_layer;

/**
 * What a view is.
 */
typedef struct rayloom_view_desc {
  /**
   * RAYLOOM_STRUCT_VIEW_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_view_desc).
   */
  uint32_t struct_size;
  /**
   * NULL, or a rayloom_convention_desc with RAYLOOM_CONVENTION_EXPLICIT.
   */
  const void *next;
  /**
   * A RAYLOOM_CONVENTION_ value: what cameras and planes are in.
   */
  uint32_t convention;
  /**
   * Width of the picture in pixels: 1 to 16384.
   */
  uint32_t width;
  /**
   * Height of the picture in pixels: 1 to 16384.
   */
  uint32_t height;
  /**
   * RAYLOOM_VIEW_ flags.
   */
  uint32_t flags;
  /**
   * Layers to trace; without any all four at one sample a pixel.
   */
  const struct rayloom_layer *layers;
  /**
   * Number of layers.
   */
  uint32_t layer_count;
  /**
   * Frames of reprojected history that a pixel is averaged over: 0 (each frame stands alone) to 255.
   */
  uint32_t accumulation_frames;
  /**
   * Radius of the peers' filter in pixels: 0 to 8.
   */
  uint32_t filter_radius;
  /**
   * Tiles a peer, at least: 1 to 16.
   */
  uint32_t tiles_per_peer_min;
  /**
   * Tiles a peer, at most: tiles_per_peer_min to 16.
   */
  uint32_t tiles_per_peer_max;
  /**
   * What the composed picture's pixels are: RAYLOOM_FORMAT_RGBA8_SRGB (0 too), RAYLOOM_FORMAT_RGB10A2_UNORM (sRGB-coded) or
   * RAYLOOM_FORMAT_RGBA16_FLOAT (linear light).
   */
  uint32_t color_format;
  /**
   * How many frames ahead peers trace, from predicted cameras: 0 (not at all) to 3. It hides so many frames of network and tracing;
   * wrong predictions cost quality, never a frame. Not with RAYLOOM_VIEW_GBUFFER, nor with accumulation_frames 0; nothing is
   * predicted in captured sessions.
   */
  uint32_t frames_ahead;
  /**
   * How long the embedded peer may work for each frame on what nothing is known of, in microseconds, at most 1000000: what came into
   * view while its tile was missing is lit as its neighbours are, and by what that peer traces of it from the next frame on. Only where
   * it has nothing else to do. 0 = never. Nothing is in captured sessions, in replays and where two pictures are compared.
   */
  uint32_t fill_budget_us;
} rayloom_view_desc;

/**
 * Which planes rayloom_frame_submit needs and can use for the view's layers: bits 1 << RAYLOOM_PLANE_.
 */
typedef struct rayloom_view_requirements_info {
  /**
   * RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_view_requirements_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Planes without which the layers can't be traced.
   */
  uint64_t required_planes;
  /**
   * Planes that make results better.
   */
  uint64_t optional_planes;
} rayloom_view_requirements_info;

/**
 * Where a frame's time went, in milliseconds, along the way of the tile that came last.
 */
typedef struct rayloom_stage_times {
  /**
   * From begin until the session's thread took it up.
   */
  float submit_ms;
  /**
   * Cutting and assigning.
   */
  float plan_ms;
  /**
   * Coding and sending, until the peer had it.
   */
  float send_ms;
  /**
   * Waiting at the peer for its turn.
   */
  float queue_ms;
  /**
   * Camera and moved objects to the device.
   */
  float upload_ms;
  /**
   * Tracing and filtering.
   */
  float trace_ms;
  /**
   * Reading back and coding.
   */
  float encode_ms;
  /**
   * On the way back, until the last slice was decoded.
   */
  float return_ms;
  /**
   * Waiting for the frame's turn to be merged.
   */
  float wait_ms;
  /**
   * Merging.
   */
  float merge_ms;
  /**
   * Filtering what was merged; 0 without RAYLOOM_VIEW_DENOISE.
   */
  float filter_ms;
  /**
   * Composing.
   */
  float compose_ms;
  /**
   * Begin to finished.
   */
  float total_ms;
  /**
   * What each block will cost, before cutting and assigning.
   */
  float analyse_ms;
} rayloom_stage_times;

/**
 * Figures of a view over the last second.
 */
typedef struct rayloom_view_stats_info {
  /**
   * RAYLOOM_STRUCT_VIEW_STATS_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_view_stats_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Frames finished since the view was created.
   */
  uint64_t frames;
  /**
   * Results that came after their frame was finished.
   */
  uint64_t late_tiles;
  /**
   * Tiles that were missing when their frame was finished.
   */
  uint64_t missing_tiles;
  /**
   * Frames a second of which at least 90 % of the pixels were traced for that frame.
   */
  float fresh_fps;
  /**
   * Frames a second that were finished, fresh or not.
   */
  float shown_fps;
  /**
   * Bytes a second to all peers.
   */
  float sent_bytes_per_s;
  /**
   * Bytes a second from all peers.
   */
  float received_bytes_per_s;
  /**
   * The last frame's way.
   */
  struct rayloom_stage_times times;
  /**
   * Peers that are connected.
   */
  uint32_t peer_count;
  /**
   * Tiles of the last finished frame that all peers answered.
   */
  uint32_t tiles;
  /**
   * Frames that were begun with what had been traced ahead (frames_ahead of rayloom_view_desc), since the view was created.
   */
  uint64_t predicted_frames;
  /**
   * Frames that were asked for anew, since what had been asked ahead was not what they show.
   */
  uint64_t missed_predictions;
  /**
   * Whose prediction was taken for the last frame that was asked ahead: a RAYLOOM_CAMERA_MODEL_ value.
   */
  uint32_t camera_model;
  /**
   * How far the last prediction that was taken was off, in pixels: the mean of nine points in the view.
   */
  float camera_error_px;
  /**
   * Median of the last 64.
   */
  float camera_error_median_px;
  /**
   * Milliseconds for which the last output was held after its frame was made (RAYLOOM_VIEW_PACED).
   */
  float held_ms;
  /**
   * Parts of frames that the embedded peer traced since nothing was known of them (fill_budget_us of rayloom_view_desc).
   */
  uint64_t filled_parts;
  /**
   * Their pixels.
   */
  uint64_t filled_pixels;
} rayloom_view_stats_info;

/**
 * A pinhole camera, in the convention of its view.
 */
typedef struct rayloom_camera {
  /**
   * From camera space to world; a rotation and a translation, no scale. In glTF's convention the camera looks along -Z
   * with +Y up and +X right, and the matrix is stored column by column: metres in elements 12, 13, 14.
   */
  float camera_to_world[16];
  /**
   * Vertical field of view in radians, above 0 and below pi.
   */
  float vertical_fov_rad;
  /**
   * Width / height of the picture; 0 = the view's own.
   */
  float aspect;
  /**
   * Sub-pixel offset of the samples in pixels, +x right, +y down, each -0.5 to 0.5.
   */
  float jitter_px[2];
  /**
   * Offset of the principal point in normalised device coordinates, for off-centre projections; usually 0, 0.
   */
  float center_ndc[2];
} rayloom_camera;

/**
 * One frame of a view.
 */
typedef struct rayloom_frame_desc {
  /**
   * RAYLOOM_STRUCT_FRAME_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_frame_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Grows from frame to frame, UINT64_MAX - 1 at most; seeds the samples.
   */
  uint64_t frame_id;
  /**
   * A revision from rayloom_scene_commit, of a scene that was not destroyed: the newest of its scene, or one of the session's last
   * 512. Another one is refused. Until a peer is ready for it the last ready one is shown.
   */
  uint64_t revision;
  /**
   * The engine's own time of the frame; comes back with its output.
   */
  uint64_t time_ns;
  /**
   * The point of the world that the cameras are relative to, in the convention's axes and units: added in double
   * precision. Zero where they are relative to the scene itself.
   */
  double world_origin[3];
  /**
   * The camera.
   */
  struct rayloom_camera camera;
  /**
   * The camera of the frame before; NULL = the last begun frame's.
   */
  const struct rayloom_camera *previous_camera;
  /**
   * Radiance is multiplied by this before the tone map of the composed picture; above 0.
   */
  float exposure;
  /**
   * What layers hold is radiance times this, and so is what the engine's plane of emitted light holds; above 0. It keeps
   * half floats in range; the composed picture does not depend on it.
   */
  float pre_exposure;
  /**
   * A RAYLOOM_TONE_MAP_ value, of the composed picture.
   */
  uint32_t tone_map;
  /**
   * RAYLOOM_FRAME_ flags.
   */
  uint32_t flags;
  /**
   * Number of layers.
   */
  uint32_t layer_count;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Other layers than the view's for this frame; none = the view's.
   */
  const struct rayloom_layer *layers;
  /**
   * The camera that the engine expects frames_ahead (of rayloom_view_desc) frames after this one; NULL = Rayloom predicts it. Counts
   * for nothing where no frames are traced ahead.
   */
  const struct rayloom_camera *predicted_camera;
} rayloom_frame_desc;

/**
 * A plane of the engine's own G-buffer. What its numbers mean is said by the view's convention.
 */
typedef struct rayloom_plane_desc {
  /**
   * RAYLOOM_STRUCT_PLANE_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_plane_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * RAYLOOM_PLANE_DEPTH, _NORMAL, _GEOMETRIC_NORMAL, _BASE_COLOR, _MATERIAL (roughness and metalness), _EMISSIVE,
   * _MOTION or _INSTANCE_ID; each at most once.
   */
  uint32_t kind;
  /**
   * A RAYLOOM_FORMAT_ value.
   */
  uint32_t format;
  /**
   * A RAYLOOM_LIFETIME_ value.
   */
  uint32_t lifetime;
  /**
   * RAYLOOM_MEMORY_CPU; other kinds are RAYLOOM_UNSUPPORTED for now.
   */
  uint32_t memory_kind;
  /**
   * First byte of the top row of the texture.
   */
  const void *data;
  /**
   * Bytes that may be read from there on.
   */
  uint64_t size;
  /**
   * Bytes from one row to the next.
   */
  uint64_t row_pitch;
  /**
   * Width of the texture in pixels.
   */
  uint32_t width;
  /**
   * Height of the texture in pixels.
   */
  uint32_t height;
  /**
   * Left column of the view in the texture; it is as large as the view.
   */
  uint32_t view_x;
  /**
   * Top row of the view in the texture.
   */
  uint32_t view_y;
} rayloom_plane_desc;

/**
 * What became of one tile of a frame.
 */
typedef struct rayloom_tile {
  /**
   * Left column.
   */
  uint32_t x;
  /**
   * Top row.
   */
  uint32_t y;
  /**
   * Columns.
   */
  uint32_t width;
  /**
   * Rows.
   */
  uint32_t height;
  /**
   * The peer it was given to: its place in the session's list, or RAYLOOM_EMBEDDED_PEER.
   */
  uint32_t peer;
  /**
   * 1 when it was there in time.
   */
  uint32_t arrived;
  /**
   * Milliseconds that the peer worked on it; 0 when it did not arrive.
   */
  float peer_ms;
} rayloom_tile;

/**
 * One plane of an output.
 */
typedef struct rayloom_output_plane {
  /**
   * A RAYLOOM_PLANE_ value; it says the format.
   */
  uint32_t kind;
  /**
   * Bytes a pixel.
   */
  uint32_t pixel_size;
  /**
   * Pixels a row.
   */
  uint32_t width;
  /**
   * Rows.
   */
  uint32_t height;
  /**
   * Bytes from one row to the next.
   */
  uint64_t row_pitch;
  /**
   * First byte of the top row.
   */
  const void *data;
} rayloom_output_plane;

/**
 * What an output holds. Pointers are valid until it is released.
 */
typedef struct rayloom_output_info {
  /**
   * RAYLOOM_STRUCT_OUTPUT_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_output_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The frame.
   */
  uint64_t frame_id;
  /**
   * The engine's own time of the frame.
   */
  uint64_t time_ns;
  /**
   * Width in pixels.
   */
  uint32_t width;
  /**
   * Height in pixels.
   */
  uint32_t height;
  /**
   * The composed picture: opaque, rows from the top.
   */
  const uint8_t *color;
  /**
   * Bytes from one row of it to the next.
   */
  uint64_t color_row_pitch;
  /**
   * The camera that it is valid for.
   */
  struct rayloom_camera camera;
  /**
   * Share of pixels traced for this very frame, 0 to 1.
   */
  float fresh;
  /**
   * Number of tiles.
   */
  uint32_t tile_count;
  /**
   * Tiles as planned, and what became of each.
   */
  const struct rayloom_tile *tiles;
  /**
   * Layers, planes and ages; none unless the view has RAYLOOM_VIEW_OUTPUT_PLANES.
   */
  const struct rayloom_output_plane *planes;
  /**
   * Number of planes.
   */
  uint32_t plane_count;
  /**
   * RAYLOOM_OUTPUT_ flags.
   */
  uint32_t flags;
  /**
   * What the composed picture's pixels are: the view's color_format.
   */
  uint32_t color_format;
  /**
   * What light in the layers is multiplied by.
   */
  float pre_exposure;
  /**
   * Where the time went.
   */
  struct rayloom_stage_times times;
  /**
   * How old the pixels of each layer are in the mean, in frames, by its RAYLOOM_LAYER_ number; layers that are due later than the
   * frame are by design. Below 0 where a layer was not asked for; a pixel that was never traced counts as 255.
   */
  float layer_ages[8];
} rayloom_output_info;

/**
 * What a scene is.
 */
typedef struct rayloom_scene_desc {
  /**
   * RAYLOOM_STRUCT_SCENE_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_scene_desc).
   */
  uint32_t struct_size;
  /**
   * NULL, or a rayloom_convention_desc with RAYLOOM_CONVENTION_EXPLICIT.
   */
  const void *next;
  /**
   * A RAYLOOM_CONVENTION_ value: what all data of this scene is in, but files and the generated city.
   */
  uint32_t convention;
  /**
   * RAYLOOM_SCENE_ flags.
   */
  uint32_t flags;
} rayloom_scene_desc;

/**
 * Radiance that arrives from where no surface is: a vertical gradient.
 */
typedef struct rayloom_environment_desc {
  /**
   * RAYLOOM_STRUCT_ENVIRONMENT_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_environment_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Linear RGB radiance straight up, 0 or above.
   */
  float zenith[3];
  /**
   * At the horizon.
   */
  float horizon[3];
  /**
   * Straight down.
   */
  float ground[3];
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_environment_desc;

/**
 * How far the peers are with a scene.
 */
typedef struct rayloom_scene_progress_info {
  /**
   * RAYLOOM_STRUCT_SCENE_PROGRESS_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_scene_progress_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The newest revision with structural changes; 0 before the first commit.
   */
  uint64_t revision;
  /**
   * Bytes that the peer which is furthest has of it.
   */
  uint64_t bytes_had;
  /**
   * Bytes that it needs in all.
   */
  uint64_t bytes_total;
  /**
   * A RAYLOOM_SCENE_ value: the peer that is furthest.
   */
  uint32_t stage;
  /**
   * Share of its stage that is done, 0 to 1.
   */
  float fraction;
  /**
   * Peers that can trace it.
   */
  uint32_t peers_ready;
  /**
   * Peers that are preparing it.
   */
  uint32_t peers_preparing;
  /**
   * Peers that failed.
   */
  uint32_t peers_failed;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_scene_progress_info;

/**
 * What an animation is.
 */
typedef struct rayloom_animation_info {
  /**
   * RAYLOOM_STRUCT_ANIMATION_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_animation_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Its name in the file, UTF-8 with NUL, cut where it is longer.
   */
  char name[RAYLOOM_ANIMATION_NAME_SIZE];
  /**
   * When its last key is over, in seconds.
   */
  float duration_s;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_animation_info;

/**
 * A texture; whether it is sRGB or linear follows from the material's input that reads it.
 */
typedef struct rayloom_texture_desc {
  /**
   * RAYLOOM_STRUCT_TEXTURE_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_texture_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The engine's own name for it.
   */
  uint64_t user_id;
  /**
   * A RAYLOOM_TEXTURE_ value.
   */
  uint32_t format;
  /**
   * Width in pixels, 1 to 16384; 0 for RAYLOOM_TEXTURE_FILE.
   */
  uint32_t width;
  /**
   * Height in pixels, 1 to 16384; 0 for RAYLOOM_TEXTURE_FILE.
   */
  uint32_t height;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * The bytes.
   */
  const void *data;
  /**
   * Number of bytes.
   */
  size_t size;
} rayloom_texture_desc;

/**
 * Which texture an input reads, with coordinates transformed as KHR_texture_transform says.
 */
typedef struct rayloom_texture_slot {
  /**
   * Id of a texture, or RAYLOOM_NONE.
   */
  uint32_t texture;
  /**
   * Rotation in radians.
   */
  float rotation_rad;
  /**
   * Offset of the coordinates.
   */
  float offset[2];
  /**
   * Scale of the coordinates.
   */
  float scale[2];
} rayloom_texture_slot;

/**
 * A surface, as glTF 2.0 describes it.
 */
typedef struct rayloom_material_desc {
  /**
   * RAYLOOM_STRUCT_MATERIAL_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_material_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The engine's own name for it.
   */
  uint64_t user_id;
  /**
   * Linear RGB and alpha, 0 to 1.
   */
  float base_color[4];
  /**
   * Emitted radiance, linear RGB.
   */
  float emissive[3];
  /**
   * 0 dielectric, 1 metal.
   */
  float metallic;
  /**
   * Perceptual roughness, 0 to 1.
   */
  float roughness;
  /**
   * Scale of the normal map's x and y.
   */
  float normal_scale;
  /**
   * A RAYLOOM_ALPHA_ value.
   */
  uint32_t alpha_mode;
  /**
   * For RAYLOOM_ALPHA_MASK, 0 to 1.
   */
  float alpha_cutoff;
  /**
   * RAYLOOM_MATERIAL_ flags.
   */
  uint32_t flags;
  /**
   * Share of the light that goes through what is no metal, 0 to 1; base_color tints it.
   */
  float transmission;
  /**
   * Index of refraction, at least 1; it sets a dielectric's reflectance too. 0: 1.5.
   */
  float ior;
  /**
   * 0: what transmits is a thin sheet, which bends nothing and reflects at both faces. Above 0: the surface of a closed
   * body, which refracts; light's way through it is that through its mesh, however thick this says it is.
   */
  float thickness;
  /**
   * After this way through the body, in the scene's units, white light has become attenuation_color. 0: clear glass.
   */
  float attenuation_distance;
  /**
   * Linear RGB, 0 to 1.
   */
  float attenuation_color[3];
  /**
   * sRGB colour and alpha.
   */
  struct rayloom_texture_slot base_color_texture;
  /**
   * Green = roughness, blue = metalness.
   */
  struct rayloom_texture_slot metallic_roughness_texture;
  /**
   * Tangent-space normals, +Y up.
   */
  struct rayloom_texture_slot normal_texture;
  /**
   * sRGB colour.
   */
  struct rayloom_texture_slot emissive_texture;
  /**
   * Red = share of transmission.
   */
  struct rayloom_texture_slot transmission_texture;
  /**
   * Green = share of thickness; where it is 0 the sheet is thin. A file of grey alone has no green and is refused.
   */
  struct rayloom_texture_slot thickness_texture;
} rayloom_material_desc;

/**
 * Triangles of one material: a range of a mesh's indices.
 */
typedef struct rayloom_mesh_part {
  /**
   * First index; a multiple of 3.
   */
  uint32_t first_index;
  /**
   * Number of indices; a multiple of 3.
   */
  uint32_t index_count;
  /**
   * Id of a material.
   */
  uint32_t material;
} rayloom_mesh_part;

/**
 * An indexed triangle mesh in its own space and the scene's convention.
 */
typedef struct rayloom_mesh_desc {
  /**
   * RAYLOOM_STRUCT_MESH_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_mesh_desc).
   */
  uint32_t struct_size;
  /**
   * NULL, or a rayloom_mesh_deformation_desc for a mesh with joints or morph targets.
   */
  const void *next;
  /**
   * The engine's own name for it, for messages.
   */
  uint64_t user_id;
  /**
   * 3 floats a vertex.
   */
  const float *positions;
  /**
   * 3 floats a vertex; NULL = flat ones are computed.
   */
  const float *normals;
  /**
   * 4 floats a vertex; the fourth times the cross product of normal and tangent is the bitangent, which points where normal
   * maps have green; NULL = computed where a normal map needs them.
   */
  const float *tangents;
  /**
   * 2 floats a vertex; NULL = none.
   */
  const float *uvs;
  /**
   * 3 a triangle.
   */
  const uint32_t *indices;
  /**
   * Ranges by material, which cover all indices in order.
   */
  const struct rayloom_mesh_part *parts;
  /**
   * Number of vertices.
   */
  uint32_t vertex_count;
  /**
   * Number of indices.
   */
  uint32_t index_count;
  /**
   * Number of parts.
   */
  uint32_t part_count;
  /**
   * 0.
   */
  uint32_t reserved;
} rayloom_mesh_desc;

/**
 * One placement of a mesh.
 */
typedef struct rayloom_instance_desc {
  /**
   * RAYLOOM_STRUCT_INSTANCE_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_instance_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The engine's own name for it.
   */
  uint64_t user_id;
  /**
   * Id of a mesh.
   */
  uint32_t mesh;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * From mesh space to world, in the scene's convention; finite and invertible.
   */
  float transform[16];
} rayloom_instance_desc;

/**
 * One light, in the scene's convention.
 */
typedef struct rayloom_light_desc {
  /**
   * RAYLOOM_STRUCT_LIGHT_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_light_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * The engine's own name for it.
   */
  uint64_t user_id;
  /**
   * A RAYLOOM_LIGHT_ value.
   */
  uint32_t kind;
  /**
   * Half angle of a directional light's disc in radians, 0 (hard shadows) to pi / 2.
   */
  float angle_rad;
  /**
   * Linear RGB in the unit that kind names, divided by the light_scale of the scene's convention.
   */
  float color[3];
  /**
   * Position; unused by directional lights.
   */
  float position[3];
  /**
   * Direction in which the light travels; unused by point lights.
   */
  float direction[3];
  /**
   * Distance at which it has faded to nothing; 0 = unlimited.
   */
  float range;
  /**
   * Angle from a spot's axis in radians within which it has full intensity.
   */
  float inner_rad;
  /**
   * Angle beyond which it has none; above inner_rad, at most pi / 2.
   */
  float outer_rad;
} rayloom_light_desc;

/**
 * What a stream shall be.
 */
typedef struct rayloom_stream_desc {
  /**
   * RAYLOOM_STRUCT_STREAM_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_stream_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * "address:port" to listen on, like "127.0.0.1:8080"; port 0 takes a free one.
   */
  const char *listen;
  /**
   * Bearer token that viewers must bring; NULL = everybody may watch.
   */
  const char *token;
  /**
   * Other origins whose pages may watch, like "https://play.example".
   */
  const char *const *origins;
  /**
   * Number of origins.
   */
  uint32_t origin_count;
  /**
   * How many may watch at a time: 1 to 1000.
   */
  uint32_t max_viewers;
  /**
   * Usual width in pixels: 16 to 3840.
   */
  uint32_t width;
  /**
   * Usual height in pixels: 16 to 2160.
   */
  uint32_t height;
  /**
   * Bits a second to each viewer: 50000 to 200000000.
   */
  uint32_t bitrate_bps;
  /**
   * The most pictures a second that will come: 1 to 240.
   */
  float max_fps;
} rayloom_stream_desc;

/**
 * A finished picture: RGBA8, sRGB-coded, rows from the top; alpha is ignored.
 */
typedef struct rayloom_image_desc {
  /**
   * RAYLOOM_STRUCT_IMAGE_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_image_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * First byte of the top row; row_pitch x (height - 1) + 4 x width bytes are read.
   */
  const uint8_t *pixels;
  /**
   * Bytes from one row to the next: 4 x width or more.
   */
  uint64_t row_pitch;
  /**
   * Width in pixels.
   */
  uint32_t width;
  /**
   * Height in pixels.
   */
  uint32_t height;
} rayloom_image_desc;

/**
 * Something that a viewer did.
 */
typedef struct rayloom_input_event {
  /**
   * Which viewer: a number that no other viewer of this stream gets.
   */
  uint64_t viewer;
  /**
   * A RAYLOOM_INPUT_ value.
   */
  uint32_t kind;
  /**
   * 1 down, 0 up, of a key or button.
   */
  uint32_t down;
  /**
   * 0 left, 1 middle, 2 right.
   */
  uint32_t button;
  /**
   * To the right.
   */
  float dx;
  /**
   * Down.
   */
  float dy;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * A key's name or a message, UTF-8; empty otherwise.
   */
  char text[RAYLOOM_INPUT_TEXT_SIZE];
} rayloom_input_event;

/**
 * Counters of a stream since its start.
 */
typedef struct rayloom_stream_stats_info {
  /**
   * RAYLOOM_STRUCT_STREAM_STATS_INFO.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_stream_stats_info).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * Pictures submitted, watched or not.
   */
  uint64_t submitted;
  /**
   * Pictures encoded.
   */
  uint64_t encoded;
  /**
   * Pictures replaced by a newer one before the encoder took them.
   */
  uint64_t dropped;
  /**
   * Frames not sent to a viewer that was behind, over all viewers.
   */
  uint64_t late;
  /**
   * Encoded frames that a decoder can start at.
   */
  uint64_t idr;
  /**
   * Encoded bytes.
   */
  uint64_t bytes;
  /**
   * Viewers connected now.
   */
  uint32_t viewers;
  /**
   * Frames encoded a second, over the last two seconds.
   */
  float fps;
  /**
   * Median milliseconds of encoding one picture as H.264, over the last 120.
   */
  float encode_ms;
  /**
   * Of its colours to what the encoder takes, on the caller's thread.
   */
  float convert_ms;
  /**
   * Of its waiting for the encoder.
   */
  float wait_ms;
  /**
   * Of cutting it into packets and handing them to viewers' senders.
   */
  float packetise_ms;
} rayloom_stream_stats_info;

/**
 * What a morph target adds to each vertex of its mesh at a weight of 1, in the scene's convention.
 */
typedef struct rayloom_morph_target {
  /**
   * 3 floats a vertex, added to positions; NULL = nothing.
   */
  const float *positions;
  /**
   * 3 floats a vertex, added to normals; NULL = nothing. Unused where the mesh's own normals are NULL.
   */
  const float *normals;
  /**
   * 3 floats a vertex, added to tangents, whose fourth float stays; NULL = nothing. Unused where the mesh's own tangents
   * are NULL.
   */
  const float *tangents;
} rayloom_morph_target;

/**
 * Joints and morph targets of a mesh, at `next` of its rayloom_mesh_desc. Each instance of a mesh with joints needs a palette
 * by rayloom_scene_set_palettes before the next commit; targets weigh 0 until rayloom_scene_set_morph_weights.
 */
typedef struct rayloom_mesh_deformation_desc {
  /**
   * RAYLOOM_STRUCT_MESH_DEFORMATION_DESC.
   */
  uint32_t struct_type;
  /**
   * sizeof(rayloom_mesh_deformation_desc).
   */
  uint32_t struct_size;
  /**
   * NULL.
   */
  const void *next;
  /**
   * 4 a vertex: which matrices of an instance's palette move it; below joint_count wherever the weight is above 0. NULL =
   * no joints.
   */
  const uint16_t *joints;
  /**
   * 4 floats a vertex, one for each of its joints: finite, not negative, not all 0; scaled to a sum of 1. An engine with
   * more influences gives the four largest. NULL = no joints.
   */
  const float *weights;
  /**
   * Shapes that weights mix in before joints move the vertices; NULL = none.
   */
  const struct rayloom_morph_target *targets;
  /**
   * Number of joints, at most 65,536; 0 where joints and weights are NULL.
   */
  uint32_t joint_count;
  /**
   * Number of morph targets.
   */
  uint32_t target_count;
} rayloom_mesh_deformation_desc;

/**
 * Done.
 */
#define RAYLOOM_OK 0

/**
 * Nothing is there yet, or not within the timeout: no output, no event. Not an error.
 */
#define RAYLOOM_NOT_READY 1

/**
 * max_frames_in_flight frames are begun and not finished: acquire one, then begin again. Not an error.
 */
#define RAYLOOM_BUSY 2

/**
 * An argument or a field can't be used.
 */
#define RAYLOOM_INVALID_ARGUMENT -1

/**
 * A handle is NULL, destroyed already, or of another kind.
 */
#define RAYLOOM_INVALID_HANDLE -2

/**
 * struct_type or struct_size is not what this function takes, or something unknown hangs on next: use the _INIT macro.
 */
#define RAYLOOM_UNKNOWN_STRUCT -3

/**
 * The call makes no sense at this point.
 */
#define RAYLOOM_INVALID_STATE -4

/**
 * This version or build can't do it.
 */
#define RAYLOOM_UNSUPPORTED -5

/**
 * A scene or a file breaks a rule.
 */
#define RAYLOOM_SCENE_ERROR -6

/**
 * The stream can't start or can't take this.
 */
#define RAYLOOM_STREAM_ERROR -7

/**
 * The operating system refused threads, sockets or files.
 */
#define RAYLOOM_SYSTEM_ERROR -8

/**
 * The session's own thread ended: destroy the session.
 */
#define RAYLOOM_CLOSED -9

/**
 * The library has a bug and stopped using this session: only destroying and releasing still work on it.
 */
#define RAYLOOM_PANIC -10

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What was wrong in this thread's last call that did not return RAYLOOM_OK: the cause with the value, and what to do.
 * UTF-8, empty when there was none, never NULL; valid until this thread's next such call.
 *
 * Threads: any.
 */
const char *rayloom_last_error(void);

/**
 * Version of the library, like "0.1.0"; valid for ever.
 *
 * Threads: any.
 */
const char *rayloom_version(void);

/**
 * Sends the log of all sessions to `callback`, up to and including `level`; NULL ends it. Afterwards the one set before is
 * never called again. Without a callback nothing is logged. Lines of libraries below come up to RAYLOOM_LOG_WARN only.
 *
 * Threads: any but the callback itself.
 */
rayloom_result rayloom_log_set_callback(void *userdata,
                                        uint32_t level,
                                        rayloom_log_callback callback);

/**
 * Fills `desc`, which RAYLOOM_CONVENTION_DESC_INIT began, with RAYLOOM_CONVENTION_GLTF, _UNREAL or _UNITY.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_convention_init(uint32_t preset, struct rayloom_convention_desc *desc);

/**
 * Connects to the peers in the background and returns at once; events tell how it goes.
 *
 * Threads: any. The descriptor and everything it points to is copied.
 */
rayloom_result rayloom_session_create(const struct rayloom_session_desc *desc, struct rayloom_session **session);

/**
 * Ends everything of the session: its streams, views, scenes, frames and outputs are destroyed with it (pointers into
 * outputs end too), its threads are joined. Takes up to some seconds. NULL does nothing.
 *
 * Threads: any, but no other call on the session or its objects may be in progress.
 */
rayloom_result rayloom_session_destroy(struct rayloom_session *session);

/**
 * Takes the oldest event; RAYLOOM_NOT_READY when there is none. At most 256 wait, older ones are dropped.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_session_poll_event(struct rayloom_session *session, struct rayloom_event *event);

/**
 * Nanoseconds since the session was created: a clock that only grows, for rayloom_stream_submit_image among others.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_session_now(struct rayloom_session *session, uint64_t *time_ns);

/**
 * Creates a view.
 *
 * Threads: any. The descriptor and everything it points to is copied.
 */
rayloom_result rayloom_view_create(struct rayloom_session *session,
                                   const struct rayloom_view_desc *desc,
                                   struct rayloom_view **view);

/**
 * Ends the view and its frames; outputs that were acquired stay until they are released. NULL does nothing.
 *
 * Threads: any, but no other call on the view may be in progress.
 */
rayloom_result rayloom_view_destroy(struct rayloom_view *view);

/**
 * Chooses what outputs show from the next begun frame on: RAYLOOM_VIEW_MODE_REMOTE, _LOCAL or _DIFFERENCE.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_view_set_mode(struct rayloom_view *view, uint32_t mode);

/**
 * Draws tiles, or maps of what blocks of 16 x 16 pixels cost, over the composed picture: a RAYLOOM_OVERLAY_ value, from the next
 * frame on.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_view_set_overlay(struct rayloom_view *view,
                                        uint32_t overlay);

/**
 * Which planes to submit. In state mode (no RAYLOOM_VIEW_GBUFFER) peers trace primary visibility themselves: none.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_view_requirements(struct rayloom_view *view,
                                         struct rayloom_view_requirements_info *requirements);

/**
 * Figures of the last second.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_view_stats(struct rayloom_view *view, struct rayloom_view_stats_info *stats);

/**
 * The figures as one line for people: rates, stages, peers, traffic. Writes at most `capacity` bytes with the NUL, cut to
 * fit; `length` (may be NULL) becomes the whole length without the NUL.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_view_stats_text(struct rayloom_view *view,
                                       size_t capacity,
                                       char *text,
                                       size_t *length);

/**
 * The newest finished frame if it is `min_frame_id` or later; waits at most `timeout_ns` for one, 0 never blocks.
 * RAYLOOM_NOT_READY when there is none in time. Release the output by rayloom_output_release.
 *
 * Threads: any, a render thread with timeout 0 among them.
 */
rayloom_result rayloom_view_acquire(struct rayloom_view *view,
                                    uint64_t min_frame_id,
                                    uint64_t timeout_ns,
                                    struct rayloom_output **output);

/**
 * Begins a frame; peers start at once. It will be finished at its deadline at the latest, with what is there.
 * RAYLOOM_BUSY when max_frames_in_flight frames of this view are not finished yet.
 * `frame` may be NULL where no planes will be submitted (state mode). With RAYLOOM_VIEW_GBUFFER it may not: the frame is
 * opened and begins with rayloom_frame_submit; it counts as in flight until it is finished or discarded.
 *
 * Threads: any, a render thread among them; one at a time for a view. Never blocks.
 */
rayloom_result rayloom_frame_begin(struct rayloom_view *view,
                                   const struct rayloom_frame_desc *desc,
                                   struct rayloom_frame **frame);

/**
 * Submits the planes of a frame and ends its handle. `count` 0 is state mode: peers trace primary visibility themselves.
 * A frame of a view with RAYLOOM_VIEW_GBUFFER begins here, and its deadlines count from here; frames are submitted in the
 * order in which they were begun. On failure the frame stays, and nothing of the planes is kept.
 *
 * Lent planes (RAYLOOM_LIFETIME_BORROW) are read on another thread: RAYLOOM_EVENT_PLANES_RELEASED says when it is done.
 *
 * Threads: any, a render thread among them. Never blocks; copies what asks for it.
 */
rayloom_result rayloom_frame_submit(struct rayloom_frame *frame,
                                    const struct rayloom_plane_desc *planes,
                                    uint32_t count);

/**
 * Gives a frame up that will not be submitted, for example because its readback was dropped. NULL does nothing.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_frame_discard(struct rayloom_frame *frame);

/**
 * What the output holds.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_output_describe(struct rayloom_output *output, struct rayloom_output_info *info);

/**
 * Ends the output and every pointer into it. NULL does nothing.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_output_release(struct rayloom_output *output);

/**
 * Creates an empty, dark scene.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_create(struct rayloom_session *session,
                                    const struct rayloom_scene_desc *desc,
                                    struct rayloom_scene **scene);

/**
 * Destroys the scene with all its revisions: no frame can be begun with one of them, and those in flight end at their deadlines.
 * NULL does nothing.
 *
 * Threads: any, but no other call on the scene may be in progress.
 */
rayloom_result rayloom_scene_destroy(struct rayloom_scene *scene);

/**
 * Replaces the scene by a glTF 2.0 file (.gltf or .glb), posed at rest; adds a sun and a sky where the file has no light.
 * rayloom_scene_pose_animation plays what it brings. user_id of instances and lights is the file's node, of materials and textures their place in the file.
 * After an error the scene is as it was.
 *
 * Threads: any; reads and decodes the file, so not on a render thread.
 */
rayloom_result rayloom_scene_load_gltf(struct rayloom_scene *scene,
                                       const char *path);

/**
 * Replaces the scene by the generated city of about `triangles` triangles: below some 10,000 it is the smallest city there is, of about as
 * many; more than 16,000,000 are refused. The same seed gives the same city. Its instances with user_id 1 to 8 (six cars, two drones) and lights with user_id 1 to 4
 * are meant to be moved.
 *
 * Threads: any; takes up to seconds, so not on a render thread.
 */
rayloom_result rayloom_scene_load_city(struct rayloom_scene *scene,
                                       uint32_t triangles,
                                       uint64_t seed);

/**
 * Sets the sky; shown from the next commit on.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_set_environment(struct rayloom_scene *scene, const struct rayloom_environment_desc *desc);

/**
 * Moves instances: `count` ids, and 16 floats each (instance to world in the scene's convention, invertible). All or none.
 * Shown from the next commit on.
 *
 * Threads: any. Arrays are copied.
 */
rayloom_result rayloom_scene_set_transforms(struct rayloom_scene *scene,
                                            uint32_t count,
                                            const uint32_t *ids,
                                            const float *matrices);

/**
 * Brings the joints of `count` instances of skinned meshes where they are in this frame: ids, how many matrices each gives
 * (at least the joints of its mesh), and 16 floats for each of them, one instance's after the other's. A matrix leads from
 * where the mesh was bound to where the joint has brought it, before the instance's own transform, in the scene's convention.
 * A matrix may mirror, or scale to nothing, which hides what hangs on the joint. Weights of morph targets stay. All or none; a
 * palette that is too short is named with the instance's user_id. Shown from the next commit on.
 *
 * Threads: any. Arrays are copied.
 */
rayloom_result rayloom_scene_set_palettes(struct rayloom_scene *scene,
                                          uint32_t count,
                                          const uint32_t *ids,
                                          const uint32_t *joint_counts,
                                          const float *matrices);

/**
 * Weighs the morph targets of `count` instances: ids, how many weights each gives (at most the targets of its mesh; the
 * rest are 0), and the weights, one instance's after the other's. Joints stay; where a mesh has some, its instance needs a
 * palette before. All or none. Shown from the next commit on.
 *
 * Threads: any. Arrays are copied.
 */
rayloom_result rayloom_scene_set_morph_weights(struct rayloom_scene *scene,
                                               uint32_t count,
                                               const uint32_t *ids,
                                               const uint32_t *weight_counts,
                                               const float *weights);

/**
 * Id of the first instance with this user_id.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_find_instance(struct rayloom_scene *scene, uint64_t user_id, uint32_t *instance);

/**
 * Id of the first light with this user_id.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_find_light(struct rayloom_scene *scene, uint64_t user_id, uint32_t *light);

/**
 * The file's first camera fitted to width / height = `aspect`, or else one that shows the whole scene.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_default_camera(struct rayloom_scene *scene, float aspect, struct rayloom_camera *camera);

/**
 * Smallest and largest corner (3 floats each, in the scene's convention) of the box around everything placed and posed, as
 * the last change that does not travel with frames left it; zeros for an empty scene.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_bounds(struct rayloom_scene *scene,
                                    float *min,
                                    float *max);

/**
 * Makes everything changed since the last commit one revision, to be named in rayloom_frame_desc. Moved instances, poses
 * and changed lights travel with each frame; anything else is packed and uploaded in the background, and frames show the last
 * ready revision until then. After an error the last revision stays.
 *
 * Threads: any, a render thread where only transforms and lights changed.
 */
rayloom_result rayloom_scene_commit(struct rayloom_scene *scene,
                                    uint64_t *revision);

/**
 * How far the peers are with the newest revision.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_scene_progress(struct rayloom_scene *scene, struct rayloom_scene_progress_info *progress);

/**
 * Number of animations of the glTF file that the scene was loaded from; 0 for other scenes.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_scene_animation_count(struct rayloom_scene *scene, uint32_t *count);

/**
 * Name and duration of an animation, by its place in the file.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_scene_describe_animation(struct rayloom_scene *scene,
                                                uint32_t animation,
                                                struct rayloom_animation_info *info);

/**
 * Moves and shapes everything that animations can move as it is at a time of one of them; RAYLOOM_NONE: as it is at rest.
 * Before its first key an animation stands at that, after its last at that: an engine that repeats it gives
 * fmod(time, duration_s). Cameras and lights stay. It does what rayloom_scene_set_transforms, _set_palettes and
 * _set_morph_weights do, all or none, and what those change afterwards counts. Shown from the next commit on.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_pose_animation(struct rayloom_scene *scene,
                                            uint32_t animation,
                                            double time_s);

/**
 * Adds a texture and gives its id in the scene.
 *
 * Threads: any. The bytes are copied.
 */
rayloom_result rayloom_texture_create(struct rayloom_scene *scene,
                                      const struct rayloom_texture_desc *desc,
                                      uint32_t *texture);

/**
 * Adds a material and gives its id in the scene. Factors outside their range are clamped at the commit; an index of
 * refraction below 1, a negative thickness and a negative attenuation distance are errors.
 *
 * Threads: any.
 */
rayloom_result rayloom_material_create(struct rayloom_scene *scene,
                                       const struct rayloom_material_desc *desc,
                                       uint32_t *material);

/**
 * Adds a mesh and gives its id in the scene. Triangles that are not finite or have no area are dropped, with a line in
 * the log; those of meshes that deform may have no area, since a pose may unfold them. Errors name the user_id.
 *
 * Threads: any. Arrays are copied and checked, so not on a render thread.
 */
rayloom_result rayloom_mesh_create(struct rayloom_scene *scene, const struct rayloom_mesh_desc *desc, uint32_t *mesh);

/**
 * Adds an instance and gives its id in the scene.
 *
 * Threads: any.
 */
rayloom_result rayloom_instance_create(struct rayloom_scene *scene,
                                       const struct rayloom_instance_desc *desc,
                                       uint32_t *instance);

/**
 * Adds a light and gives its id in the scene.
 *
 * Threads: any.
 */
rayloom_result rayloom_light_create(struct rayloom_scene *scene,
                                    const struct rayloom_light_desc *desc,
                                    uint32_t *light);

/**
 * Changes a light; shown from the next commit on, and travels with the frames.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_set_light(struct rayloom_scene *scene,
                                       uint32_t light,
                                       const struct rayloom_light_desc *desc);

/**
 * A light as the last structural change left it, for changing a part of it.
 *
 * Threads: any.
 */
rayloom_result rayloom_scene_describe_light(struct rayloom_scene *scene,
                                            uint32_t light,
                                            struct rayloom_light_desc *desc);

/**
 * Opens the port and starts the encoder.
 *
 * Threads: any. The descriptor and everything it points to is copied.
 */
rayloom_result rayloom_stream_start(struct rayloom_session *session,
                                    const struct rayloom_stream_desc *desc,
                                    struct rayloom_stream **stream);

/**
 * Tells the viewers, closes the port, joins the encoder. Takes up to seconds. NULL does nothing.
 *
 * Threads: any, but no other call on the stream may be in progress.
 */
rayloom_result rayloom_stream_destroy(struct rayloom_stream *stream);

/**
 * Where the stream listens, as "address:port" with the real port. Writes at most `capacity` bytes with the NUL, cut to
 * fit; `length` (may be NULL) becomes the whole length without the NUL.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_stream_address(struct rayloom_stream *stream, size_t capacity, char *text, size_t *length);

/**
 * Shows a picture. `time_ns` is the engine's clock, which must grow from call to call. A picture that the encoder has not
 * taken yet is replaced; without viewers nothing is done.
 *
 * Threads: any, a render thread among them. Never blocks; converts the colours before it returns.
 */
rayloom_result rayloom_stream_submit_image(struct rayloom_stream *stream,
                                           const struct rayloom_image_desc *image,
                                           uint64_t time_ns);

/**
 * Moves up to `capacity` input events, oldest first, into `events`, and their number into `count`.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_stream_poll_input(struct rayloom_stream *stream,
                                         uint32_t capacity,
                                         struct rayloom_input_event *events,
                                         uint32_t *count);

/**
 * Sends a text (at most 4096 bytes) to every page, which shows it as its status line.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_stream_send_message(struct rayloom_stream *stream, const char *text);

/**
 * The counters.
 *
 * Threads: any; never blocks.
 */
rayloom_result rayloom_stream_stats(struct rayloom_stream *stream, struct rayloom_stream_stats_info *stats);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RAYLOOM_H */
