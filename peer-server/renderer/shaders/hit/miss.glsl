// Miss of the RT pipeline, for both kinds of rays.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_ray_tracing : require
#include "../hit.glsl"

layout(location = 0) rayPayloadInEXT Hit payload;

void main() {
    payload.t = -1.0;
}
