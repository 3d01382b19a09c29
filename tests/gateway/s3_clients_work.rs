//! The S3 clients that people use work through the gateway: they sign, and get what their key opens.

use crate::harness::scripted::{Deed, Scripted};
use crate::harness::{Setup, World};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::sync::LazyLock;
use tokio::process::Command;

const POLICY: &str = "version: 1\nmode: enforce\nrules:\n\
    \x20 - {name: private, match: {path: {prefix: /rhel}, not: {client: ci}}, action: deny}\n\
    \x20 - {name: signed, match: {identity: signature}, action: allow}\n\
    default: {action: deny}\n";
const CLIENTS: &str = "clients:\n\
    \x20 - {name: ci, key_file: ci, sites: [images, hosted]}\n\
    \x20 - {name: other, key_file: other, sites: [images]}\n";
const SITES: &str = "  images:\n    prefix: /images\n    list: signed\n\
    \x20   origins: [{name: first, url: 'http://{first}/images', credentials: test}]\n\
    \x20 hosted:\n    hosts: [images.example.org]\n    list: signed\n\
    \x20   origins: [{name: first, url: 'http://{first}/images', credentials: test}]\n";
const IMAGE: &[u8] = b"0123456789 an image";

async fn world() -> World {
    let setup = Setup::new().policy(POLICY).more(CLIENTS).sites(SITES);
    let world = setup.file("ci", b"AKCI secret/ci+1\n").file("other", b"AKOTHER secret-other\n").start().await;
    for key in ["fedora-44.qcow2", "rhel-9", "dir/with space+plus", "dir/\u{e4}=1"] {
        world.put("images", key, IMAGE);
    }
    world
}

/// Runs a program to its end and returns what it prints.
async fn run(world: &World, program: &str, arguments: &[impl AsRef<OsStr>], access: (&str, &str)) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(world.directory.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", world.directory.path());
    command.envs([("AWS_ACCESS_KEY_ID", access.0), ("AWS_SECRET_ACCESS_KEY", access.1)]);
    command.envs([("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true"), ("LANG", "C.UTF-8")]);
    command.env("AWS_MAX_ATTEMPTS", "1");
    let output = command.output().await;
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `make tools-test` installs it"));
    let both = [&output.stdout[..], &output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&both).into_owned())
}

const CI: (&str, &str) = ("AKCI", "secret/ci+1");
const OTHER: (&str, &str) = ("AKOTHER", "secret-other");
const WRONG: (&str, &str) = ("AKCI", "wrong");

/// A Python that has boto3: that of the distribution, where another one comes first.
async fn python(world: &World) -> &'static str {
    for python in ["python3", "/usr/bin/python3"] {
        if run(world, python, &["-c", "import boto3"], CI).await.0 {
            return python;
        }
    }
    panic!("boto3 is not installed (apt-get install python3-boto3)")
}

fn endpoint(world: &World) -> String {
    format!("http://{}", world.server.addresses[0])
}

/// The list in both versions, page by page and by folders; objects whole, in parts, by HEAD and by a presigned URL.
const BOTO3: &str = r#"
import socket, sys, urllib.request
import boto3, botocore.exceptions
from botocore.config import Config
endpoint, style, port = sys.argv[1:]
if style == "virtual":
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, given, *more, **named: resolve("127.0.0.1", int(port), *more, **named)
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": style}, signature_version="s3v4",
                  retries={"max_attempts": 0}))
image = b"0123456789 an image"
keys = ["dir/with space+plus", "dir/\u00e4=1", "fedora-44.qcow2", "rhel-9"]
for operation in ["list_objects", "list_objects_v2"]:
    for size in [1, 2, 1000]:
        pages = list(s3.get_paginator(operation).paginate(Bucket="images", PaginationConfig={"PageSize": size}))
        assert sorted(c["Key"] for page in pages for c in page.get("Contents", [])) == keys, pages
    page = getattr(s3, operation)(Bucket="images", Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["dir/"] and len(page["Contents"]) == 2, page
    assert page["Contents"][0]["Size"] == len(image)
s3.head_bucket(Bucket="images")
s3.get_bucket_location(Bucket="images")
for key in keys:
    assert s3.get_object(Bucket="images", Key=key)["Body"].read() == image
    assert s3.get_object(Bucket="images", Key=key, Range="bytes=3-5")["Body"].read() == b"345"
    assert s3.head_object(Bucket="images", Key=key)["ContentLength"] == len(image)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "images", "Key": key}, ExpiresIn=60)
    assert urllib.request.urlopen(url, timeout=10).read() == image
