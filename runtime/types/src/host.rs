//! Names of other computers.

/// What to do about an error of a connection to `host`, for the end of its line; empty where there is nothing to say. Names in `.local` come by
/// mDNS, which libraries of the system ask for programs that can load them: one that is linked statically cannot.
pub fn host_advice(host: &str, error: &str) -> &'static str {
    // As Rust's library says it of `getaddrinfo`; its kind has no name.
    let unknown = error.contains("failed to lookup address");
    let mut labels = host.trim_end_matches('.').rsplit('.');
    let is_local = labels.next().is_some_and(|last| last.eq_ignore_ascii_case("local")) && labels.next().is_some();
    if unknown && is_local {
        "; a name in .local comes by mDNS, which this program cannot ask: write the IP address, or put the name into /etc/hosts"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::host_advice;

    #[test]
    fn advice_is_given_for_names_of_mdns_that_are_not_found_alone() {
        let unknown = "failed to lookup address information: Name or service not known";
        for host in ["homeassistant.local", "Porch.Camera.LOCAL."] {
            assert!(host_advice(host, unknown).contains("/etc/hosts"), "{host}");
            assert_eq!(host_advice(host, "Connection refused (os error 111)"), "", "{host}");
        }
        for host in ["local", "broker.lan", "mylocal", "192.168.1.2", "local.lan", ""] {
            assert_eq!(host_advice(host, unknown), "", "{host}");
        }
    }
}
