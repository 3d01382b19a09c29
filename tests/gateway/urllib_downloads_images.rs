//! Python's urllib, with the odd headers that image-download sends, downloads an image and resumes it.

use crate::harness::{CI, Setup};
use sha2::{Digest, Sha256};

/// HEAD for the size, one half, then the rest by a range; the SHA-256 is in the name.
const SCRIPT: &str = r#"
import hashlib, sys, urllib.request
url, address = sys.argv[1:]
headers = {"X-Forwarded-For": address, "Accept-Encoding": "identity", "Content-Length": "0",
           "Content-Type": "application/x-www-form-urlencoded"}
head = urllib.request.urlopen(urllib.request.Request(url, method="HEAD", headers=headers), timeout=10)
size = int(head.headers["Content-Length"])
have = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).read(size // 2)
resume = dict(headers, Range=f"bytes={len(have)}-{size - 1}")
answer = urllib.request.urlopen(urllib.request.Request(url, headers=resume), timeout=10)
assert answer.status == 206, answer.status
data = have + answer.read()
assert hashlib.sha256(data).hexdigest() in url, "the image is damaged"
print(len(data))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn head_then_ranges_then_the_checksum() {
    let world = Setup::new().start().await;
    let image: Vec<u8> = (0..2_000_000u32).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let digest: String = Sha256::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
    world.put("images", &format!("fedora-{digest}.qcow2"), &image);
    let url = format!("http://{}/images/fedora-{digest}.qcow2", world.server.addresses[0]);
    let output = tokio::process::Command::new("python3").args(["-c", SCRIPT, &url, CI]).output().await;
    let output = output.expect("python3 is installed (apt-get install python3)");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "8000000");
}
