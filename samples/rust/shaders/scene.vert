// Places a vertex: reversed depth with the far plane at infinity (depth = near / distance), jittered.
#version 460
#extension GL_GOOGLE_include_directive : require
#define gl_FragCoord vec4(0.0)
#include "frame.glsl"

layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec4 tangent;
layout(location = 3) in vec2 uv;

layout(location = 0) out vec3 out_relative;
layout(location = 1) out vec3 out_normal;
layout(location = 2) out vec3 out_tangent;
layout(location = 3) out vec2 out_uv;
layout(location = 4) out vec3 out_previous;
layout(location = 5) flat out uint out_id;
layout(location = 6) flat out vec2 out_sides; // -1 where mirrored; the bitangent's sign

vec3 rows_times(vec4 r0, vec4 r1, vec4 r2, vec4 v) {
    return vec3(dot(r0, v), dot(r1, v), dot(r2, v));
}

void main() {
    Frame f = push.frame;
    Instance i = push.instances.v[gl_InstanceIndex];
    vec3 relative = rows_times(i.row0, i.row1, i.row2, vec4(position, 1.0));
    vec3 was = rows_times(i.previous0, i.previous1, i.previous2, vec4(position, 1.0));
    // Normals transform by the cofactor matrix; it needs no division and keeps the side of mirrored instances.
    vec3 c0 = cross(i.row1.xyz, i.row2.xyz);
    float side = dot(i.row0.xyz, c0) < 0.0 ? -1.0 : 1.0;
    vec3 c1 = cross(i.row2.xyz, i.row0.xyz);
    vec3 c2 = cross(i.row0.xyz, i.row1.xyz);
    out_relative = relative;
    out_normal = vec3(dot(c0, normal), dot(c1, normal), dot(c2, normal)) * side;
    out_tangent = rows_times(i.row0, i.row1, i.row2, vec4(tangent.xyz, 0.0));
    out_uv = uv;
    out_previous = vec3(dot(f.previous_right.xyz, was), dot(f.previous_up.xyz, was), dot(f.previous_back.xyz, was));
    out_id = i.id;
    out_sides = vec2(side, tangent.w * side);
    float depth = -dot(f.back.xyz, relative);
    vec2 ndc = f.lens.xy * depth + vec2(dot(f.right.xyz, relative), dot(f.up.xyz, relative)) / vec2(f.right.w, f.up.w);
    vec2 jitter = 2.0 * f.lens.zw / f.extent.xy;
    gl_Position = vec4(ndc.x - jitter.x * depth, -ndc.y - jitter.y * depth, f.back.w, depth);
}
