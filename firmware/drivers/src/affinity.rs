//! On which CPUs a thread may run.

use std::io;

/// CPUs that a mask of the system can name.
pub const MOST_CPUS: u16 = libc::CPU_SETSIZE as u16;

/// Binds the calling thread to these CPUs; none leaves it as it is. Threads and commands that it starts later are bound with it.
///
/// # Errors
/// This process may use none of them.
pub fn pin_thread(cpus: &[u16]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    // SAFETY: a set of CPUs is a plain array of bits, for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < MOST_CPUS) {
        // SAFETY: the bit is within the set.
        unsafe { libc::CPU_SET((*cpu).into(), &mut set) };
    }
    // SAFETY: the set is live and of the size that is given; 0 is this thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPUs on which the calling thread may run.
///
/// # Errors
/// The system has more CPUs than a set has bits.
pub fn allowed_cpus() -> io::Result<Vec<u16>> {
    // SAFETY: as in `pin_thread`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is live and of the size that is given; 0 is this thread.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the bits that are asked for are within the set.
    Ok((0..MOST_CPUS).filter(|cpu| unsafe { libc::CPU_ISSET((*cpu).into(), &set) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_is_bound_and_its_neighbours_are_not() {
        let all = allowed_cpus().expect("the system tells");
        let last = *all.last().expect("this thread runs somewhere");
        let bound = thread::spawn(move || {
            pin_thread(&[last]).expect("it runs there now");
            allowed_cpus().expect("the system tells")
        });
        assert_eq!(bound.join().expect("it ends"), [last]);
        assert_eq!(allowed_cpus().expect("the system tells"), all);
        let free = thread::spawn(|| pin_thread(&[]).and_then(|()| allowed_cpus()));
        assert_eq!(free.join().expect("it ends").expect("nothing is asked for"), all);
        let away = thread::spawn(|| pin_thread(&[MOST_CPUS - 1]));
        assert!(away.join().expect("it ends").is_err(), "no machine here has so many");
    }
}
