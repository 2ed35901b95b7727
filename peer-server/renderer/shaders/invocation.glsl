// Which pixel an invocation works on, and how many rays it traced: workgroups of compute, or launches of the RT pipeline
// over the same grid.

// Rays that this invocation traced; added to its 16x16 block at the end of main.
uint ray_count = 0u;

uvec2 block_of(Params p, uvec2 pixel) {
    return pixel * push.scale / 16u - p.blocks.xy;
}

// invocation_pixel(): the pixel within the launch; invocation_index(): the number of an invocation of a launch of one row.
#ifdef RT_PIPELINE
#extension GL_EXT_ray_tracing : require

uvec2 invocation_pixel() {
    return gl_LaunchIDEXT.xy;
}

uint invocation_index() {
    return gl_LaunchIDEXT.y * gl_LaunchSizeEXT.x + gl_LaunchIDEXT.x;
}

bool any_lane(bool wanted) {
    return wanted;
}

void count_rays(Params p, uvec2 pixel) {
    uvec2 block = block_of(p, pixel);
    // Launches cover more than the layer, in whole groups; what lies outside counts nothing and has no block.
    if (ray_count > 0u) {
        atomicAdd(Words(p.block_rays).v[block.y * p.blocks.z + block.x], ray_count);
    }
}

#else
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_vote : require

// 64 invocations cover 8x8 pixels in 4x2 pieces, so that units of 8 lanes (lavapipe) and of 32 trace neighbouring rays.
layout(local_size_x = 64) in;

uvec2 invocation_pixel() {
    uint i = gl_LocalInvocationID.x;
    uvec2 within = uvec2((i & 3u) | ((i >> 1u) & 4u), ((i >> 2u) & 1u) | ((i >> 3u) & 6u));
    return gl_WorkGroupID.xy * 8u + within;
}

uint invocation_index() {
    return gl_GlobalInvocationID.x;
}

// True for all lanes of a subgroup while one of them wants it: they reach the traversal together.
bool any_lane(bool wanted) {
    return subgroupAny(wanted);
}

// By all lanes together. Groups are anchored at multiples of 8 of the whole view, so none straddles two blocks.
void count_rays(Params p, uvec2 pixel) {
    uvec2 block = block_of(p, pixel);
    uint rays = subgroupAdd(ray_count);
    if (subgroupElect() && rays > 0u) {
        atomicAdd(Words(p.block_rays).v[block.y * p.blocks.z + block.x], rays);
    }
}
#endif

// The layer pixel (absolute, in the layer's own grid) of this invocation, in groups of 8x8 that are anchored at multiples
// of 8 of the whole view.
uvec2 layer_pixel(Params p) {
    uvec2 first = (p.rect.xy / push.scale) & ~7u;
    return first + invocation_pixel();
}

// The layer's rectangle in its own grid.
uvec4 layer_rect(Params p) {
    uvec2 first = p.rect.xy / push.scale;
    uvec2 end = (p.rect.xy + p.rect.zw + push.scale - 1u) / push.scale;
    return uvec4(first, end - first);
}

bool inside(uvec2 pixel, uvec4 rect) {
    return all(greaterThanEqual(pixel, rect.xy)) && all(lessThan(pixel, rect.xy + rect.zw));
}

// The full-resolution pixel that a layer pixel stands for in this frame (rayloom_frame's scaled_sample_pixel).
uvec2 shaded_pixel(Params p, uvec2 pixel) {
    return min(pixel * push.scale + uvec2(push.sample_offset_x, push.sample_offset_y), p.view.xy - 1u);
}

uint plane_index(Params p, uvec2 pixel) {
    return (pixel.y - p.rect.y) * p.rect.z + (pixel.x - p.rect.x);
}

uint layer_index(uvec2 pixel, uvec4 rect) {
    return (pixel.y - rect.y) * rect.z + (pixel.x - rect.x);
}

vec3 pixel_ray(Params p, uvec2 pixel) {
    return p.ray_base.xyz + p.ray_dx.xyz * (float(pixel.x) + 0.5) + p.ray_dy.xyz * (float(pixel.y) + 0.5);
}
