// Walks the trees that rayloom-bvh builds: closest() and occluded() by plain compute (layout: blas.rs, node.rs, tlas.rs).
//
// The includer enables GL_EXT_buffer_reference, GL_EXT_buffer_reference2, GL_EXT_scalar_block_layout and
// GL_EXT_shader_explicit_arithmetic_types_int64, and defines before the inclusion
//
//     bool accept_hit(uint instance, uint primitive, vec2 barycentrics)
//
// which decides about triangles that are not opaque. Barycentrics are the weights of the second and third corner.
//
// **Every invocation of a subgroup must reach each call together**: one that has no ray passes t_max < t_min, which hits
// nothing. Otherwise results are undefined.

struct Hit {
    float t;             // in lengths of the ray's direction
    uint instance;       // index in the slice given to Tlas::build
    uint primitive;      // index of the triangle in its mesh
    vec2 barycentrics;
};

layout(buffer_reference, buffer_reference_align = 16, scalar) readonly buffer BvhWords { uvec4 at[]; };

// A ray prepared for boxes.
struct BvhRay {
    vec3 origin;
    vec3 direction;
    vec3 inverse;
    uint octant;
};

BvhRay bvh_ray(vec3 origin, vec3 direction) {
    BvhRay ray;
    ray.origin = origin;
    ray.direction = direction;
    // Components too small to divide by are replaced: the box test widens by more than that.
    vec3 tiny = mix(vec3(1e-20), vec3(-1e-20), lessThan(direction, vec3(0.0)));
    ray.inverse = 1.0 / mix(direction, tiny, lessThan(abs(direction), vec3(1e-20)));
    ray.octant = (ray.inverse.x < 0.0 ? 1u : 0u) | (ray.inverse.y < 0.0 ? 2u : 0u) | (ray.inverse.z < 0.0 ? 4u : 0u);
    return ray;
}

// Which slots of the node the ray meets: bit slot ^ octant, so that low bits tend to be near.
// Afterwards head = first child, first primitive, node mask.
uint bvh_node(BvhWords nodes, uint node, BvhRay ray, float t_min, float t_max, out uvec4 head, out uvec2 meta) {
    uint at = 4u + node * 5u;
    head = nodes.at[at];
    uvec4 n1 = nodes.at[at + 1u];
    uvec4 n2 = nodes.at[at + 2u];
    uvec4 n3 = nodes.at[at + 3u];
    uvec4 n4 = nodes.at[at + 4u];
    vec3 a = uintBitsToFloat((uvec3(head.w, head.w >> 8, head.w >> 16) & 0xffu) << 23) * ray.inverse;
    vec3 b = (uintBitsToFloat(head.xyz) - ray.origin) * ray.inverse;
    // More than the rounding of a, b and of the products below.
    vec3 pad = (abs(b) + 256.0 * abs(a)) * 5e-7;
    vec3 near_b = b - pad;
    vec3 far_b = b + pad;
    bvec3 negative = lessThan(ray.inverse, vec3(0.0));
    uvec2 near_x = negative.x ? uvec2(n3.z, n3.w) : uvec2(n2.x, n2.y);
    uvec2 far_x = negative.x ? uvec2(n2.x, n2.y) : uvec2(n3.z, n3.w);
    uvec2 near_y = negative.y ? uvec2(n4.x, n4.y) : uvec2(n2.z, n2.w);
    uvec2 far_y = negative.y ? uvec2(n2.z, n2.w) : uvec2(n4.x, n4.y);
    uvec2 near_z = negative.z ? uvec2(n4.z, n4.w) : uvec2(n3.x, n3.y);
    uvec2 far_z = negative.z ? uvec2(n3.x, n3.y) : uvec2(n4.z, n4.w);
    uint hits = 0u;
    for (uint slot = 0u; slot < 8u; ++slot) {
        uint word = slot >> 2;
        uint shift = (slot & 3u) * 8u;
        vec3 near = vec3((uvec3(near_x[word], near_y[word], near_z[word]) >> shift) & 0xffu) * a + near_b;
        vec3 far = vec3((uvec3(far_x[word], far_y[word], far_z[word]) >> shift) & 0xffu) * a + far_b;
        float enter = max(max(near.x, near.y), max(near.z, t_min));
        float leave = min(min(far.x, far.y), min(far.z, t_max));
        hits |= enter <= leave ? 1u << (slot ^ ray.octant) : 0u;
    }
    head.xyz = uvec3(n1.x, n1.y, head.w >> 24);
    meta = n1.zw;
    return hits;
}

