// closest() and occluded() by VK_KHR_ray_query.
//
// The includer defines accept_hit(), as for traverse.glsl; only triangles that are not opaque come to it. Lanes need not
// reach the calls together here, but a lane without a ray passes t_max < t_min, as it does there.

#extension GL_EXT_ray_query : require
#include "hit.glsl"
#include "geometry.glsl"

bool closest(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max, out Hit hit) {
    hit = Hit(t_max, 0u, 0u, vec2(0.0));
    if (!(t_min < t_max)) {
        return false;
    }
    rayQueryEXT query;
    rayQueryInitializeEXT(
        query, accelerationStructureEXT(tlas), gl_RayFlagsNoneEXT, 0xffu, origin, t_min, direction, t_max);
    while (rayQueryProceedEXT(query)) {
        uint instance = uint(rayQueryGetIntersectionInstanceIdEXT(query, false));
        uint primitive = mesh_primitive(
            instance, rayQueryGetIntersectionGeometryIndexEXT(query, false),
            rayQueryGetIntersectionPrimitiveIndexEXT(query, false));
        if (accept_hit(instance, primitive, rayQueryGetIntersectionBarycentricsEXT(query, false), false)) {
            rayQueryConfirmIntersectionEXT(query);
        }
    }
    if (rayQueryGetIntersectionTypeEXT(query, true) != gl_RayQueryCommittedIntersectionTriangleEXT) {
        return false;
    }
    hit.t = rayQueryGetIntersectionTEXT(query, true);
    hit.instance = uint(rayQueryGetIntersectionInstanceIdEXT(query, true));
    hit.primitive = mesh_primitive(
        hit.instance, rayQueryGetIntersectionGeometryIndexEXT(query, true),
        rayQueryGetIntersectionPrimitiveIndexEXT(query, true));
    hit.barycentrics = rayQueryGetIntersectionBarycentricsEXT(query, true);
    hit = rounded_alike(hit, origin, direction);
    return true;
}

bool occluded(uint64_t tlas, vec3 origin, vec3 direction, float t_min, float t_max) {
    if (!(t_min < t_max)) {
        return false;
    }
    rayQueryEXT query;
    rayQueryInitializeEXT(
        query, accelerationStructureEXT(tlas), gl_RayFlagsTerminateOnFirstHitEXT, 0xffu, origin, t_min, direction,
        t_max);
    while (rayQueryProceedEXT(query)) {
        uint instance = uint(rayQueryGetIntersectionInstanceIdEXT(query, false));
        uint primitive = mesh_primitive(
            instance, rayQueryGetIntersectionGeometryIndexEXT(query, false),
            rayQueryGetIntersectionPrimitiveIndexEXT(query, false));
        if (accept_hit(instance, primitive, rayQueryGetIntersectionBarycentricsEXT(query, false), true)) {
            rayQueryConfirmIntersectionEXT(query);
        }
    }
    return rayQueryGetIntersectionTypeEXT(query, true) == gl_RayQueryCommittedIntersectionTriangleEXT;
}
