//! Chooses the proxy of a URL, by Go's rules.

use std::net::IpAddr;

use super::request::basic;
use super::target_url::{TargetUrl, host_port};
use super::{NetError, ProxySettings};

/// The rules in the settings or the environment.
#[derive(Debug)]
pub(super) enum ProxyRules {
    Direct,
    /// A proxy by which nothing can be reached, which Prometheus accepts too: the reason, and what
    /// need not go through it.
    Unusable(&'static str, Option<NoProxy>),
    /// One proxy for everything, including this machine's own addresses: no `no_proxy` is given.
    Always(Box<Proxy>),
    BySchemeAndHost {
        http: Option<Box<Proxy>>,
        https: Option<Box<Proxy>>,
        except: NoProxy,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Proxy {
    pub url: TargetUrl,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// A parsed `no_proxy` list.
#[derive(Debug, Default)]
pub(super) struct NoProxy {
    everything: bool,
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    Net(IpAddr, u32),
    Ip(IpAddr, Option<u16>),
    /// `suffix` begins with a dot. `itself` says whether the name without the dot matches too.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl ProxyRules {
    pub fn new(settings: &ProxySettings) -> Result<ProxyRules, NetError> {
        ProxyRules::with_environment(settings, &|name| std::env::var(name).ok())
    }

    fn with_environment(
        settings: &ProxySettings,
        environment: Environment<'_>,
    ) -> Result<ProxyRules, NetError> {
        if settings.from_environment {
            return from_environment(environment);
        }
        let Some(url) = settings.url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(ProxyRules::Direct);
        };
        let no_proxy = settings.no_proxy.as_deref();
        let proxy = match Proxy::parse(url) {
            Ok(proxy) => proxy,
            // What Prometheus supports and Ferula does not is an error at once.
            Err(why) if is_socks(url) => return Err(unusable("proxy_url", why)),
            Err(why) => {
                let list = no_proxy.filter(|list| !list.is_empty());
                return Ok(ProxyRules::Unusable(why, list.map(NoProxy::parse)));
            }
        };
        Ok(match no_proxy.filter(|list| !list.is_empty()) {
            None => ProxyRules::Always(Box::new(proxy)),
            Some(list) => ProxyRules::BySchemeAndHost {
                http: Some(Box::new(proxy.clone())),
                https: Some(Box::new(proxy)),
                except: NoProxy::parse(list),
            },
        })
    }

    /// Checks that a URL can be reached.
    ///
    /// # Errors
    /// Why it cannot be reached at all.
    pub fn check(&self, url: &TargetUrl) -> Result<(), NetError> {
        match self {
            ProxyRules::Unusable(why, except)
                if except
                    .as_ref()
                    .is_none_or(|e| !e.matches(&url.host, url.port)) =>
            {
                Err(unusable("proxyconnect: proxy_url", why))
            }
            _ => Ok(()),
        }
    }

    pub fn choose(&self, url: &TargetUrl) -> Option<&Proxy> {
        match self {
            ProxyRules::Direct | ProxyRules::Unusable(..) => None,
            ProxyRules::Always(proxy) => Some(proxy),
            ProxyRules::BySchemeAndHost {
                http,
                https,
                except,
            } => {
                let proxy = if url.https { https } else { http }.as_deref()?;
                (!except.matches(&url.host, url.port)).then_some(proxy)
            }
        }
    }
}

fn from_environment(environment: Environment<'_>) -> Result<ProxyRules, NetError> {
    let proxy = |upper: &str, lower: &str| {
        let Some(mut url) = either(environment, upper, lower) else {
            return Ok(None);
        };
        if !url.contains("://") {
            url.insert_str(0, "http://");
        }
        let proxy = Proxy::parse(&url).map_err(|why| unusable(upper, why))?;
        Ok(Some(Box::new(proxy)))
    };
    Ok(ProxyRules::BySchemeAndHost {
        http: proxy("HTTP_PROXY", "http_proxy")?,
        https: proxy("HTTPS_PROXY", "https_proxy")?,
        except: NoProxy::parse(&either(environment, "NO_PROXY", "no_proxy").unwrap_or_default()),
    })
}

fn either(environment: Environment<'_>, upper: &str, lower: &str) -> Option<String> {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    set(upper).or_else(|| set(lower))
}

fn unusable(knob: &str, why: &str) -> NetError {
    NetError::Settings(format!("{knob}: {why}"))
}

impl ProxySettings {
    pub fn is_socks(&self) -> bool {
        self.url.as_deref().is_some_and(is_socks)
    }

    /// Says why nothing can go through the proxy of these settings. The text names no URL, which
    /// may hold a password.
    pub fn fault(&self) -> Option<&'static str> {
        let url = self.url.as_deref().filter(|url| !url.is_empty())?;
        Proxy::parse(url).err()
    }
}

fn is_socks(url: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(scheme, _)| scheme.starts_with("socks5"))
}

impl Proxy {
    fn parse(text: &str) -> Result<Proxy, &'static str> {
        if is_socks(text) {
            return Err("socks5 is not supported; use an http or https proxy");
        }
        let url = TargetUrl::parse(text).map_err(|_| "not an http or https URL with a host")?;
        let user = url.user.as_ref();
        let authorization = user.map(|(name, password)| basic(name, password));
        Ok(Proxy { url, authorization })
    }
}

