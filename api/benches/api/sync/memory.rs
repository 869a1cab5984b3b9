//! The memory of a process.

/// The resident memory, in MB.
pub fn resident(process: u32) -> f64 {
    figure(process, "VmRSS:")
}

/// The highest resident memory since the start of the process, or since [`reset_peak`], in MB.
pub fn peak(process: u32) -> f64 {
    figure(process, "VmHWM:")
}

/// Lets [`peak`] begin again.
pub fn reset_peak(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

fn figure(process: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    // In units of 1,024 bytes, whatever the file calls them.
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1.024e-3
}
