//! Confines the child as far as the kernel can: no files but those that are open, no network, no other programs.
//!
//! Namespaces, Landlock and seccomp are all applied, because kernels and containers may have only some of them. Without any, the
//! limits of the process and its empty environment remain. The order is theirs: seccomp refuses new namespaces, and a process with
//! several threads gets no user namespace.

use std::collections::BTreeMap;
use std::fmt;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities, unshare_unsafe};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads, sock_filter,
};
use serde::{Deserialize, Serialize};

/// What confines a process that reads files, beside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// A user namespace of its own, in which it is no user of the system.
    pub user_namespace: bool,
    /// A network namespace of its own, without any network.
    pub network_namespace: bool,
    /// Namespaces of its own for shared memory and message queues, and for the names of the host.
    pub other_namespaces: bool,
    /// No capabilities, not even in its own namespaces.
    pub no_capabilities: bool,
    /// Landlock: no access to files by name and to TCP.
    pub landlock: bool,
    /// seccomp: no system calls that a reader of files does not need.
    pub seccomp: bool,
}

impl Confinement {
    /// The names of all layers, and whether each is present.
    #[must_use]
    pub const fn layers(&self) -> [(&'static str, bool); 6] {
        [
            ("user namespace", self.user_namespace),
            ("network namespace", self.network_namespace),
            ("other namespaces", self.other_namespaces),
            ("no capabilities", self.no_capabilities),
            ("Landlock", self.landlock),
            ("seccomp", self.seccomp),
        ]
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present: Vec<_> =
            self.layers().into_iter().filter(|(_, is_present)| *is_present).map(|(name, _)| name).collect();
        f.write_str(if present.is_empty() { "nothing" } else { "" })?;
        f.write_str(&present.join(", "))
    }
}

/// Confines this process with all its threads; call it before others start.
pub(crate) fn confine() -> Confinement {
    // The first gives the capabilities for the others, which the process loses again.
    let user_namespace = enter(UnshareFlags::NEWUSER);
    let network_namespace = enter(UnshareFlags::NEWNET);
    let other_namespaces = enter(UnshareFlags::NEWIPC | UnshareFlags::NEWUTS);
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Confinement {
        user_namespace,
        network_namespace,
        other_namespaces,
        no_capabilities: set_capabilities(None, none).is_ok(),
        landlock: landlock().unwrap_or(false),
        seccomp: seccomp().is_some(),
    }
}

/// Enters new namespaces, where the kernel and the container allow it.
#[allow(unsafe_code, reason = "only flags that leave file descriptors alone are passed")]
fn enter(namespaces: UnshareFlags) -> bool {
    // SAFETY: the table of file descriptors stays that of all threads, because `FILES` is not among the flags.
    unsafe { unshare_unsafe(namespaces) }.is_ok()
}

/// Takes away all access to files and to TCP.
fn landlock() -> Option<bool> {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V5)).ok()?;
    let ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V5)).ok()?;
    let status = ruleset.create().ok()?.restrict_self().ok()?;
    Some(status.ruleset != RulesetStatus::NotEnforced)
}

/// Refuses system calls that a reader of files never needs. They fail with an error, as without permission.
fn seccomp() -> Option<()> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = refused().into_iter().map(|call| (call, Vec::new())).collect();
    rules.extend(refused_for_others()?);
    refuse(rules, libc::EPERM)?;
    refuse_numbers_of_x32()?;
    // A filter cannot read the flags of this call, which stand in memory. Without it threads start with `clone`.
    refuse(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

/// Lets system calls fail with an error: all of a number without rules, otherwise those that match one of them.
fn refuse(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Option<()> {
    let refuse = SeccompAction::Errno(error as u32);
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into().ok()?).ok()?;
    let program: BpfProgram = filter.try_into().ok()?;
    apply_filter_all_threads(&program).ok()
}

/// The bit in the numbers of system calls of the x32 ABI, which the kernel takes for the same architecture as the others.
const X32: u32 = 0x4000_0000;

/// Refuses all system calls by their numbers in the x32 ABI, of which the other filters know none.
fn refuse_numbers_of_x32() -> Option<()> {
    let instruction = |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
    let program: BpfProgram = vec![
        // The number stands first in what the filter sees.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    apply_filter_all_threads(&program).ok()
}

/// System calls that a reader of files needs for itself and its threads: new processes, which could have namespaces of their own,
/// and signals to and limits of other processes of the same user are refused.
fn refused_for_others() -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let own = u64::from(std::process::id());
    let first = |length, operator, value| SeccompCondition::new(0, length, operator, value);
    let no_thread = first(SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64), 0);
    let other = || first(SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, own);
    // The C library names its own process by 0 here.
    let named = first(SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0);
    let calls = [
        (libc::SYS_clone, no_thread),
        (libc::SYS_tgkill, other()),
        (libc::SYS_tkill, other()),
        (libc::SYS_prlimit64, named),
    ];
    calls
        .into_iter()
        .map(|(call, condition)| Some((call, vec![SeccompRule::new(vec![condition.ok()?]).ok()?])))
        .collect()
}

/// Calls that take files by name and that the library names not at all or not for all architectures: `fchmodat2`, `setxattrat`,
/// `getxattrat`, `listxattrat`, `removexattrat`, `file_getattr` and `file_setattr`, which have one number everywhere.
const UNNAMED: [i64; 7] = [452, 463, 464, 465, 466, 468, 469];

