//! The three ways to find what a ray hits: by our own trees in plain compute, or by the device's ray tracing.

use std::fmt;
use std::str::FromStr;

/// How rays are traced. All shade by the same sources, and agree but for rays that graze an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrontEnd {
    /// `rayloom-bvh`'s trees, walked in compute shaders: runs on every device.
    Compute,
    /// Ray queries in compute shaders (`VK_KHR_ray_query`).
    RayQuery,
    /// Ray generation, hit and miss shaders (`VK_KHR_ray_tracing_pipeline`).
    RtPipeline,
}

impl FrontEnd {
    /// All of them.
    pub const ALL: [FrontEnd; 3] = [FrontEnd::Compute, FrontEnd::RayQuery, FrontEnd::RtPipeline];

    /// Its name in options, logs and figures.
    pub fn name(self) -> &'static str {
        match self {
            FrontEnd::Compute => "compute",
            FrontEnd::RayQuery => "ray-query",
            FrontEnd::RtPipeline => "rt-pipeline",
        }
    }

    /// The device extensions without which it can't be had.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            FrontEnd::Compute => &[],
            FrontEnd::RayQuery => {
                &["VK_KHR_acceleration_structure", "VK_KHR_deferred_host_operations", "VK_KHR_ray_query"]
            }
            FrontEnd::RtPipeline => {
                &["VK_KHR_acceleration_structure", "VK_KHR_deferred_host_operations", "VK_KHR_ray_tracing_pipeline"]
            }
        }
    }

    /// True when the device's own structures are walked instead of `rayloom-bvh`'s.
    pub(crate) fn is_hardware(self) -> bool {
        self != FrontEnd::Compute
    }
}

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FrontEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<FrontEnd, String> {
        let known = FrontEnd::ALL.into_iter().find(|f| f.name() == text);
        known.ok_or_else(|| {
            format!("{text:?} is no front end; there are {}", FrontEnd::ALL.map(FrontEnd::name).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for f in FrontEnd::ALL {
            assert_eq!(f.to_string().parse(), Ok(f));
        }
        assert!("rasterizer".parse::<FrontEnd>().is_err_and(|e| e.contains("ray-query")));
    }
}
