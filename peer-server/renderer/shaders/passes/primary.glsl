// Traces primary rays and writes the planes of what they hit, and the unlit layer.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../lighting.glsl"

uint srgb8(vec3 linear) {
    vec3 c = clamp(linear, 0.0, 1.0);
    vec3 low = c * 12.92;
    vec3 high = 1.055 * pow(max(c, vec3(1e-6)), vec3(1.0 / 2.4)) - 0.055;
    uvec3 q = uvec3(mix(high, low, lessThanEqual(c, vec3(0.0031308))) * 255.0 + 0.5);
    return q.r | q.g << 8u | q.b << 16u | 0xff000000u;
}

// Where `was`, a direction or an offset from the previous camera, was seen minus where this pixel is, in pixels.
uint motion(Params p, uvec2 pixel, vec3 was) {
    vec3 local = vec3(dot(p.previous_right.xyz, was), dot(p.previous_up.xyz, was), dot(p.previous_back.xyz, was));
    if (local.z >= 0.0) {
        // It was behind the previous camera: further off than any history reaches.
        return packHalf2x16(vec2(HALF_MAX));
    }
    vec2 ndc = local.xy / (-local.z * vec2(p.previous_right.w, p.previous_up.w)) + p.previous_lens.xy;
    vec2 then = vec2(ndc.x * 0.5 + 0.5, 0.5 - ndc.y * 0.5) * vec2(p.view.xy);
    vec2 now = vec2(pixel) + 0.5 + p.previous_lens.zw;
    return packHalf2x16(clamp(then - now, -HALF_MAX, HALF_MAX));
}

// Where the hit was in its mesh's space one frame before: elsewhere only where the mesh deforms.
vec3 previous_local_position(Params p, Hit hit, Surface s) {
    uint64_t previous = address(Quads(p.instances).v[s.instance * INSTANCE_VECTORS + 11u].xy);
    if (previous == 0ul) {
        return s.local_position;
    }
    uvec4 corners = triangle_at(p, hit.instance, hit.primitive).indices;
    Vectors at = Vectors(previous);
    vec2 b = hit.barycentrics;
    return at.v[corners.x].xyz * (1.0 - b.x - b.y) + at.v[corners.y].xyz * b.x + at.v[corners.z].xyz * b.y;
}

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    bool wanted = inside(pixel, p.rect);
    vec3 direction = pixel_ray(p, pixel);
    Hit hit;
    ray_count += wanted ? 1u : 0u;
    bool found = closest(p.tlas, p.ray_origin.xyz, direction, 0.0, wanted ? FAR : -1.0, hit);
    uint i = plane_index(p, pixel);
    if (found) {
        // The direction's component along the view axis is 1, so t is planar depth.
        Surface s = surface_at(p, hit, p.ray_origin.xyz, direction, p.ray_origin.w * hit.t, true);
        uint row = s.instance * INSTANCE_VECTORS + 3u;
        vec4 at = vec4(previous_local_position(p, hit, s), 1.0);
        vec3 was = vec3(dot(Vectors(p.instances).v[row], at), dot(Vectors(p.instances).v[row + 1u], at),
            dot(Vectors(p.instances).v[row + 2u], at));
        uint roughness = uint(clamp(s.roughness, 0.0, 1.0) * 255.0 + 0.5);
        uint metallic = uint(clamp(s.metallic, 0.0, 1.0) * 255.0 + 0.5);
        Words(p.depth).v[i] = floatBitsToUint(hit.t);
        Words(p.normal).v[i] = encode_normal(s.normal);
        Words(p.geometric_normal).v[i] = encode_normal(s.geometric);
        // What goes through the surface (passes/transmission.glsl adds it) is not reflected by it.
        uint m = s.material * MATERIAL_VECTORS;
        uint flags = floatBitsToUint(Vectors(p.materials).v[m + 2u].w);
        float met = 1.0;
        if ((flags & MATERIAL_COVERED) != 0u) {
            met = clamp(coverage_at(p, triangle_at(p, hit.instance, hit.primitive), m, flags, hit.barycentrics), 0.0, 1.0);
        }
        // Coverage has taken what goes through sheets already.
        float through = s.thin && (flags & MATERIAL_COVERED) != 0u ? 0.0 : s.transmission;
        float opaque = met * mix(1.0 - through, 1.0, clamp(s.metallic, 0.0, 1.0));
        Words(p.base_color).v[i] = srgb8(s.base * opaque);
        Words(p.material).v[i] = roughness | metallic << 8u | 1u << 24u;
        Words(p.motion).v[i] = motion(p, pixel, was - p.previous_position.xyz);
        Words(p.instance_id).v[i] = s.instance + 1u;
        if (p.unlit != 0ul) {
            Halves(p.unlit).v[i] = pack_layer(pre_exposed(p, vec4(s.emissive * met, 1.0)));
        }
    } else if (wanted) {
        Words(p.depth).v[i] = 0x7f800000u;
        Words(p.normal).v[i] = 0u;
        Words(p.geometric_normal).v[i] = 0u;
        Words(p.base_color).v[i] = 0u;
        Words(p.material).v[i] = 0u;
        Words(p.motion).v[i] = motion(p, pixel, direction);
        Words(p.instance_id).v[i] = 0u;
        if (p.unlit != 0ul) {
            Halves(p.unlit).v[i] = pack_layer(pre_exposed(p, vec4(environment(p, direction), 0.0)));
        }
    }
    count_rays(p, pixel);
}