for refused in [lambda: s3.get_object(Bucket="images", Key="nothing"), lambda: s3.list_object_versions(Bucket="images"),
                lambda: s3.put_object(Bucket="images", Key="new", Body=b"x")]:
    try:
        refused()
    except botocore.exceptions.ClientError as error:
        print(error.response["Error"]["Code"])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3() {
    let world = world().await;
    let python = python(&world).await;
    let port = world.server.addresses[0].port();
    let cases = [
        (endpoint(&world), "path"),
        (format!("http://example.org:{port}"), "virtual"),
        ("http://example.org".into(), "virtual"),
    ];
    for (endpoint, style) in cases {
        let (good, said) = run(&world, python, &["-c", BOTO3, &endpoint, style, &port.to_string()], CI).await;
        assert!(good, "{endpoint} {style}: {said}");
        assert_eq!(said.lines().collect::<Vec<_>>(), ["NoSuchKey", "InvalidArgument", "MethodNotAllowed"], "{style}");
    }
    let (good, said) = run(&world, python, &["-c", BOTO3, &endpoint(&world), "path", &port.to_string()], OTHER).await;
    assert!(!good && !said.contains("rhel-9'"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn awscli() {
    let world = world().await;
    let endpoint = endpoint(&world);
    let aws = async |access, arguments: &[&str]| {
        let all = [&["--endpoint-url", &endpoint][..], arguments].concat();
        run(&world, "aws", &all, access).await
    };
    let (good, said) = aws(CI, &["s3", "ls", "--recursive", "s3://images/"]).await;
    assert!(good && said.lines().count() == 4 && said.contains("rhel-9"), "{said}");
    let (good, said) = aws(OTHER, &["s3", "ls", "s3://images"]).await;
    assert!(good && said.contains("PRE dir/") && !said.contains("rhel"), "{said}");
    let (good, said) = aws(CI, &["s3", "cp", "s3://images/dir/with space+plus", "-"]).await;
    assert!(good && said == String::from_utf8_lossy(IMAGE), "{said}");
    let (good, said) = aws(CI, &["s3api", "head-object", "--bucket", "images", "--key", "rhel-9"]).await;
    assert!(good && said.contains("\"ContentLength\": 19"), "{said}");
    let (good, said) = aws(OTHER, &["s3api", "get-object", "--bucket", "images", "--key", "rhel-9", "out"]).await;
    assert!(!good && said.contains("AccessDenied"), "{said}");
    let (good, said) = aws(WRONG, &["s3", "ls", "s3://images"]).await;
    assert!(!good && said.contains("SignatureDoesNotMatch"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3cmd() {
    let world = world().await;
    let host = world.server.addresses[0].to_string();
    let s3cmd = async |(access, secret): (&str, &str), arguments: &[&str]| {
        let (access, secret) = (format!("--access_key={access}"), format!("--secret_key={secret}"));
        let (base, bucket) = (format!("--host={host}"), format!("--host-bucket={host}"));
        let all = [&["-c", "/dev/null", "--no-ssl", &access, &secret, &base, &bucket][..], arguments];
        run(&world, "s3cmd", &all.concat(), CI).await
    };
    let (good, said) = s3cmd(CI, &["ls", "--recursive", "s3://images/"]).await;
    assert!(good && said.lines().count() == 4, "{said}");
    let (good, said) = s3cmd(OTHER, &["ls", "s3://images"]).await;
    assert!(good && said.contains("s3://images/dir/") && !said.contains("rhel"), "{said}");
    let (good, said) = s3cmd(CI, &["get", "--quiet", "s3://images/dir/with space+plus", "copy"]).await;
    assert!(good, "{said}");
    assert_eq!(std::fs::read(world.directory.path().join("copy")).unwrap(), IMAGE);
    let (good, said) = s3cmd(WRONG, &["ls", "s3://images"]).await;
    assert!(!good && said.contains("SignatureDoesNotMatch"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone() {
    let world = world().await;
    let endpoint = endpoint(&world);
    let rclone = async |access, arguments: &[&str], path: &str| {
        let remote = format!(":s3,provider=Other,env_auth=true,region=us-east-1,endpoint='{endpoint}':{path}");
        let all = [&["--config", "/dev/null", "--retries", "1", "--low-level-retries", "1"][..], arguments, &[&remote]];
        run(&world, "rclone", &all.concat(), access).await
    };
    let (good, said) = rclone(CI, &["lsf", "--recursive", "--files-only"], "images").await;
    assert!(good && said.contains("rhel-9") && said.contains("dir/with space+plus"), "{said}");
    let (good, said) = rclone(OTHER, &["lsf"], "images").await;
    assert!(good && said.contains("dir/") && !said.contains("rhel"), "{said}");
    for name in ["rhel-9", "dir/with space+plus", "dir/\u{e4}=1"] {
        let (good, said) = rclone(CI, &["cat"], &format!("images/{name}")).await;
        assert!(good && said.contains(&*String::from_utf8_lossy(IMAGE)), "{name}: {said}");
    }
    let (good, said) = rclone(CI, &["cat", "--offset", "3", "--count", "3"], "images/rhel-9").await;
    assert!(good && said.contains("345"), "{said}");
    let (good, said) = rclone(WRONG, &["lsf"], "images").await;
    assert!(!good && said.contains("SignatureDoesNotMatch"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    let world = world().await;
    let (endpoint, address) = (endpoint(&world), world.server.addresses[0]);
    let hosted = format!("images.example.org:80:{address}");
    let curl = async |(access, secret): (&str, &str), arguments: &[&str]| {
        let user = format!("{access}:{secret}");
        let common = ["-sS", "--connect-to", &hosted, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user];
        run(&world, "curl", &[&common[..], arguments].concat(), CI).await.1
    };
    for url in [format!("{endpoint}/images/rhel-9"), "http://images.example.org/rhel-9".to_owned()] {
        assert_eq!(curl(CI, &[&url]).await, String::from_utf8_lossy(IMAGE), "{url}");
        assert_eq!(curl(CI, &["-r", "3-5", &url]).await, "345");
        let head = curl(CI, &["-I", &url]).await;
        assert!(head.to_ascii_lowercase().contains("content-length: 19"), "{head}");
        assert!(curl(WRONG, &[&url]).await.contains("<Code>SignatureDoesNotMatch</Code>"));
    }
    let list = curl(CI, &[&format!("{endpoint}/images/?list-type=2&max-keys=9")]).await;
    assert!(list.contains("<Key>rhel-9</Key>"), "{list}");
}

/// A download in parts, several at a time: what breaks off is asked for again.
const PARTS: &str = r#"
import sys
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], config=Config(s3={"addressing_style": "path"}, read_timeout=5,
                  retries={"max_attempts": 3}))
parts = TransferConfig(multipart_threshold=1000, multipart_chunksize=100_000, max_concurrency=4)
s3.download_file("images", "large", "copy", Config=parts)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_download_in_parts_survives_an_origin_that_fails() {
    static LARGE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..1_000_000u32).map(|n| (n.wrapping_mul(7919) >> 8) as u8).collect());
    let image: &'static [u8] = &LARGE;
    let failing =
        [Deed::Cuts(image), Deed::Stalls(image), Deed::Says(500), Deed::Silent, Deed::HangsUp, Deed::Has(b"too short")];
    for deed in failing {
        let (first, second) = (Scripted::start(deed).await, Scripted::start(Deed::Has(image)).await);
        let origins = [first.origin("first"), second.origin("second")].join(", ");
        let sites = format!("  images: {{prefix: /images, mutable: [], origins: [{origins}]}}\n");
        let clients = "clients: [{name: ci, key_file: ci, sites: [images]}]\n";
        let setup = Setup::new().policy(POLICY).more(clients).sites(&sites).file("ci", b"AKCI secret/ci+1\n");
        let world = setup.start().await;
        let (good, said) = run(&world, python(&world).await, &["-c", PARTS, &endpoint(&world)], CI).await;
        let copy = world.directory.path().join("copy");
        if deed == Deed::Has(b"too short") {
            // The first store is the one that counts. What it has is not mixed with anything.
            assert_eq!(std::fs::read(copy).unwrap(), b"too short");
            continue;
        }
        assert!(good, "{deed:?}: {said}");
        assert!(std::fs::read(copy).unwrap() == image, "the right bytes, whatever failed");
    }
}

/// As image-download signs: few headers, a region that is none, and the host without its port.
const IMAGE_DOWNLOAD: &str = r#"
import hashlib, hmac, sys, time, urllib.parse, urllib.request
access, secret, address = sys.argv[1:4]
def ask(method, url, more):
    parsed = urllib.parse.urlparse(url)
    now, empty = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), hashlib.sha256(b"").hexdigest()
    headers = {"host": parsed.hostname, "x-amz-content-sha256": empty, "x-amz-date": now, **more}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"{method}\n{parsed.path}\n{parsed.query}\n{lines}\n{names}\n{empty}"
    scope = f"{now[:8]}/any/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for part in [now[:8], "any", "s3", "aws4_request", text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={key.hex()}"
    headers.update({"Accept-Encoding": "identity", "Content-Length": "0",
                    "Content-Type": "application/x-www-form-urlencoded"})
    return urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=10)
for url in sys.argv[4:]:
    size = int(ask("HEAD", url, {}).headers["Content-Length"])
    have = ask("GET", url, {}).read(size // 2)
    answer = ask("GET", url, {"range": f"bytes={len(have)}-{size - 1}"})
    assert answer.status == 206, answer.status
    print(hashlib.sha256(have + answer.read()).hexdigest())
"#;

#[tokio::test(flavor = "multi_thread")]
async fn image_download() {
    let world = world().await;
    let url = format!("{}/images/rhel-9", endpoint(&world));
    let arguments = ["-c", IMAGE_DOWNLOAD, CI.0, CI.1, "", &url];
    let (good, said) = run(&world, "python3", &arguments, CI).await;
    let digest: String = Sha256::digest(IMAGE).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(good && said.trim() == digest, "{said}");
    let (good, said) = run(&world, "python3", &["-c", IMAGE_DOWNLOAD, OTHER.0, OTHER.1, "", &url], CI).await;
    assert!(!good && said.contains("403"), "{said}");
}