impl NoProxy {
    fn parse(list: &str) -> NoProxy {
        let mut parsed = NoProxy::default();
        for entry in list.split(',') {
            let entry = entry.trim().to_lowercase();
            if entry == "*" {
                parsed.everything = true;
            } else if !entry.is_empty() {
                parsed.rules.extend(rule(&entry));
            }
        }
        parsed
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.');
        let address: Option<IpAddr> = host.parse().ok();
        if self.everything || host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
            return true;
        }
        let port_fits = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        self.rules.iter().any(|rule| match rule {
            Rule::Net(net, bits) => address.is_some_and(|a| in_net(a, *net, *bits)),
            Rule::Ip(ip, wanted) => address == Some(*ip) && port_fits(*wanted),
            Rule::Domain {
                suffix,
                itself,
                port,
            } => {
                let fits = host.ends_with(suffix.as_str())
                    || (*itself && suffix.strip_prefix('.') == Some(host));
                fits && port_fits(*port)
            }
        })
    }
}

fn rule(entry: &str) -> Option<Rule> {
    if let Some((net, bits)) = entry.split_once('/') {
        return Some(Rule::Net(net.parse().ok()?, bits.parse().ok()?));
    }
    if let Ok(ip) = entry.trim_matches(['[', ']']).parse() {
        return Some(Rule::Ip(ip, None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if host.is_empty() {
        return None;
    }
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Some(Rule::Ip(ip, port));
    }
    let host = host
        .strip_prefix('*')
        .filter(|h| h.starts_with('.'))
        .unwrap_or(host);
    let itself = !host.starts_with('.');
    Some(Rule::Domain {
        suffix: if itself {
            format!(".{host}")
        } else {
            host.to_owned()
        },
        itself,
        port,
    })
}

fn in_net(address: IpAddr, net: IpAddr, bits: u32) -> bool {
    let masked = |value: u128, width: u32| match width.checked_sub(bits) {
        Some(drop) => value.checked_shr(drop).unwrap_or(0),
        None => value,
    };
    match (address.to_canonical(), net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            masked(a.to_bits().into(), 32) == masked(n.to_bits().into(), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => masked(a.to_bits(), 128) == masked(n.to_bits(), 128),
        _ => false,
    }
}

/// Writes the request that opens a tunnel to `target`. `headers` are finished lines.
pub(super) fn connect_request(target: &TargetUrl, proxy: &Proxy, headers: &[u8]) -> Vec<u8> {
    let to = host_port(&target.host, target.port);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(format!("Proxy-Authorization: {authorization}\r\n").as_bytes());
    }
    request.extend_from_slice(headers);
    request.extend_from_slice(b"\r\n");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_none_fails_its_requests_alone() {
        let settings = ProxySettings {
            url: Some("proxy:3128".into()),
            no_proxy: Some("inside".into()),
            ..ProxySettings::default()
        };
        let rules = ProxyRules::new(&settings).unwrap();
        let check = |url: &str| rules.check(&TargetUrl::parse(url).unwrap());
        assert!(check("http://inside/").is_ok());
        let fault = check("http://outside/").unwrap_err().to_string();
        assert_eq!(
            fault,
            "proxyconnect: proxy_url: not an http or https URL with a host"
        );
    }

    fn check(list: &str, target: &str, direct: bool) {
        let settings = ProxySettings {
            url: Some("http://proxy:3128".into()),
            no_proxy: Some(list.into()),
            ..ProxySettings::default()
        };
        let rules = ProxyRules::new(&settings).unwrap();
        let url = TargetUrl::parse(target).unwrap();
        assert_eq!(rules.choose(&url).is_none(), direct, "{list} {target}");
    }

    #[test]
    fn no_proxy_as_in_go() {
        check("example.com", "http://example.com/", true);
        check("example.com", "http://a.example.com/", true);
        check("example.com", "http://badexample.com/", false);
        check(".example.com", "http://example.com/", false);
        check("*.example.com", "http://a.example.com/", true);
        check("example.com:81", "http://example.com/", false);
        check("example.com:80", "http://example.com/", true);
        check("10.0.0.0/8", "http://10.2.3.4/", true);
        check("10.0.0.0/8", "http://11.2.3.4/", false);
        check("fd00::/8", "http://[fd12::1]/", true);
        check("0.0.0.0/0", "http://8.8.8.8/", true);
        check("10.0.0.1", "http://10.0.0.1:99/", true);
        check("10.0.0.1:99", "http://10.0.0.1:98/", false);
        check(" a.b , c.d ", "http://c.d/", true);
        check("*", "https://x/", true);
        check("x", "http://localhost/", true);
        check("x", "http://127.0.0.1/", true);
        check("x", "http://[::1]/", true);
        check("x", "http://192.0.2.1/", false);
    }

    #[test]
    fn without_exceptions_everything_goes_through() {
        let settings = ProxySettings {
            url: Some("http://u:p@proxy:3128".into()),
            ..ProxySettings::default()
        };
        let rules = ProxyRules::new(&settings).unwrap();
        let url = TargetUrl::parse("http://localhost/").unwrap();
        let proxy = rules.choose(&url).unwrap();
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dTpw"));
    }

    #[test]
    fn the_environment_chooses_by_scheme() {
        let environment = |name: &str| match name {
            "HTTP_PROXY" => Some("plain:1".to_owned()),
            "https_proxy" => Some("http://secure:2".to_owned()),
            "NO_PROXY" => Some("direct".to_owned()),
            _ => None,
        };
        let settings = ProxySettings {
            from_environment: true,
            ..ProxySettings::default()
        };
        let rules = ProxyRules::with_environment(&settings, &environment).unwrap();
        let through = |url: &str| {
            let url = TargetUrl::parse(url).unwrap();
            let proxy = rules.choose(&url)?;
            Some(host_port(&proxy.url.host, proxy.url.port))
        };
        assert_eq!(through("http://a/"), Some("plain:1".into()));
        assert_eq!(through("https://a/"), Some("secure:2".into()));
        assert_eq!(through("https://direct/"), None);
        assert_eq!(through("http://localhost/"), None);
    }

    #[test]
    fn socks_is_refused() {
        let settings = ProxySettings {
            url: Some("socks5://p:1".into()),
            ..ProxySettings::default()
        };
        let error = ProxyRules::new(&settings).unwrap_err();
        assert!(error.to_string().contains("socks5 is not supported"));
    }
}
