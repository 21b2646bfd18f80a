//! What all clients of the process share: clock, resolver, counters, the system's root
//! certificates.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::counters::DialMetrics;
use super::gzip::Unpackers;
use super::resolver::Resolver;
use super::tls::SystemRoots;
use crate::metrics::Registry;
use crate::stdx::clock::Clock;

/// Cheap to clone. Made once at the start.
#[derive(Debug, Clone)]
pub struct Env {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) resolver: Arc<Resolver>,
    pub(super) metrics: DialMetrics,
    pub(super) roots: Arc<SystemRoots>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) unpackers: Arc<Unpackers>,
}

impl Env {
    pub fn new(clock: Arc<dyn Clock>, registry: &Registry) -> Env {
        let resolver = Arc::new(Resolver::new(clock.clone()));
        Env::with_resolver(clock, registry, resolver)
    }

    pub(super) fn with_resolver(
        clock: Arc<dyn Clock>,
        registry: &Registry,
        resolver: Arc<Resolver>,
    ) -> Env {
        Env {
            clock,
            resolver,
            metrics: DialMetrics::new(registry),
            roots: Arc::default(),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            unpackers: Arc::new(Unpackers::new()),
        }
    }
}
