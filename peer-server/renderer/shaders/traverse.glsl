// Walks the trees that rayloom-bvh builds: closest() and occluded() in plain compute (layout: blas.rs, node.rs,
// tlas.rs).
//
// The includer enables GL_EXT_buffer_reference, GL_EXT_buffer_reference2, GL_EXT_scalar_block_layout and
// GL_EXT_shader_explicit_arithmetic_types_int64, and defines before the inclusion
//
//     bool accept_hit(uint instance, uint primitive, vec2 barycentrics, bool any_hit)
//
// which decides about triangles that are not opaque. Barycentrics are the weights of the second and third corner. The
// device needs subgroup shuffles (every desktop GPU and lavapipe have them).
//
// **Every invocation of a subgroup reaches each call together**: one that has no ray passes t_max < t_min, which hits
// nothing. Neighbours in a subgroup walk in step, so give them rays that are alike.
//
// Written for what lavapipe makes of it (docs/bvh.md has the figures): memory is read by gathers, whose price is a
// lane's and not a byte's, so everything is read 8 bytes at a time; arrays with a varying index cost a branch for
// each lane, so the stack's top lies in registers; min() and max() of floats are three instructions, of integers
// one; a lane that tests triangles makes seven wait, so leaves are put aside until several lanes have some.
//
// **What a ray hits does not depend on its neighbours**: they only change the order in which triangles are tested,
// ties are settled by index, and boxes are skipped only where they begin well beyond the best hit.

#extension GL_KHR_shader_subgroup_shuffle : require

#include "hit.glsl"
#include "triangle.glsl"

layout(buffer_reference, buffer_reference_align = 8, scalar) readonly buffer BvhPair { uint64_t words; };

uint64_t bvh_words(uint64_t address) {
    return BvhPair(address).words;
}

uvec2 bvh_pair(uint64_t address) {
    return unpackUint2x32(BvhPair(address).words);
}

// Index of the lowest of the bits 0..8 that is set; one is.
uint bvh_lowest(uint bits) {
    return (floatBitsToUint(float(bits & (0u - bits))) >> 23) - 127u;
}

// How many of the bits 0..8 are set.
uint bvh_count(uint bits) {
    bits -= (bits >> 1) & 0x55u;
    bits = (bits & 0x33u) + ((bits >> 2) & 0x33u);
    return (bits + (bits >> 4)) & 15u;
}

// A ray prepared for boxes.
struct BvhRay {
    vec3 origin;
    vec3 direction;
    vec3 inverse;
    uint octant; // bit set = that axis of the direction is negative
};

BvhRay bvh_ray(vec3 origin, vec3 direction) {
    // Components too small to divide by are replaced: the box test widens by more than that.
    vec3 tiny = mix(vec3(1e-20), vec3(-1e-20), lessThan(direction, vec3(0.0)));
    vec3 inverse = 1.0 / mix(direction, tiny, lessThan(abs(direction), vec3(1e-20)));
    uint octant = (inverse.x < 0.0 ? 1u : 0u) | (inverse.y < 0.0 ? 2u : 0u) | (inverse.z < 0.0 ? 4u : 0u);
    return BvhRay(origin, direction, inverse, octant);
}

// Moves the bits of each byte from slot to slot ^ octant, in which order slots are roughly front to back.
uint bvh_front_to_back(uint bits, uint octant) {
    bits = (octant & 1u) != 0u ? (bits & 0x5555u) << 1 | (bits >> 1 & 0x5555u) : bits;
    bits = (octant & 2u) != 0u ? (bits & 0x3333u) << 2 | (bits >> 2 & 0x3333u) : bits;
    return (octant & 4u) != 0u ? (bits & 0x0f0fu) << 4 | (bits >> 4 & 0x0f0fu) : bits;
}

struct BvhNode {
    uint hits;      // slots that the ray meets
    uint nodes;     // slots that hold nodes
    uint child;     // first child node
    uint primitive; // first primitive
    uvec2 content;  // what leaves hold, a byte a slot
};

// A quantised edge as 1 + edge / 256, by moving it (left by `shift`, right if negative) into the mantissa of 1.
float bvh_edge(uint word, int shift) {
    return uintBitsToFloat(((shift >= 0 ? word << shift : word >> -shift) & 0x007f8000u) | 0x3f800000u);
}

