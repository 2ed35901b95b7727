// Brings an instance's vertices into the shape of its pose: morph targets first, then joints (glTF 2.0, 3.7.2.2 and 3.7.3.3).
// One invocation a vertex. push.params: a Deformation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../params.glsl"

layout(local_size_x = 64) in;

layout(buffer_reference, std430, buffer_reference_align = 16) restrict writeonly buffer Shaped { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict writeonly buffer Previous { vec4 v[]; };

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Deformation {
    uint64_t vertices;         // of the mesh
    uint64_t weights;          // of joints, four a vertex; 0: no joints
    uint64_t joints;           // four of 16 bits a vertex
    uint64_t targets;          // nine floats a vertex and target: what it adds to position, normal, tangent
    uint64_t palette;          // three rows a joint
    uint64_t previous_palette; // that of the previous frame
    uint64_t mixes;            // a target's index, its weight now and in the previous frame
    uint64_t shaped;           // vertices for shading
    uint64_t previous;         // where they were in the previous frame
    uint vertex_count;
    uint mix_count;
};

struct Rows {
    vec4 x;
    vec4 y;
    vec4 z;
};

Rows blended(uint64_t palette, uvec4 joints, vec4 weights) {
    Vectors p = Vectors(palette);
    Rows rows = Rows(vec4(0.0), vec4(0.0), vec4(0.0));
    for (uint i = 0u; i < 4u; i++) {
        uint at = joints[i] * 3u;
        rows.x += p.v[at] * weights[i];
        rows.y += p.v[at + 1u] * weights[i];
        rows.z += p.v[at + 2u] * weights[i];
    }
    return rows;
}

vec3 moved(Rows rows, vec3 at) {
    vec4 v = vec4(at, 1.0);
    return vec3(dot(rows.x, v), dot(rows.y, v), dot(rows.z, v));
}

uint encoded_or(vec3 direction, uint otherwise) {
    float size = dot(direction, direction);
    return size > 1e-30 && !isinf(size) ? encode_normal(direction * inversesqrt(size)) : otherwise;
}

void main() {
    Deformation d = Deformation(push.params);
    uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
    if (i >= d.vertex_count) {
        return;
    }
    uvec4 first = Quads(d.vertices).v[i * 2u];
    uvec4 second = Quads(d.vertices).v[i * 2u + 1u];
    vec3 position = uintBitsToFloat(first.xyz);
    vec3 before = position;
    vec3 normal = decode_normal(first.w);
    vec3 tangent = decode_normal(second.z);
    for (uint k = 0u; k < d.mix_count; k++) {
        uvec4 target = Quads(d.mixes).v[k];
        Floats delta = Floats(d.targets + (uint64_t(target.x) * uint64_t(d.vertex_count) + uint64_t(i)) * 36ul);
        float weight = uintBitsToFloat(target.y);
        vec3 offset = vec3(delta.v[0], delta.v[1], delta.v[2]);
        position += offset * weight;
        before += offset * uintBitsToFloat(target.z);
        normal += vec3(delta.v[3], delta.v[4], delta.v[5]) * weight;
        tangent += vec3(delta.v[6], delta.v[7], delta.v[8]) * weight;
    }
    if (d.weights != 0ul) {
        vec4 weights = uintBitsToFloat(Quads(d.weights).v[i]);
        uvec2 packed = uvec2(Words(d.joints).v[i * 2u], Words(d.joints).v[i * 2u + 1u]);
        uvec4 joints = uvec4(packed.x & 0xffffu, packed.x >> 16u, packed.y & 0xffffu, packed.y >> 16u);
        Rows now = blended(d.palette, joints, weights);
        position = moved(now, position);
        before = moved(blended(d.previous_palette, joints, weights), before);
        // By the cofactor matrix, as the triangles' own normals turn (surface.glsl).
        normal = vec3(dot(cross(now.y.xyz, now.z.xyz), normal), dot(cross(now.z.xyz, now.x.xyz), normal),
            dot(cross(now.x.xyz, now.y.xyz), normal));
        tangent = vec3(dot(now.x.xyz, tangent), dot(now.y.xyz, tangent), dot(now.z.xyz, tangent));
    }
    Shaped shaped = Shaped(d.shaped);
    shaped.v[i * 2u] = uvec4(floatBitsToUint(position), encoded_or(normal, first.w));
    shaped.v[i * 2u + 1u] = uvec4(second.xy, encoded_or(tangent, second.z), second.w);
    Previous(d.previous).v[i] = vec4(before, 1.0);
}