fn refused() -> Vec<i64> {
    let mut calls = vec![
        // Files by name.
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_truncate,
        // Landlock does not know owners, modes, times and attributes.
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        // Nor who may read a file, where a link leads, and what its attributes and file system say. `statx` and `newfstatat` stay:
        // the C library asks about open files by them.
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_statfs,
        libc::SYS_getxattr,
        libc::SYS_lgetxattr,
        libc::SYS_listxattr,
        libc::SYS_llistxattr,
        libc::SYS_chdir,
        libc::SYS_chroot,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_memfd_create,
        libc::SYS_inotify_init1,
        libc::SYS_fanotify_init,
        // Network.
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        // Other programs and processes.
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_send_signal,
        // Priorities and memory of other processes of the same user.
        libc::SYS_setpriority,
        libc::SYS_ioprio_set,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
        libc::SYS_process_madvise,
        libc::SYS_kcmp,
        libc::SYS_setns,
        libc::SYS_unshare,
        // The kernel itself.
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_sethostname,
        libc::SYS_settimeofday,
        libc::SYS_personality,
    ];
    calls.extend(UNNAMED);
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        libc::SYS_open,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_creat,
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
        libc::SYS_mknod,
        libc::SYS_iopl,
        libc::SYS_ioperm,
    ]);
    calls
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpStream;
    use std::process::{Command, id};

    use rustix::process::{Resource, getppid, getrlimit, prlimit, setrlimit};

    use super::*;

    /// Makes a system call whose arguments are numbers, and returns the number of its error.
    #[allow(unsafe_code, reason = "no argument is an address, and a new process ends at once")]
    fn call(number: libc::c_long, arguments: [libc::c_long; 3]) -> Option<i32> {
        let [first, second, third] = arguments;
        // SAFETY: the calls below take numbers alone, and 0 for the addresses that may be missing.
        let returned = unsafe { libc::syscall(number, first, second, third, 0_i64, 0_i64) };
        if number == libc::SYS_clone && returned == 0 {
            // SAFETY: ends the new process without anything of this one.
            unsafe { libc::_exit(0) }
        }
        (returned == -1).then(|| std::io::Error::last_os_error().raw_os_error()).flatten()
    }

    /// New processes and namespaces, and signals to and limits of another process are refused; those of the own one are not.
    fn assert_other_processes_are_out_of_reach() {
        for flags in [0, libc::CLONE_NEWUSER, libc::CLONE_NEWUSER | libc::CLONE_NEWNET] {
            let refused = call(libc::SYS_clone, [(flags | libc::SIGCHLD).into(), 0, 0]);
            assert_eq!(refused, Some(libc::EPERM), "a process was made with the flags {flags:x}");
        }
        let parent = getppid().expect("a parent");
        let [own, other] = [i64::from(id()), parent.as_raw_pid().into()];
        // The signal 0 is none: the kernel says whether one may be sent.
        assert_eq!(call(libc::SYS_tgkill, [other, other, 0]), Some(libc::EPERM), "the parent may be killed");
        assert_eq!(call(libc::SYS_tgkill, [own, own, 0]), None, "the process cannot abort");
        let same = getrlimit(Resource::Core);
        assert!(prlimit(Some(parent), Resource::Core, same).is_err(), "the parent may be limited");
        assert!(setrlimit(Resource::Core, same).is_ok(), "the process cannot limit itself");
    }

    /// Confines this process, so it runs in one of its own, below.
    #[test]
    #[ignore = "confines its process: run by the other test"]
    fn confined_process_probes_its_limits() {
        let open = File::open("/proc/self/exe").expect("an open file");
        let confinement = confine();
        if !confinement.seccomp && !confinement.landlock {
            // This kernel has neither.
            return;
        }
        assert!(File::open("/etc/passwd").is_err(), "a file was opened");
        assert!(File::create("/tmp/nvisy-confined").is_err(), "a file was created");
        assert!(open.metadata().is_ok(), "the open file is lost");
        if confinement.seccomp {
            assert!(TcpStream::connect("127.0.0.1:9").is_err_and(|error| error.raw_os_error() == Some(libc::EPERM)));
            assert!(Command::new("/bin/true").status().is_err(), "a program was started");
            assert_other_processes_are_out_of_reach();
            // The kernel would miss a name, which is another error.
            for number in [libc::SYS_lsetxattr, libc::SYS_lremovexattr].into_iter().chain(UNNAMED) {
                assert_eq!(call(number, [0, 0, 0]), Some(libc::EPERM), "the system call {number} changes files");
            }
            assert_eq!(call(libc::SYS_getpid | i64::from(X32), [0, 0, 0]), Some(libc::EPERM), "x32 has calls");
            for number in [libc::SYS_setpriority, libc::SYS_sched_setaffinity, libc::SYS_ioprio_set] {
                assert_eq!(call(number, [0, 0, 0]), Some(libc::EPERM), "the system call {number} is made");
            }
            for number in [libc::SYS_readlinkat, libc::SYS_statfs, libc::SYS_getxattr, libc::SYS_faccessat] {
                assert_eq!(call(number, [0, 0, 0]), Some(libc::EPERM), "the system call {number} asks about files");
            }
            let owner = std::os::unix::fs::lchown("/nvisy-none", None, None);
            assert!(owner.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM)), "an owner may be changed");
        }
        assert!(std::thread::spawn(|| vec![1_u8; 1 << 20].len()).join().is_ok(), "threads and memory are lost");
    }

    #[test]
    fn confined_process_has_no_files_network_or_programs() {
        let name = "sandbox::tests::confined_process_probes_its_limits";
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", name, "--ignored", "--nocapture", "--test-threads", "1"])
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
