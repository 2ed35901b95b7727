// Merged light without its noise: rayloom_frame::filter, pass by pass, on the GPU. Read that first; the constants are its.
// push: params = what follows; source and target = layers, four halves a pixel, between passes with the noise as alpha;
// samples = pixels between taps, 0 to tell the noise; radius = 1 in the last pass; kind = 1 for reflections.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../params.glsl"
#include "../invocation.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Merged {
    uint64_t depth;
    uint64_t normal;
    uint64_t material;
    uint64_t light; // the layer before all passes
    uvec2 extent;
    uint reserved0, reserved1;
    vec4 origin; // ray of the first pixel at depth 1; w: a pixel's width there
    vec4 step_x;
    vec4 step_y;
};

const float SPLINE[2] = float[](1.0 / 2.0, 1.0 / 4.0);
const float LUMINANCE_SIGMAS = 3.0;
const float OUTLIER_SIGMAS = 3.0;
const float CORRELATION = 2.0;
const float FAR = 1e30;
const float SHARP_ROUGHNESS = 0.05;
const float DULL_ROUGHNESS = 0.3;

struct Seen {
    float depth;
    vec3 normal; // zero of the sky
    vec3 position;
    float roughness;
};

Seen seen(Merged m, uvec2 pixel) {
    uint i = pixel.y * m.extent.x + pixel.x;
    Seen s;
    s.depth = min(uintBitsToFloat(Words(m.depth).v[i]), FAR);
    s.normal = s.depth > 0.0 && s.depth < FAR ? decode_normal(Words(m.normal).v[i]) : vec3(0.0);
    s.position = (m.origin.xyz + m.step_x.xyz * float(pixel.x) + m.step_y.xyz * float(pixel.y)) * s.depth;
    s.roughness = push.kind == 1u ? float(Words(m.material).v[i] & 255u) / 255.0 : 0.0;
    return s;
}

// Near exp(-x), 0 from 8 on and for NaN.
float falloff(float x) {
    float y = 1.0 - (x < 8.0 ? x * 0.125 : 1.0);
    y *= y;
    y *= y;
    return y * y;
}

float alike(Seen here, Seen there, float per_pixel) {
    float off_plane = abs(dot(here.normal, there.position - here.position)) * per_pixel;
    float weight = falloff(off_plane) * pow(max(dot(here.normal, there.normal), 0.0), 64.0);
    return push.kind == 1u ? weight * (1.0 - min(abs(here.roughness - there.roughness) * 8.0, 1.0)) : weight;
}

float luminance(vec3 light) {
    return dot(light, vec3(0.2126, 0.7152, 0.0722));
}

vec4 finite(vec4 v) {
    return mix(vec4(0.0), v, lessThanEqual(abs(v), vec4(HALF_MAX)));
}

vec4 light_at(Merged m, uvec2 pixel) {
    return unpack_layer(Halves(push.source).v[pixel.y * m.extent.x + pixel.x]);
}

// Cuts an outlier and tells the noise from differences of neighbours.
vec4 estimate(Merged m, uvec2 pixel) {
    Seen here = seen(m, pixel);
    vec4 light = finite(light_at(m, pixel));
    float scale = 1.0 / max(here.depth * m.origin.w, 1e-20);
    float sum = 0.0, sum_light = 0.0, sum_square = 0.0;
    vec2 pairs = vec2(0.0), differences = vec2(0.0);
    vec2 above[5] = vec2[](vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0));
    for (int dy = -2; dy <= 2; dy++) {
        int y = int(pixel.y) + dy;
        if (y < 0 || y >= int(m.extent.y)) {
            continue;
        }
        vec2 left = vec2(0.0);
        for (int dx = -2; dx <= 2; dx++) {
            int x = int(pixel.x) + dx;
            vec2 now = vec2(0.0);
            if (x >= 0 && x < int(m.extent.x)) {
                uvec2 at = uvec2(x, y);
                now = vec2(alike(here, seen(m, at), scale), luminance(finite(light_at(m, at)).rgb));
            }
            if (dx != 0 || dy != 0) {
                sum += now.x;
                sum_light += now.x * now.y;
                sum_square += now.x * now.y * now.y;
            }
            vec2 both = vec2(left.x, above[dx + 2].x) * now.x;
            vec2 difference = vec2(left.y, above[dx + 2].y) - now.y;
            pairs += both;
            differences += both * difference * difference;
            left = now;
            above[dx + 2] = now;
        }
    }
    float mean = sum_light / max(sum, 1e-6);
    float spread = sqrt(max(sum_square / max(sum, 1e-6) - mean * mean, 0.0));
    float own = luminance(light.rgb);
    float most = mean + spread * OUTLIER_SIGMAS;
    if (most < own && sum >= 4.0) {
        light.rgb *= most / max(own, 1e-6);
    }
    vec2 noise = differences / max(pairs, vec2(1e-6));
    bool known = pairs.x >= 1.0 && pairs.y >= 1.0;
    return vec4(light.rgb, finite(vec4(known ? sqrt(min(noise.x, noise.y) * 0.5 * CORRELATION) : spread)).x);
}

// A pass of the wavelet.
vec4 smoothed(Merged m, uvec2 pixel) {
    Seen here = seen(m, pixel);
    vec4 light = light_at(m, pixel);
    float own = luminance(light.rgb);
    float sigma = light.a * LUMINANCE_SIGMAS;
    if (push.kind == 1u) {
        sigma *= clamp((here.roughness - SHARP_ROUGHNESS) / (DULL_ROUGHNESS - SHARP_ROUGHNESS), 0.0, 1.0);
    }
    float per_luminance = 1.0 / max(sigma, 1e-6);
    int reach = int(push.samples);
    float scale = 1.0 / max(here.depth * (m.origin.w * float(reach)), 1e-20);
    float total = SPLINE[0] * SPLINE[0];
    vec3 sum = light.rgb * total;
    float variance = light.a * light.a * total * total;
    for (int j = -1; j <= 1; j++) {
        for (int i = -1; i <= 1; i++) {
            ivec2 at = ivec2(pixel) + ivec2(i, j) * reach;
            bool inside = all(greaterThanEqual(at, ivec2(0))) && all(lessThan(at, ivec2(m.extent)));
            if ((i == 0 && j == 0) || !inside) {
                continue;
            }
            vec4 there = light_at(m, uvec2(at));
            float apart = abs(luminance(there.rgb) - own) * per_luminance;
            float weight = alike(here, seen(m, uvec2(at)), scale) * falloff(apart) * SPLINE[abs(i)] * SPLINE[abs(j)];
            total += weight;
            sum += weight * there.rgb;
            variance += weight * weight * there.a * there.a;
        }
    }
    return vec4(sum / total, sqrt(variance) / total);
}

void main() {
    Merged m = Merged(push.params);
    uvec2 pixel = invocation_pixel();
    if (any(greaterThanEqual(pixel, m.extent))) {
        return;
    }
    vec4 result = push.samples == 0u ? estimate(m, pixel) : smoothed(m, pixel);
    uint i = pixel.y * m.extent.x + pixel.x;
    if (push.radius == 1u) {
        result.a = unpack_layer(Halves(m.light).v[i]).a;
    }
    Halves(push.target).v[i] = pack_layer(result);
}
