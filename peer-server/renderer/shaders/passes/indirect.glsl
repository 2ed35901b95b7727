// One diffuse bounce: what a cosine-distributed ray brings back, the sky where it leaves the scene.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../gbuffer.glsl"

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    uvec2 full = shaded_pixel(p, pixel);
    Primary s = primary_at(p, full, wanted);
    vec3 factor = diffuse_over_divisor(s);
    bool lit = s.hit && any(greaterThan(factor, vec3(0.0)));
    vec3 from = leave_primary(p, s);
    float cone = p.ray_origin.w * s.distance;
    vec4 sum = vec4(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        Random r = random_at(full, p.view.z, push.samples, n, 2u);
        vec4 u = unit(r.low);
        vec4 w = unit(r.high);
        vec3 direction = cosine_direction(s.normal, u.xy);
        bool bounced = lit && dot(direction, s.geometric) > 0.0;
        Bounce b = bounce(p, bounced, from, direction, cone, DIFFUSE_SPREAD, false, vec3(u.zw, w.x), w.yz);
        sum += vec4(b.radiance + unshadowed(p, b.light), b.distance);
    }
    if (wanted) {
        vec4 result = sum / float(push.samples) * vec4(factor, 1.0);
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(s.hit ? result : vec4(0.0, 0.0, 0.0, HALF_MAX));
    }
    count_rays(p, pixel);
}
