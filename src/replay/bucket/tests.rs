use super::*;

#[test]
fn addresses_name_a_bucket() {
    let address = |bucket: &str, prefix: &str| Ok(Address { bucket: bucket.into(), prefix: prefix.into() });
    assert_eq!("s3://my-logs".parse(), address("my-logs", ""));
    assert_eq!("s3://my.logs/a/b-".parse(), address("my.logs", "a/b-"));
    for bad in ["", "s3://", "s3:///x", "https://b/", "s3://UPPER/", "s3://a b/", "s3://b?x/"] {
        assert_eq!(bad.parse::<Address>(), Err(BucketError::Address(bad.into())), "{bad}");
    }
}

#[test]
fn aws_is_asked_in_the_region_of_the_bucket() {
    let access = Access { endpoint: None, region: None, signer: Signer::Anonymous };
    for (bucket, url) in [
        ("my-logs", "https://my-logs.s3.eu-west-1.amazonaws.com"),
        ("my.logs", "https://s3.eu-west-1.amazonaws.com/my.logs"),
    ] {
        let address = Address { bucket: bucket.into(), prefix: String::new() };
        let origin = origin_in(&address, &access, "eu-west-1").unwrap();
        assert_eq!((origin.url, &*origin.region), (OriginUrl::parse(url).unwrap(), "eu-west-1"));
    }
}
