//! The memory that the process may use.

use std::fs;

/// LIMIT: the address space that a process surely has on 32 bits; some kernels give 3 GiB, some 2.
const ADDRESSES: u64 = usize::MAX as u64 / 2;

/// Returns the least of the machine's memory, the control group's limit and the address space.
pub fn usable_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| parse_meminfo(&text));
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let group = group.iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    });
    let least = [machine, group].into_iter().flatten().min();
    least.map(|bytes| bytes.min(ADDRESSES))
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_can_be_addressed() {
        assert!(usable_bytes().is_none_or(|bytes| usize::try_from(bytes).is_ok()));
    }

    #[test]
    fn meminfo() {
        let text = "MemTotal:        1024 kB\nMemFree: 1 kB\n";
        assert_eq!(parse_meminfo(text), Some(1 << 20));
        assert_eq!(parse_meminfo("MemTotal: much"), None);
    }
}