// Which boxes of the node at `address` the ray meets between t_min >= 0 and t_max.
BvhNode bvh_node(uint64_t address, BvhRay ray, float t_min, float t_max) {
    uvec2 corner_xy = bvh_pair(address);
    uvec2 corner_z_steps = bvh_pair(address + 8ul);
    uvec2 first = bvh_pair(address + 16ul);
    uvec2 content = bvh_pair(address + 24ul);
    uint64_t low_x = bvh_words(address + 32ul);
    uint64_t low_y = bvh_words(address + 40ul);
    uint64_t low_z = bvh_words(address + 48ul);
    uint64_t high_x = bvh_words(address + 56ul);
    uint64_t high_y = bvh_words(address + 64ul);
    uint64_t high_z = bvh_words(address + 72ul);
    bvec3 negative = notEqual(uvec3(ray.octant) & uvec3(1u, 2u, 4u), uvec3(0u));
    uvec2 near_x = unpackUint2x32(negative.x ? high_x : low_x);
    uvec2 near_y = unpackUint2x32(negative.y ? high_y : low_y);
    uvec2 near_z = unpackUint2x32(negative.z ? high_z : low_z);
    uvec2 far_x = unpackUint2x32(negative.x ? low_x : high_x);
    uvec2 far_y = unpackUint2x32(negative.y ? low_y : high_y);
    uvec2 far_z = unpackUint2x32(negative.z ? low_z : high_z);
    uint steps = corner_z_steps.y;
    vec3 step_256 = uintBitsToFloat(uvec3(steps << 23, steps << 15, steps << 7) & 0x7f800000u) * 256.0;
    vec3 a = step_256 * ray.inverse;
    vec3 b = (uintBitsToFloat(uvec3(corner_xy, corner_z_steps.x)) - ray.origin) * ray.inverse;
    // More than the rounding of a, b and of the products below.
    vec3 pad = (abs(b) + abs(a)) * 6e-7;
    b -= a;
    vec3 near_b = b - pad;
    vec3 far_b = b + pad;
    // Floats are compared as integers: right where both are positive, and an interval that ends below zero is missed in
    // either order, since t_min is not negative.
    int enter_min = floatBitsToInt(t_min);
    int leave_max = floatBitsToInt(t_max);
    uint hits = 0u;
#define BVH_SLOT(slot, word, shift)                                                                               \
    {                                                                                                             \
        vec3 near = vec3(bvh_edge(near_x.word, shift), bvh_edge(near_y.word, shift), bvh_edge(near_z.word, shift));\
        vec3 far = vec3(bvh_edge(far_x.word, shift), bvh_edge(far_y.word, shift), bvh_edge(far_z.word, shift));   \
        ivec3 enter = floatBitsToInt(near * a + near_b);                                                          \
        ivec3 leave = floatBitsToInt(far * a + far_b);                                                            \
        bool met = max(max(enter.x, enter.y), max(enter.z, enter_min)) <=                                         \
            min(min(leave.x, leave.y), min(leave.z, leave_max));                                                  \
        hits |= met ? 1u << slot : 0u;                                                                            \
    }
    BVH_SLOT(0u, x, 15)
    BVH_SLOT(1u, x, 7)
    BVH_SLOT(2u, x, -1)
    BVH_SLOT(3u, x, -9)
    BVH_SLOT(4u, y, 15)
    BVH_SLOT(5u, y, 7)
    BVH_SLOT(6u, y, -1)
    BVH_SLOT(7u, y, -9)
#undef BVH_SLOT
    return BvhNode(hits & (first.x >> 24), steps >> 24, first.x & 0xffffffu, first.y, content);
}

// Leaves are tested when so many of eight neighbouring lanes have some, or one lane can put no more aside.
const uint BVH_ENOUGH = 4u;

// Sum over eight neighbouring lanes; lanes that have ended may count as anything, which only changes who waits for
// whom.
uint bvh_neighbours(uint value) {
    value += subgroupShuffleXor(value, 1u);
    value += subgroupShuffleXor(value, 2u);
    return value + subgroupShuffleXor(value, 4u);
}

// A group of slots still to visit. x: hits by slot ^ octant << 24 | first child node; y: slots with nodes << 24 |
// first primitive.
const uint BVH_ONE_HIT = 0x1000000u;
const uint BVH_INDEX = 0xffffffu;

// Boxes are skipped that begin this much beyond the best hit: more than the rounding of a triangle's distance,
// lest the order of the walk decide between surfaces that all but coincide.
const float BVH_BEYOND = 1.0001;

