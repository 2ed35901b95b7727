// Triangles of a bottom-level structure as triangles of its mesh. Masked and opaque runs of a mesh's triangles are
// geometries of their own there, and the API counts triangles within a geometry.

#include "triangle.glsl"

// Index in the mesh. A mesh that is one geometry has no table of first triangles.
uint mesh_primitive(uint instance, int geometry, int primitive) {
    Params p = Params(push.params);
    uint64_t firsts = packUint2x32(Quads(p.instances).v[instance * INSTANCE_VECTORS + 7u].xy);
    return uint(primitive) + (firsts == 0ul ? 0u : Words(firsts).v[geometry]);
}

// The hit with distance and barycentrics as traverse.glsl finds them. Every device rounds its own in its own way, and
// shading draws by chains of comparisons: one bit of a distance turns up as another light in one pixel of three thousand.
Hit rounded_alike(Hit hit, vec3 origin, vec3 direction) {
    Params p = Params(push.params);
    uint at = hit.instance * INSTANCE_VECTORS + 8u;
    vec4 row0 = Vectors(p.instances).v[at];
    vec4 row1 = Vectors(p.instances).v[at + 1u];
    vec4 row2 = Vectors(p.instances).v[at + 2u];
    vec3 local_origin =
        vec3(dot(row0.xyz, origin), dot(row1.xyz, origin), dot(row2.xyz, origin)) + vec3(row0.w, row1.w, row2.w);
    vec3 local = vec3(dot(row0.xyz, direction), dot(row1.xyz, direction), dot(row2.xyz, direction));
    Triangle triangle = triangle_at(p, hit.instance, hit.primitive);
    Quads vertices = Quads(triangle.vertices);
    vec3 v0 = uintBitsToFloat(vertices.v[triangle.indices.x * 2u].xyz);
    vec3 v1 = uintBitsToFloat(vertices.v[triangle.indices.y * 2u].xyz);
    vec3 v2 = uintBitsToFloat(vertices.v[triangle.indices.z * 2u].xyz);
    float t;
    vec2 barycentrics;
    // Beyond an edge by its own rounding, a hit stays as the device has it.
    if (bvh_triangle(local_origin, local, v0, v1, v2, 0.0, 2.0 * hit.t, t, barycentrics)) {
        hit.t = t;
        hit.barycentrics = barycentrics;
    }
    return hit;
}
