//! Filters of what views show: on the session's threads, or on the GPU that the embedded peer would take.

use crate::Error;
use crate::config::{Denoise, SessionDesc};
use crate::workers::MergeThreads;
use rayloom_frame::filter::Filter;
use rayloom_frame::merge::MergedFrame;
#[cfg(feature = "embedded-peer")]
use {
    parking_lot::Mutex,
    rayloom_peer::{Denoiser, Renderer, RendererOptions},
    std::sync::Arc,
};

/// Makes filters; opens a device once one is asked for.
#[derive(Default)]
pub(crate) struct Denoising {
    #[cfg(feature = "embedded-peer")]
    options: RendererOptions,
    #[cfg(feature = "embedded-peer")]
    device: Mutex<Option<Arc<Renderer>>>,
}

/// What a view's pipelines make their filters of.
#[derive(Clone, Default)]
pub(crate) enum Filters {
    #[default]
    Off,
    Cpu,
    #[cfg(feature = "embedded-peer")]
    Gpu(Arc<Renderer>),
}

/// A pipeline's filter.
pub(crate) enum Filtering {
    Off,
    Cpu(Filter),
    /// With what takes over when the device fails.
    #[cfg(feature = "embedded-peer")]
    Gpu {
        denoiser: Box<Denoiser>,
        has_failed: bool,
        instead: Filter,
    },
}

impl Denoising {
    pub(crate) fn new(desc: &SessionDesc) -> Denoising {
        #[cfg(feature = "embedded-peer")]
        return Denoising { options: crate::session::embedded_renderer(desc), device: Mutex::default() };
        #[cfg(not(feature = "embedded-peer"))]
        {
            let _ = desc;
            Denoising::default()
        }
    }

    /// What a view asks for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no GPU to filter on, with what was found.
    pub(crate) fn filters(&self, asked: Denoise) -> Result<Filters, Error> {
        match asked {
            Denoise::Off => Ok(Filters::Off),
            Denoise::Cpu => Ok(Filters::Cpu),
            Denoise::Gpu => self.on_device(),
        }
    }

    #[cfg(feature = "embedded-peer")]
    fn on_device(&self) -> Result<Filters, Error> {
        let mut device = self.device.lock();
        if let Some(device) = &*device {
            return Ok(Filters::Gpu(Arc::clone(device)));
        }
        let opened = Renderer::new(&self.options).map_err(|error| {
            Error::Unsupported(format!(
                "filtering on the GPU: {error}; filter on the CPU (Denoise::Cpu, in C RAYLOOM_VIEW_DENOISE)"
            ))
        })?;
        Ok(Filters::Gpu(Arc::clone(device.insert(Arc::new(opened)))))
    }

    #[cfg(not(feature = "embedded-peer"))]
    fn on_device(&self) -> Result<Filters, Error> {
        let text = "filtering on the GPU needs a build with the feature embedded-peer; filter on the CPU";
        Err(Error::Unsupported(text.into()))
    }
}

impl Filters {
    pub(crate) fn filter(&self) -> Filtering {
        match self {
            Filters::Off => Filtering::Off,
            Filters::Cpu => Filtering::Cpu(Filter::default()),
            #[cfg(feature = "embedded-peer")]
            Filters::Gpu(device) => {
                Filtering::Gpu { denoiser: Box::new(device.denoiser()), has_failed: false, instead: Filter::default() }
            }
        }
    }
}

impl Filtering {
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Filtering::Off)
    }

    /// What is shown of a merged frame.
    pub(crate) fn run<'a>(&'a mut self, frame: MergedFrame<'a>, threads: &MergeThreads) -> MergedFrame<'a> {
        match self {
            Filtering::Off => frame,
            Filtering::Cpu(filter) => filter.run_with(&frame, threads),
            #[cfg(feature = "embedded-peer")]
            Filtering::Gpu { denoiser, has_failed, instead } => {
                if !*has_failed {
                    match denoiser.run(&frame) {
                        Ok(filtered) => return filtered,
                        Err(error) => {
                            tracing::warn!("filtering on the GPU failed, the CPU goes on: {error}");
                            *has_failed = true;
                        }
                    }
                }
                instead.run_with(&frame, threads)
            }
        }
    }
}
