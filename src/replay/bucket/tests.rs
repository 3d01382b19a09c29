use super::*;

#[test]
fn aws_is_asked_in_the_region_of_the_bucket() {
    let access = Access { endpoint: None, region: None, signer: Signer::Anonymous };
    for (bucket, url) in [
        ("my-logs", "https://my-logs.s3.eu-west-1.amazonaws.com"),
        ("my.logs", "https://s3.eu-west-1.amazonaws.com/my.logs"),
    ] {
        let address = BucketAddress { bucket: bucket.into(), prefix: String::new() };
        let origin = origin_in(&address, &access, "eu-west-1").unwrap();
        assert_eq!((origin.url, &*origin.region), (OriginUrl::parse(url).unwrap(), "eu-west-1"));
    }
}
