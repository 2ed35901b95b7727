// Any hit of the RT pipeline, for triangles that are not opaque: passes through the material's holes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_ray_tracing : require
#include "../params.glsl"
#include "../material.glsl"
#include "../hit.glsl"
#include "../geometry.glsl"

layout(location = 0) rayPayloadInEXT Hit payload;
hitAttributeEXT vec2 barycentrics;

void main() {
    uint instance = uint(gl_InstanceID);
    coverage_seed = payload.instance;
    passes = payload.t > 0.5;
    passing_direction = gl_WorldRayDirectionEXT;
    passage = vec3(uintBitsToFloat(payload.primitive), payload.barycentrics);
    bool met = accept_hit(instance, mesh_primitive(instance, gl_GeometryIndexEXT, gl_PrimitiveID), barycentrics, passes);
    if (passes) {
        payload.primitive = floatBitsToUint(passage.r);
        payload.barycentrics = passage.gb;
    }
    if (!met) {
        ignoreIntersectionEXT;
    }
}
