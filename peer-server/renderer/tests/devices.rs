//! Devices are listed with reasons, named by number or part of the name, and a CPU only on request.
mod small_scenes;

use rayloom_renderer::{DeviceKind, Renderer, RendererError, RendererOptions, list_devices};

#[test]
fn every_device_has_a_name_a_version_and_a_verdict() {
    let devices = list_devices().expect("tests need a Vulkan driver");
    assert!(!devices.is_empty());
    for (i, d) in devices.iter().enumerate() {
        assert_eq!(d.index, i);
        assert!(!d.name.is_empty() && d.api_version.0 >= 1);
        let line = d.to_string();
        assert!(line.contains(&d.name) && line.contains("usable"), "{line}");
    }
}

#[test]
fn a_device_is_found_by_number_and_by_a_part_of_its_name() {
    let devices = list_devices().expect("tests need a Vulkan driver");
    let usable = devices.iter().find(|d| d.unusable.is_none()).expect("tests need a usable device");
    let part = usable.name.split(' ').next().expect("split gives one").to_uppercase();
    for device in [usable.index.to_string(), part] {
        let options = RendererOptions { device: Some(device), allow_cpu: true, ..Default::default() };
        let renderer = Renderer::new(&options).expect("it is usable");
        assert_eq!(renderer.device().name, usable.name);
        assert!(renderer.choice().contains(&usable.name));
    }
}

#[test]
fn an_unknown_device_is_refused_with_the_list() {
    let options = RendererOptions { device: Some("Voodoo 2".into()), allow_cpu: true, ..Default::default() };
    let error = Renderer::new(&options).err().expect("there is no such device");
    let devices = list_devices().expect("tests need a Vulkan driver");
    assert!(matches!(error, RendererError::NoDevice { .. }));
    assert!(error.to_string().contains("Voodoo 2") && error.to_string().contains(&devices[0].name), "{error}");
}

#[test]
fn a_cpu_is_refused_unless_allowed() {
    let devices = list_devices().expect("tests need a Vulkan driver");
    if let Some(cpu) = devices.iter().find(|d| d.kind == DeviceKind::Cpu && d.unusable.is_none()) {
        let options = RendererOptions { device: Some(cpu.index.to_string()), ..Default::default() };
        let error = Renderer::new(&options).err().expect("it is a CPU");
        assert!(matches!(error, RendererError::CpuRefused { .. }), "{error}");
        assert!(error.to_string().contains("--allow-cpu"));
    }
}