// Signed volumes, as in Embree's robust mode: the volume of an edge is exactly negated when the neighbour runs it the
// other way, so no ray slips between two triangles that share it.
bool bvh_triangle(uvec4 c0, uvec4 c1, uvec4 c2, BvhRay ray, float t_min, float t_max, out float t, out vec2 barycentrics) {
    vec3 v0 = uintBitsToFloat(c0.xyz) - ray.origin;
    vec3 v1 = uintBitsToFloat(c1.xyz) - ray.origin;
    vec3 v2 = uintBitsToFloat(c2.xyz) - ray.origin;
    vec3 e0 = v2 - v0;
    vec3 e1 = v0 - v1;
    vec3 e2 = v1 - v2;
    float u = dot(cross(e0, v2 + v0), ray.direction);
    float v = dot(cross(e1, v0 + v1), ray.direction);
    float w = dot(cross(e2, v1 + v2), ray.direction);
    vec3 normal = cross(e1, e0);
    float sum = u + v + w;
    t = dot(v0, normal) / dot(normal, ray.direction);
    barycentrics = vec2(u, v) / sum;
    bool inside = min(min(u, v), w) >= 0.0 || max(max(u, v), w) <= 0.0;
    // Comparisons that NaN fails: a degenerate triangle is never hit.
    return inside && t > t_min && t <= t_max && sum != 0.0;
}

// Two trees of at most 32 nodes on a path, and the instances of one node.
const uint BVH_STACK = 72u;
// Marks a stack entry that names an instance instead of a group of nodes.
const uint BVH_INSTANCE = 0x80000000u;

