// closest() and occluded() by VK_KHR_ray_tracing_pipeline, called in ray generation shaders. Rays never start rays, so a
// recursion of one is all that the pipeline needs; accept_hit() is called by the any-hit shader (hit/masked.glsl), which finds the seed of coverage
// and the passage of shadow rays in the payload.
//
// Lanes need not reach the calls together here, but a lane without a ray passes t_max < t_min, as for traverse.glsl.

#extension GL_EXT_ray_tracing : require
#include "hit.glsl"
#include "geometry.glsl"

layout(location = 0) rayPayloadEXT Hit payload;

bool closest(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, out Hit hit) {
    hit = Hit(t_max, 0u, 0u, vec2(0.0));
    if (!(t_min < t_max)) {
        return false;
    }
    payload.t = 0.0;
    payload.instance = coverage_seed;
    traceRayEXT(
        accelerationStructureEXT(tlas), gl_RayFlagsNoneEXT, 0xffu, 0u, 0u, 0u, origin, t_min, direction, t_max, 0);
    if (payload.t < 0.0) {
        return false;
    }
    hit = rounded_alike(payload, origin, direction);
    return true;
}

bool occluded(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max) {
    if (!(t_min < t_max)) {
        return false;
    }
    // The miss shader writes a distance below zero, the any-hit shader what clear sheets leave of the passage.
    payload = Hit(passes ? 1.0 : 0.0, coverage_seed, floatBitsToUint(1.0), vec2(1.0));
    uint flags = gl_RayFlagsTerminateOnFirstHitEXT | gl_RayFlagsSkipClosestHitShaderEXT;
    traceRayEXT(accelerationStructureEXT(tlas), flags, 0xffu, 0u, 0u, 0u, origin, t_min, direction, t_max, 0);
    passage = vec3(uintBitsToFloat(payload.primitive), payload.barycentrics);
    return payload.t >= 0.0;
}
