//! The demo: two real S3 servers on loopback, sample buckets, and the gateway's configuration in front of them.

#![allow(clippy::disallowed_methods, reason = "rank 5: an embedded server, with files and sockets of its own")]

mod addressing;
mod body;
mod conditions;
mod connections;
mod files;
mod headers;
mod objects;
pub mod samples;
pub mod store;
mod test_run;
pub mod traffic;

use samples::Samples;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::Store;

/// Addresses that the personas use, by X-Forwarded-For. From the blocks reserved for documentation (RFC 5737).
pub const PERSON: &str = "192.0.2.10";
/// A machine of the CI network.
pub const CI: &str = "198.51.100.20";
/// A machine of the internal network.
pub const INTERNAL: &str = "203.0.113.30";
/// A scraper, in a prefix of its own.
pub const SCRAPER: &str = "198.18.0.50";
/// Nobody in particular.
pub const STRANGER: &str = "192.0.2.40";

/// The two stores with their buckets.
pub struct Demo {
    /// The first store, which takes signed requests only.
    pub first: Store,
    /// The second store, whose objects are public.
    pub second: Store,
    /// What is in them.
    pub samples: Samples,
    /// Where the first store keeps its buckets.
    pub first_root: PathBuf,
    /// The gateway file.
    pub gateway: PathBuf,
}

impl Demo {
    /// Fills buckets below `directory`, starts the stores, and writes a gateway file for `listen` and `admin`.
    ///
    /// # Errors
    /// When files cannot be written or the stores cannot listen.
    pub async fn start(directory: &Path, listen: SocketAddr, admin: SocketAddr) -> io::Result<Demo> {
        let (first_root, second_root) = (directory.join("first"), directory.join("second"));
        std::fs::create_dir_all(&first_root)?;
        std::fs::create_dir_all(&second_root)?;
        let samples = samples::fill(&first_root, &second_root)?;
        let (access, secret) = ("DEMOACCESSKEY", format!("{:032x}", rand::random::<u128>()));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Store::start(loopback, &first_root, Some((access, &secret))).await?;
        let second = Store::start(loopback, &second_root, None).await?;

        std::fs::write(directory.join("s3-key"), format!("{access} {secret}\n"))?;
        std::fs::write(directory.join("networks.yaml"), "internal: [203.0.113.0/24]\nci: [198.51.100.0/24]\n")?;
        let gateway = directory.join("gateway.yaml");
        let (one, two) = (first.address, second.address);
        std::fs::write(
            &gateway,
            format!(
                "version: 1\n\
                 listeners:\n\
                 \x20 - {{address: '{listen}', trusted_proxies: [127.0.0.0/8, '::1']}}   # so that X-Forwarded-For plays the personas\n\
                 admin: {{address: '{admin}', access_log: access.log}}\n\
                 policy: {{networks: networks.yaml, mode: enforce}}   # the built-in policy, switched on\n\
                 credentials:\n\
                 \x20 demo: {{key_file: {key}}}\n\
                 sites:\n\
                 \x20 logs:\n\
                 \x20   prefix: /logs\n\
                 \x20   origins: [{{name: first, url: 'http://{one}/logs', credentials: demo}}]\n\
                 \x20 images:\n\
                 \x20   prefix: /images\n\
                 \x20   origins:\n\
                 \x20     - {{name: first, url: 'http://{one}/images', credentials: demo}}\n\
                 \x20     - {{name: second, url: 'http://{two}/images', credentials: anonymous}}\n",
                key = directory.join("s3-key").display(),
            ),
        )?;
        Ok(Demo { first, second, samples, first_root, gateway })
    }

    /// One command per persona with the answer to expect, for a gateway at `listen`.
    pub fn personas(&self, listen: SocketAddr, admin: SocketAddr) -> String {
        let Samples { image, private_image, second_only_image, finished_run, running_run } = &self.samples;
        let images = format!("http://{listen}/images");
        let logs = format!("http://{listen}/logs");
        let from = |address: &str| format!("-H 'X-Forwarded-For: {address}'");
        let ask = "curl -s -o /dev/null -w '%{http_code} %{size_download}\\n'";
        format!(
            "A person reads a log: open it in a browser. A short check, then the log.\n\
             \x20 {logs}/{finished_run}log.html\n\
             A person watches a test run: as above; the log grows.\n\
             \x20 {logs}/{running_run}log.html?poll=2\n\
             A CI machine fetches an image: 200 and 67108864 bytes, never a challenge.\n\
             \x20 {ask} {ci} {images}/{image}\n\
             A CI machine resumes it, as image-download does: 206 and 1048576 bytes.\n\
             \x20 {ask} {ci} -A Python-urllib/3.13 -r 66060288-67108863 {images}/{image}\n\
             An image that is only in the second store: 200 and 1048576 bytes.\n\
             \x20 {ask} {ci} {images}/{second_only_image}\n\
             The internal network fetches a private image: 200 and 1048576 bytes.\n\
             \x20 {ask} {internal} {images}/{private_image}\n\
             A stranger asks for it: 403 in plain words.\n\
             \x20 curl -si {stranger} {images}/{private_image}\n\
             A stranger with curl reads a log: 200, as a tool, five requests a second.\n\
             \x20 {ask} {stranger} {logs}/{finished_run}log\n\
             A scraper that poses as a browser: 403 and the challenge page, never the log.\n\
             \x20 {ask} {stranger} -A 'Mozilla/5.0' -H 'Accept: text/html' {logs}/{finished_run}log\n\
             A scraper in a hurry: 400 requests at once, the last ones 429.\n\
             \x20 for i in $(seq 400); do {ask} {scraper} {logs}/{finished_run}index.html; done | sort | uniq -c\n\
             A crawler that says what it is: 403.\n\
             \x20 {ask} {stranger} -A 'GPTBot/1.2' {logs}/{finished_run}log\n\
             Who took what, and a policy workbench: the dashboard.\n\
             \x20 http://{admin}/\n\
             The same as metrics:\n\
             \x20 curl -s http://{admin}/metrics | grep -E 'windscreen_(requests|response_bytes)_total'\n",
            ci = from(CI),
            internal = from(INTERNAL),
            stranger = from(STRANGER),
            scraper = from(SCRAPER),
        )
    }
}
