//! An issuer of tokens: keys, the tokens that they sign, and the server that tells the keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

/// A key that signs tokens.
pub struct TokenKey {
    id: String,
    pair: Pair,
}

impl TokenKey {
    /// A new key on P-256.
    pub fn es256(id: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        TokenKey { id: id.into(), pair: Pair::Es256(Box::new(pair)) }
    }

    /// The RSA key of the vectors: ring makes none.
    pub fn rs256(id: &str) -> Self {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../../vectors/oidc-rsa-2048.pem")).unwrap();
        let pair = RsaKeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).unwrap();
        TokenKey { id: id.into(), pair: Pair::Rs256(Box::new(pair)) }
    }

    /// The public part, as a key set holds it.
    pub fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "x": base64url(x), "y": base64url(y) })
            }
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({ "kty": "RSA", "use": "sig", "kid": self.id, "n": base64url(n), "e": base64url(e) })
            }
        }
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        let alg = if matches!(self.pair, Pair::Es256(_)) { "ES256" } else { "RS256" };
        json!({ "typ": "JWT", "alg": alg, "kid": self.id })
    }

    /// A token that says `claims`.
    pub fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header(), claims)
    }

    /// A token with any header, signed in the way of this key all the same.
    pub fn token_of(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }

    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, text).unwrap().as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// The part of a token that is signed.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()))
}

/// What the server answers.
#[derive(Default)]
struct Answers {
    issuer: String,
    keys: Vec<Value>,
    broken: bool,
    asked: usize,
}

/// A server that tells where its keys are, and which.
pub struct IssuerServer {
    pub url: String,
    answers: Arc<Mutex<Answers>>,
    task: JoinHandle<()>,
}

impl IssuerServer {
    pub async fn start(keys: &[&TokenKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Answers { issuer: url.clone(), ..Answers::default() }));
        let served = answers.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let response = served.lock().unwrap().answer(request.uri().path());
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
            }
        });
        let server = IssuerServer { url, answers, task };
        server.set_keys(keys);
        server
    }

    /// Replaces the keys.
    pub fn set_keys(&self, keys: &[&TokenKey]) {
        self.answers.lock().unwrap().keys = keys.iter().map(|key| key.jwk()).collect();
    }

    /// From now on every answer is an error, or no longer.
    pub fn set_broken(&self, broken: bool) {
        self.answers.lock().unwrap().broken = broken;
    }

    /// From now on it says that it is somebody else.
    pub fn set_issuer(&self, issuer: &str) {
        self.answers.lock().unwrap().issuer = issuer.into();
    }

    /// How often it was asked for the keys.
    pub fn asked(&self) -> usize {
        self.answers.lock().unwrap().asked
    }
}

impl Answers {
    fn answer(&mut self, path: &str) -> Response<Full<Bytes>> {
        let (status, body) = match path {
            "/.well-known/openid-configuration" => {
                (StatusCode::OK, json!({ "issuer": self.issuer, "jwks_uri": format!("{}/keys", self.issuer) }))
            }
            "/keys" => {
                self.asked += 1;
                (StatusCode::OK, json!({ "keys": self.keys }))
            }
            _ => (StatusCode::NOT_FOUND, Value::Null),
        };
        let status = if self.broken { StatusCode::SERVICE_UNAVAILABLE } else { status };
        Response::builder().status(status).body(Full::from(body.to_string())).unwrap()
    }
}

impl Drop for IssuerServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
