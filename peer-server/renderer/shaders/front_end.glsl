// The front end that glslc was told by -D: a file with closest() and occluded(), and nothing else that shading sees.

#if defined(RAY_QUERY)
#include "ray_query.glsl"
#elif defined(RT_PIPELINE)
#include "rt_pipeline.glsl"
#else
#include "traverse.glsl"
#endif