// The walk of both functions. Groups of nodes still to visit: x = index of the first child node; y = hits in bits 8..16 by
// slot ^ octant (lowest nearest), which slots hold nodes in bits 0..8.
bool bvh_walk(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, bool any_hit, inout Hit best) {
    BvhWords top = BvhWords(tlas);
    BvhWords tree = top;
    uvec4 header = top.at[0];
    uint primitives = header.z;
    BvhRay world = bvh_ray(origin, direction);
    BvhRay ray = world;
    uvec2 stack[BVH_STACK];
    uint depth = 0u;
    uint bottom = 0u;
    bool in_instance = false;
    uvec2 instance = uvec2(0u);
    bool found = false;
    // Slot 0 of no node is the root.
    uvec2 group = uvec2(0u, header.x != 0u && t_min < t_max ? 256u << world.octant : 0u);
    while (true) {
        if (group.y < 256u) {
            if (in_instance && depth == bottom) {
                in_instance = false;
                tree = top;
                primitives = header.z;
                ray = world;
            }
            if (depth == 0u) {
                break;
            }
            group = stack[--depth];
            if ((group.y & BVH_INSTANCE) != 0u) {
                uint at = primitives + group.x * 4u;
                vec4 r0 = uintBitsToFloat(top.at[at]);
                vec4 r1 = uintBitsToFloat(top.at[at + 1u]);
                vec4 r2 = uintBitsToFloat(top.at[at + 2u]);
                uvec4 r3 = top.at[at + 3u];
                tree = BvhWords(packUint2x32(r3.xy));
                uvec4 blas_header = tree.at[0];
                primitives = blas_header.z;
                instance = r3.wz;
                ray = bvh_ray(vec3(dot(r0.xyz, origin) + r0.w, dot(r1.xyz, origin) + r1.w, dot(r2.xyz, origin) + r2.w),
                              vec3(dot(r0.xyz, direction), dot(r1.xyz, direction), dot(r2.xyz, direction)));
                in_instance = true;
                bottom = depth;
                group = uvec2(0u, blas_header.x != 0u ? 256u << ray.octant : 0u);
            }
            continue;
        }
        uint bit = uint(findLSB(group.y >> 8));
        uint slot = bit ^ ray.octant;
        group.y &= ~(256u << bit);
        uint node = group.x + uint(bitCount(group.y & 0xffu & ((1u << slot) - 1u)));
        if (group.y >= 256u) {
            stack[depth++] = group;
        }
        uvec4 head;
        uvec2 meta;
        uint hits = bvh_node(tree, node, ray, t_min, best.t, head, meta);
        // The node mask, with bits moved from slot to slot ^ octant.
        uint node_bits = head.z;
        if ((ray.octant & 1u) != 0u) node_bits = (node_bits & 0x55u) << 1 | (node_bits & 0xaau) >> 1;
        if ((ray.octant & 2u) != 0u) node_bits = (node_bits & 0x33u) << 2 | (node_bits & 0xccu) >> 2;
        if ((ray.octant & 4u) != 0u) node_bits = (node_bits & 0x0fu) << 4 | (node_bits & 0xf0u) >> 4;
        group = uvec2(head.x, (hits & node_bits) << 8 | head.z);
        uint leaves = hits & ~node_bits;
        if (!in_instance && leaves != 0u) {
            if (group.y >= 256u) {
                stack[depth++] = group;
            }
            group.y = 0u;
        }
        while (leaves != 0u) {
            // Instances go on a stack, so they are taken far to near; triangles near to far.
            bit = uint(in_instance ? findLSB(leaves) : findMSB(leaves));
            slot = bit ^ ray.octant;
            leaves &= ~(1u << bit);
            uint leaf = (meta[slot >> 2] >> ((slot & 3u) * 8u)) & 0xffu;
            uint first = head.y + (leaf & 31u);
            uint end = first + (leaf >> 5);
            for (uint place = first; place < end; ++place) {
                if (!in_instance) {
                    stack[depth++] = uvec2(place, BVH_INSTANCE);
                    continue;
                }
                uint at = primitives + place * 3u;
                uvec4 c0 = tree.at[at];
                uvec4 c1 = tree.at[at + 1u];
                uvec4 c2 = tree.at[at + 2u];
                float t;
                vec2 barycentrics;
                if (!bvh_triangle(c0, c1, c2, ray, t_min, best.t, t, barycentrics)) {
                    continue;
                }
                // At equal distance the smallest (instance, primitive) wins; nothing is below (0, 0), where best starts.
                bool nearer = t < best.t || instance.x < best.instance || (instance.x == best.instance && c0.w < best.primitive);
                bool opaque = (c1.w & 1u) == 0u || (instance.y & 1u) != 0u;
                if (nearer && (opaque || accept_hit(instance.x, c0.w, barycentrics))) {
                    best = Hit(t, instance.x, c0.w, barycentrics);
                    found = true;
                }
            }
        }
        if (any_hit && found) {
            break;
        }
    }
    return found;
}

// The nearest hit with t_min < t < t_max; direction need not be normalised. Without one, hit.t is t_max.
bool closest(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, out Hit hit) {
    hit = Hit(t_max, 0u, 0u, vec2(0.0));
    return bvh_walk(tlas, origin, direction, t_min, t_max, false, hit);
}

// True when anything is hit with t_min < t < t_max.
bool occluded(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max) {
    Hit hit = Hit(t_max, 0u, 0u, vec2(0.0));
    return bvh_walk(tlas, origin, direction, t_min, t_max, true, hit);
}
