//! Filters of what views show: on the session's threads, on the GPU that the embedded peer would take, or by another's library.

use crate::Error;
use crate::config::{Denoise, SessionDesc};
use crate::workers::MergeThreads;
use parking_lot::Mutex;
use rayloom_frame::LayerKind;
use rayloom_frame::filter::{FILTERED, Filter};
use rayloom_frame::merge::MergedFrame;
use rayloom_oidn::{OidnDenoiser, OpenImageDenoise};
#[cfg(feature = "embedded-peer")]
use {
    crate::session::ALLOW_CPU,
    rayloom_peer::{Denoiser, Renderer, RendererError, RendererOptions},
    std::sync::Arc,
};

/// Makes filters; opens a device once one is asked for.
#[derive(Default)]
pub(crate) struct Denoising {
    #[cfg(feature = "embedded-peer")]
    options: RendererOptions,
    #[cfg(feature = "embedded-peer")]
    device: Mutex<Option<Arc<Renderer>>>,
    open_image: Mutex<Option<OpenImageDenoise>>,
}

/// What a view's pipelines make their filters of.
#[derive(Clone, Default)]
pub(crate) enum Filters {
    #[default]
    Off,
    Cpu,
    #[cfg(feature = "embedded-peer")]
    Gpu(Arc<Renderer>),
    OpenImage(OpenImageDenoise),
    /// Leaves light as it is, once the gate is open.
    #[cfg(test)]
    Gated(Gate),
}

/// What a test's filter waits for.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Gate(std::sync::Arc<(parking_lot::Mutex<GateState>, parking_lot::Condvar)>);

#[cfg(test)]
#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting: usize,
}

#[cfg(test)]
impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.lock().is_open = true;
        self.0.1.notify_all();
    }

    /// Until a filter stands before it.
    pub(crate) fn wait_for_a_filter(&self) {
        self.0.1.wait_while(&mut self.0.0.lock(), |state| state.waiting == 0);
    }

    fn pass(&self) {
        let mut state = self.0.0.lock();
        state.waiting += 1;
        self.0.1.notify_all();
        self.0.1.wait_while(&mut state, |state| !state.is_open);
        state.waiting -= 1;
    }
}

/// A pipeline's filter.
pub(crate) enum Filtering {
    Off,
    Cpu(Filter),
    /// On something that may fail, with what takes over then.
    Elsewhere {
        by: Elsewhere,
        has_failed: bool,
        instead: Filter,
    },
    #[cfg(test)]
    Gated(Gate),
}

/// A filter that may fail.
pub(crate) enum Elsewhere {
    #[cfg(feature = "embedded-peer")]
    Gpu(Box<Denoiser>),
    OpenImage(Box<OidnDenoiser>),
}

impl Denoising {
    pub(crate) fn new(desc: &SessionDesc) -> Denoising {
        #[cfg(feature = "embedded-peer")]
        return Denoising { options: crate::session::embedded_renderer(desc), ..Denoising::default() };
        #[cfg(not(feature = "embedded-peer"))]
        {
            let _ = desc;
            Denoising::default()
        }
    }

    /// What a view asks for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no GPU or no library to filter with, with what was found.
    pub(crate) fn filters(&self, asked: Denoise) -> Result<Filters, Error> {
        match asked {
            Denoise::Off => Ok(Filters::Off),
            Denoise::Cpu => Ok(Filters::Cpu),
            Denoise::Gpu => self.on_device(),
            Denoise::OpenImage => self.by_open_image(),
        }
    }

    fn by_open_image(&self) -> Result<Filters, Error> {
        let mut loaded = self.open_image.lock();
        if let Some(library) = &*loaded {
            return Ok(Filters::OpenImage(library.clone()));
        }
        let library = OpenImageDenoise::load().map_err(|error| Error::Unsupported(error.to_string()))?;
        tracing::info!("views are filtered by {}", library.description());
        Ok(Filters::OpenImage(loaded.insert(library).clone()))
    }

    #[cfg(feature = "embedded-peer")]
    fn on_device(&self) -> Result<Filters, Error> {
        let mut device = self.device.lock();
        if let Some(device) = &*device {
            return Ok(Filters::Gpu(Arc::clone(device)));
        }
        let opened = Renderer::new(&self.options).map_err(|error| {
            let cause = match error {
                // The error's own words are for operators of peers.
                RendererError::CpuRefused { device } => {
                    format!("the Vulkan device {device:?} is a CPU, and none is allowed ({ALLOW_CPU})")
                }
                error => error.to_string(),
            };
            Error::Unsupported(format!(
                "filtering on the GPU: {cause}; filter on the CPU (Denoise::Cpu, in C RAYLOOM_VIEW_DENOISE)"
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
            #[cfg(test)]
            Filters::Gated(gate) => Filtering::Gated(gate.clone()),
            #[cfg(feature = "embedded-peer")]
            Filters::Gpu(device) => Filtering::elsewhere(Elsewhere::Gpu(Box::new(device.denoiser()))),
            Filters::OpenImage(library) => Filtering::elsewhere(Elsewhere::OpenImage(Box::new(library.denoiser()))),
        }
    }
}

impl Elsewhere {
    fn run<'a>(&'a mut self, frame: &MergedFrame<'a>, is_wanted: &dyn Fn() -> bool) -> Result<MergedFrame<'a>, String> {
        match self {
            #[cfg(feature = "embedded-peer")]
            Elsewhere::Gpu(denoiser) => denoiser.run(frame).map_err(|error| format!("on the GPU: {error}")),
            Elsewhere::OpenImage(denoiser) => denoiser.run(frame, is_wanted).map_err(|error| error.to_string()),
        }
    }
}

impl Filtering {
    fn elsewhere(by: Elsewhere) -> Filtering {
        Filtering::Elsewhere { by, has_failed: false, instead: Filter::default() }
    }

    /// True when it changes what is shown of such a frame.
    pub(crate) fn filters(&self, frame: &MergedFrame<'_>) -> bool {
        let has = |kinds: &[LayerKind]| kinds.iter().any(|kind| frame.layer(*kind).is_some());
        match self {
            Filtering::Off => false,
            Filtering::Elsewhere { by: Elsewhere::OpenImage(_), has_failed: false, .. } => has(&rayloom_oidn::DENOISED),
            _ => has(&FILTERED),
        }
    }

    /// True when frames that a newer one has overtaken are not worth its time.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Filtering::Off)
    }

    /// What is shown of a merged frame; what takes long asks now and then whether it still will be.
    pub(crate) fn run<'a>(
        &'a mut self,
        frame: MergedFrame<'a>,
        threads: &MergeThreads,
        is_wanted: &dyn Fn() -> bool,
    ) -> MergedFrame<'a> {
        match self {
            Filtering::Off => frame,
            Filtering::Cpu(filter) => filter.run_with(&frame, threads),
            #[cfg(test)]
            Filtering::Gated(gate) => {
                gate.pass();
                frame
            }
            Filtering::Elsewhere { by, has_failed, instead } => {
                if !*has_failed {
                    match by.run(&frame, is_wanted) {
                        Ok(filtered) => return filtered,
                        Err(error) => {
                            tracing::error!("filtering failed, the built-in filter goes on on the CPU: {error}");
                            *has_failed = true;
                        }
                    }
                }
                instead.run_with(&frame, threads)
            }
        }
    }
}
