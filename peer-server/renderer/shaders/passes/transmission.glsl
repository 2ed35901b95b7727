// What is seen through bodies of glass and blended surfaces, by walks: added to the unlit layer.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../walk.glsl"

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    vec3 ray = pixel_ray(p, pixel);
    vec3 direction = normalize(ray);
    // The surface that the planes describe, unless an engine left glass out of them.
    coverage_seed = 0u;
    Hit hit;
    ray_count += wanted ? 1u : 0u;
    bool found = closest(p.tlas, p.ray_origin.xyz, ray, 0.0, wanted ? FAR : -1.0, hit) && wanted;
    if (found) {
        float depth = uintBitsToFloat(Words(p.depth).v[plane_index(p, pixel)]);
        found = abs(hit.t - depth) <= depth * (1e-4 + 2.0 * p.depth_error);
    }
    Scatter c;
    float uncovered = 0.0;
    Walk start = Walk(vec3(0.0), vec3(0.0), vec3(0.0), DELTA, 0.0, p.ray_origin.w, false);
    if (found) {
        start.cone = p.ray_origin.w * hit.t;
        Surface s = surface_at(p, hit, p.ray_origin.xyz, ray, start.cone, true);
        c = scatter_at(p, s, -direction);
        start.origin = leave(s.position, -s.geometric, length(ray) * hit.t);
        uint m = s.material * MATERIAL_VECTORS;
        uint flags = floatBitsToUint(Vectors(p.materials).v[m + 2u].w);
        if ((flags & MATERIAL_COVERED) != 0u) {
            Triangle t = triangle_at(p, hit.instance, hit.primitive);
            uncovered = 1.0 - clamp(coverage_at(p, t, m, flags, hit.barycentrics), 0.0, 1.0);
        }
        found = c.glass > 0.0 || uncovered > 0.0;
    }
    uint seed = pixel_seed(pixel, 3u);
    vec3 sum = vec3(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        uint index = p.view.z * push.samples + n;
        Walk w = start;
        bool through = false;
        bool straight = uncovered > 0.0;
        if (straight) {
            // As if nothing were there: what is behind is the camera's surface.
            w.direction = direction;
            w.density = WITHOUT_DISCS;
            w.throughput = vec3(uncovered);
            through = true;
        } else if (found) {
            vec3 h = is_delta(c) ? vec3(0.0, 0.0, 1.0) : visible_normal(c.v, c.alpha, sequence(index, seed));
            float vh = dot(c.v, h);
            float beyond = 1.0 - (1.0 - vh * vh) / (c.eta * c.eta);
            vec3 l = -c.v / c.eta + h * (vh / c.eta - sqrt(max(beyond, 0.0)));
            float shadowing = is_delta(c) ? 1.0 : (1.0 + c.lambda_v) / (1.0 + c.lambda_v + ggx_lambda(-l.z, c.alpha));
            w.direction = normalize(c.frame * l);
            // No light is gathered here: the walk finds them all.
            w.throughput = c.tint * (c.glass * (1.0 - fresnel_dielectric(vh, c.eta)) * shadowing);
            through = beyond > 0.0 && l.z < 0.0 && dot(w.direction, c.geometric) < 0.0 && w.throughput != vec3(0.0);
        }
        sum += walk(p, w, through, straight ? 0u : 1u, push.bounces, EARLY_ROULETTE + 2u, seed, index).rgb;
    }
    if (found) {
        uint i = plane_index(p, pixel);
        vec4 unlit = unpack_layer(Halves(p.unlit).v[i]);
        Halves(p.unlit).v[i] = pack_layer(unlit + pre_exposed(p, vec4(sum / float(push.samples), 0.0)));
    }
    count_rays(p, pixel);
}
