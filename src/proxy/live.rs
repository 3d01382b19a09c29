//! A live request, as facts are read from it.

use crate::facts::{Fact, Headers, HttpVersion, header_text};
use pingora::http::RequestHeader;

/// Headers of a live request: all of them are known, but what a proxy in between made of their order and case.
pub(super) struct Live<'a> {
    request: &'a RequestHeader,
    /// Whether the names of headers are as the client wrote them.
    as_sent: bool,
}

impl<'a> Live<'a> {
    /// What `request` says, which a proxy may have relayed.
    pub fn new(request: &'a RequestHeader, relayed: bool) -> Self {
        // HTTP/2 writes all names in lower case.
        Live { request, as_sent: !relayed && request.version < http::Version::HTTP_2 }
    }
}

impl Headers for Live<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        self.request.headers.get(name).map(header_text).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        for (name, value) in &self.request.headers {
            visit(name.as_str(), header_text(value));
        }
        true
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        if !self.as_sent {
            return false;
        }
        for (name, _) in self.request.case_header_iter() {
            visit(std::str::from_utf8(name.as_slice()).unwrap_or_default());
        }
        true
    }
}

pub(super) fn version(version: http::Version) -> HttpVersion {
    match version {
        http::Version::HTTP_09 | http::Version::HTTP_10 => HttpVersion::Http10,
        http::Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http2,
    }
}