// The walk of both functions. Groups of the world's tree and of the current instance's share a stack: its top
// eight lie in registers, four at a time move to memory. Both trees have at most 32 nodes on a path.
bool bvh_walk(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, bool any_hit, inout Hit best) {
    uvec2 header = bvh_pair(tlas);
    uint64_t instances = tlas + uint64_t(bvh_pair(tlas + 8ul).x * 16u);
    BvhRay world = bvh_ray(origin, direction);
    // The tree being walked and the ray in its space.
    uint64_t tree = tlas;
    uint triangles = 0u;
    BvhRay ray = world;
    bool in_instance = false;
    uint instance = 0u;
    uint instance_flags = 0u;
    uint bottom = 0u; // groups on the stack when the instance was entered
    uint64_t s0 = 0ul, s1 = 0ul, s2 = 0ul, s3 = 0ul, s4 = 0ul, s5 = 0ul, s6 = 0ul, s7 = 0ul;
    uint64_t spill[64];
    uint kept = 0u;
    uint spilled = 0u;
    // Leaves put aside, of one node: hits by slot ^ octant, its first primitive, what its leaves hold.
    uint aside = 0u;
    uint aside_primitive = 0u;
    uvec2 aside_content = uvec2(0u);
    bool found = false;
    t_min = max(t_min, 0.0);
    // The root is the only child of a group that is in no node.
    uvec2 group = uvec2(BVH_ONE_HIT << world.octant, BVH_ONE_HIT);
    bool walking = header.x != 0u && t_min < t_max;
    while (walking) {
        uint slot = bvh_lowest(group.x >> 24) ^ ray.octant;
        uint node_mask = group.y >> 24;
        uint node_index = (group.x & BVH_INDEX) + bvh_count(node_mask & ((1u << slot) - 1u));
        uvec2 rest = uvec2(group.x & ((group.x - BVH_ONE_HIT) | BVH_INDEX), group.y);
        bool entered = !in_instance && (node_mask >> slot & 1u) == 0u;
        if (entered) {
            uint64_t at = instances + uint64_t(((group.y & BVH_INDEX) + slot) * 64u);
            uvec2 m0 = bvh_pair(at);
            uvec2 m1 = bvh_pair(at + 8ul);
            uvec2 m2 = bvh_pair(at + 16ul);
            uvec2 m3 = bvh_pair(at + 24ul);
            uvec2 m4 = bvh_pair(at + 32ul);
            uvec2 m5 = bvh_pair(at + 40ul);
            tree = bvh_words(at + 48ul);
            uvec2 flags_index = bvh_pair(at + 56ul);
            vec3 row0 = uintBitsToFloat(uvec3(m0, m1.x));
            vec3 row1 = uintBitsToFloat(uvec3(m2, m3.x));
            vec3 row2 = uintBitsToFloat(uvec3(m4, m5.x));
            vec3 offset = uintBitsToFloat(uvec3(m1.y, m3.y, m5.y));
            vec3 local_origin = vec3(dot(row0, origin), dot(row1, origin), dot(row2, origin)) + offset;
            ray = bvh_ray(local_origin, vec3(dot(row0, direction), dot(row1, direction), dot(row2, direction)));
            triangles = bvh_pair(tree + 8ul).x * 16u;
            instance = flags_index.y;
            instance_flags = flags_index.x;
            in_instance = true;
            node_index = 0u;
        }
        BvhNode node = bvh_node(tree + uint64_t(64u + node_index * 80u), ray, t_min, best.t * BVH_BEYOND);
        // In the world's tree leaves wait for their turn like nodes; an instance's are put aside.
        uint leaves = in_instance ? node.hits & ~node.nodes : 0u;
        uint ordered = bvh_front_to_back((node.hits & ~leaves) << 8 | leaves, ray.octant);
        leaves = ordered & 0xffu;
        group = uvec2((ordered >> 8) << 24 | node.child, node.nodes << 24 | node.primitive);
        bool empty = group.x < BVH_ONE_HIT;
        bool rest_empty = rest.x < BVH_ONE_HIT;
        uint depth = kept + spilled;
        bool leaving = empty && in_instance && (entered || (rest_empty && depth == bottom));
        bool full = leaves != 0u && aside != 0u;
        bool some = (leaves | aside) != 0u;
        bool now = full || (leaving && some);
        if (now || bvh_neighbours(now ? BVH_ENOUGH : some ? 1u : 0u) >= BVH_ENOUGH) {
            uint place = 0u;
            uint left = 0u;
            while ((aside | leaves | left) != 0u) {
                if (left == 0u) {
                    bool older = aside != 0u;
                    uint from = older ? aside : leaves;
                    uint leaf_slot = bvh_lowest(from) ^ ray.octant;
                    from &= from - 1u;
                    aside = older ? from : aside;
                    leaves = older ? leaves : from;
                    uvec2 content = older ? aside_content : node.content;
                    uint leaf = ((leaf_slot < 4u ? content.x : content.y) >> ((leaf_slot & 3u) * 8u)) & 0xffu;
                    place = triangles + ((older ? aside_primitive : node.primitive) + (leaf & 31u)) * 40u;
                    left = leaf >> 5;
                }
                uint64_t at = tree + uint64_t(place);
                uvec2 w0 = bvh_pair(at);
                uvec2 w1 = bvh_pair(at + 8ul);
                uvec2 w2 = bvh_pair(at + 16ul);
                uvec2 w3 = bvh_pair(at + 24ul);
                uvec2 w4 = bvh_pair(at + 32ul);
                place += 40u;
                left -= 1u;
                vec3 v0 = uintBitsToFloat(uvec3(w0, w1.x));
                vec3 v1 = uintBitsToFloat(uvec3(w1.y, w2));
                vec3 v2 = uintBitsToFloat(uvec3(w3, w4.x));
                float t;
                vec2 barycentrics;
                if (bvh_triangle(ray.origin, ray.direction, v0, v1, v2, t_min, best.t, t, barycentrics)) {
                    uint primitive = w4.y & 0x7fffffffu;
                    // At equal distance the smallest (instance, primitive) wins; none is below (0, 0), as which best starts.
                    bool nearer = t < best.t || instance < best.instance ||
                        (instance == best.instance && primitive < best.primitive);
                    bool opaque = (w4.y >> 31) == 0u || (instance_flags & 1u) != 0u;
                    if (nearer && (opaque || accept_hit(instance, primitive, barycentrics, any_hit))) {
                        best = Hit(t, instance, primitive, barycentrics);
                        found = true;
                    }
                }
            }
        }
        aside_content = leaves != 0u ? node.content : aside_content;
        aside_primitive = leaves != 0u ? node.primitive : aside_primitive;
        aside |= leaves;
        if (leaving) {
            in_instance = false;
            tree = tlas;
            ray = world;
        }
        bool push = !empty && !rest_empty;
        bool pop = empty && rest_empty;
        walking = !(pop && depth == 0u) && !(any_hit && found);
        if (push && kept == 8u) {
            spill[spilled] = s7;
            spill[spilled + 1u] = s6;
            spill[spilled + 2u] = s5;
            spill[spilled + 3u] = s4;
            spilled += 4u;
            kept = 4u;
        }
        if (pop && kept == 0u && spilled != 0u) {
            spilled -= 4u;
            s3 = spill[spilled];
            s2 = spill[spilled + 1u];
            s1 = spill[spilled + 2u];
            s0 = spill[spilled + 3u];
            kept = 4u;
        }
        group = empty ? (rest_empty ? unpackUint2x32(s0) : rest) : group;
        uint64_t t0 = s0, t1 = s1, t2 = s2, t3 = s3, t4 = s4, t5 = s5, t6 = s6;
        s0 = push ? packUint2x32(rest) : pop ? s1 : s0;
        s1 = push ? t0 : pop ? s2 : s1;
        s2 = push ? t1 : pop ? s3 : s2;
        s3 = push ? t2 : pop ? s4 : s3;
        s4 = push ? t3 : pop ? s5 : s4;
        s5 = push ? t4 : pop ? s6 : s5;
        s6 = push ? t5 : pop ? s7 : s6;
        s7 = push ? t6 : s7;
        kept += push ? 1u : pop ? 0xffffffffu : 0u;
        bottom = entered ? kept + spilled : bottom;
    }
    return found;
}

// The nearest hit with t_min < t < t_max, for 0 <= t_min; direction need not be normalised. Without one, hit.t is
// t_max.
bool closest(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, out Hit hit) {
    hit = Hit(t_max, 0u, 0u, vec2(0.0));
    return bvh_walk(tlas, origin, direction, t_min, t_max, false, hit);
}

// True when anything is hit with t_min < t < t_max, for 0 <= t_min.
bool occluded(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max) {
    Hit hit = Hit(t_max, 0u, 0u, vec2(0.0));
    return bvh_walk(tlas, origin, direction, t_min, t_max, true, hit);
}
