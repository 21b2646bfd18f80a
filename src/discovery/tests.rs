//! Tests of the manager and its providers, on real files and real sockets.

mod bed;

mod apply;
mod files;
mod http;
