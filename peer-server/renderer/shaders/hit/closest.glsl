// Closest hit of the RT pipeline: says what was hit; shading happens where the ray was asked for.
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
    payload = Hit(gl_HitTEXT, instance, mesh_primitive(instance, gl_GeometryIndexEXT, gl_PrimitiveID), barycentrics);
}
