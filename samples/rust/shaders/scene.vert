// Poses and places a vertex: reversed depth with the far plane at infinity (depth = near / distance), jittered.
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

struct Shape {
    vec3 position;
    vec3 previous; // in the frame before
    vec3 normal;
    vec3 tangent;
};

struct Rows {
    vec4 x, y, z;
};

Rows blended(Vectors palette, uvec4 joints, vec4 weights) {
    Rows rows = Rows(vec4(0.0), vec4(0.0), vec4(0.0));
    for (uint k = 0u; k < 4u; k++) {
        uint at = joints[k] * 3u;
        rows.x += palette.v[at] * weights[k];
        rows.y += palette.v[at + 1u] * weights[k];
        rows.z += palette.v[at + 2u] * weights[k];
    }
    return rows;
}

// Morph targets first, then joints (glTF 2.0, 3.7.2.2 and 3.7.3.3): as peers do it in compute, so that both show one shape.
Shape posed(Deformation d) {
    Shape s = Shape(position, position, normal, tangent.xyz);
    uint vertex = uint(gl_VertexIndex - d.vertex_offset);
    for (uint k = 0u; k < d.mix_count; k++) {
        uvec4 mixed = d.mixes.v[k];
        uint at = (mixed.x * d.vertex_count + vertex) * 9u;
        float weight = uintBitsToFloat(mixed.y);
        vec3 delta = vec3(d.targets.v[at], d.targets.v[at + 1u], d.targets.v[at + 2u]);
        s.position += delta * weight;
        s.previous += delta * uintBitsToFloat(mixed.z);
        s.normal += vec3(d.targets.v[at + 3u], d.targets.v[at + 4u], d.targets.v[at + 5u]) * weight;
        s.tangent += vec3(d.targets.v[at + 6u], d.targets.v[at + 7u], d.targets.v[at + 8u]) * weight;
    }
    if (d.has_joints != 0u) {
        vec4 weights = d.weights.v[vertex];
        uvec2 pairs = d.joints.v[vertex];
        uvec4 joints = uvec4(pairs.x & 0xffffu, pairs.x >> 16u, pairs.y & 0xffffu, pairs.y >> 16u);
        Vectors palette = d.palette;
        Vectors previous_palette = d.previous_palette;
        Rows now = blended(palette, joints, weights);
        Rows before = blended(previous_palette, joints, weights);
        s.position = rows_times(now.x, now.y, now.z, vec4(s.position, 1.0));
        s.previous = rows_times(before.x, before.y, before.z, vec4(s.previous, 1.0));
        s.normal = vec3(dot(cross(now.y.xyz, now.z.xyz), s.normal), dot(cross(now.z.xyz, now.x.xyz), s.normal),
            dot(cross(now.x.xyz, now.y.xyz), s.normal));
        s.tangent = rows_times(now.x, now.y, now.z, vec4(s.tangent, 0.0));
    }
    // A joint that is scaled to nothing leaves no direction.
    float size = dot(s.normal, s.normal);
    s.normal = size > 1e-30 && !isinf(size) ? s.normal * inversesqrt(size) : normal;
    return s;
}

void main() {
    Frame f = push.frame;
    Instance i = push.instances.v[gl_InstanceIndex];
    Shape shape = Shape(position, position, normal, tangent.xyz);
    if (i.deforms != 0u) {
        shape = posed(i.deformation);
    }
    vec3 relative = rows_times(i.row0, i.row1, i.row2, vec4(shape.position, 1.0));
    vec3 was = rows_times(i.previous0, i.previous1, i.previous2, vec4(shape.previous, 1.0));
    // Normals transform by the cofactor matrix; it needs no division and keeps the side of mirrored instances.
    vec3 c0 = cross(i.row1.xyz, i.row2.xyz);
    float side = dot(i.row0.xyz, c0) < 0.0 ? -1.0 : 1.0;
    vec3 c1 = cross(i.row2.xyz, i.row0.xyz);
    vec3 c2 = cross(i.row0.xyz, i.row1.xyz);
    out_relative = relative;
    out_normal = vec3(dot(c0, shape.normal), dot(c1, shape.normal), dot(c2, shape.normal)) * side;
    out_tangent = rows_times(i.row0, i.row1, i.row2, vec4(shape.tangent, 0.0));
    out_uv = uv;
    out_previous = vec3(dot(f.previous_right.xyz, was), dot(f.previous_up.xyz, was), dot(f.previous_back.xyz, was));
    out_id = i.id;
    out_sides = vec2(side, tangent.w * side);
    float depth = -dot(f.back.xyz, relative);
    vec2 ndc = f.lens.xy * depth + vec2(dot(f.right.xyz, relative), dot(f.up.xyz, relative)) / vec2(f.right.w, f.up.w);
    vec2 jitter = 2.0 * f.lens.zw / f.extent.xy;
    gl_Position = vec4(ndc.x - jitter.x * depth, -ndc.y - jitter.y * depth, f.back.w, depth);
}
