//! What was written in a bucket lately, version by version.
//!
//! `object_store` lists no versions, and gives up on a page with a key that it has no path for (`a//b`, `..`, control
//! characters). Both matter to whoever looks for objects that no event told of, so that S3 is asked here: ListObjectVersions,
//! with the keys URL-encoded, signed by `object_store`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use leat::timestamp;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use object_store::path::Path;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{Lake, LakeError};

/// How often a page is asked for, with 200 ms, 400 ms, … between.
const TRIES: u32 = 4;

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its key within the bucket.
    pub key: String,
    /// Its version id; none where the bucket kept no versions.
    pub version: Option<String>,
    /// The store's tag of its content, without quotes.
    pub etag: Option<String>,
    /// Its bytes.
    pub size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    is_truncated: bool,
    /// `url`, if the store did what was asked: not every one does.
    encoding_type: Option<String>,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
    #[serde(default, rename = "Version")]
    versions: Vec<Found>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    key: String,
    version_id: Option<String>,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    size: u64,
}

/// How to ask S3.
pub(crate) struct Requests {
    pub(crate) store: AmazonS3,
    pub(crate) client: ClientOptions,
    pub(crate) region: String,
    /// The bucket's address.
    pub(crate) address: String,
    /// The bucket's URL, for people.
    pub(crate) url: String,
}

impl Lake {
    /// The versions of objects below `prefix` of the bucket at `bucket_url` that were written at `since` (milliseconds since
    /// 1970) or later, in the order of their keys. A folder of files or of memory has one version of each.
    pub async fn versions(
        &self,
        bucket_url: &str,
        prefix: &str,
        since: i64,
    ) -> Result<Vec<Version>, LakeError> {
        match bucket_url.strip_prefix("s3://") {
            Some(bucket) => {
                self.requests(bucket.trim_end_matches('/'))?.versions(prefix, since).await
            }
            None => self.folder(bucket_url)?.versions(prefix, since).await,
        }
    }
}

impl crate::Folder {
    async fn versions(&self, prefix: &str, since: i64) -> Result<Vec<Version>, LakeError> {
        let (store, root) = self.parts();
        let below: Path = root.parts().chain(Path::from(prefix).parts()).collect();
        let found: Vec<_> = store
            .list(Some(&below))
            .try_filter(|meta| std::future::ready(meta.last_modified.timestamp_millis() >= since))
            .try_collect()
            .await
            .map_err(|why| LakeError::from_store(self.url(prefix), why))?;
        let mut versions: Vec<_> = found
            .into_iter()
            .filter_map(|meta| {
                let parts: Vec<_> = meta.location.prefix_match(root)?.collect();
                let key = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
                Some(Version { key, version: None, etag: plain(meta.e_tag), size: meta.size })
            })
            .collect();
        versions.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(versions)
    }
}

impl Requests {
    async fn versions(&self, prefix: &str, since: i64) -> Result<Vec<Version>, LakeError> {
        let client = ReqwestConnector::default()
            .connect(&self.client)
            .map_err(|why| LakeError::from_store(self.url.clone(), why))?;
        let mut versions = Vec::new();
        let mut from = BTreeMap::new();
        loop {
            let page = self.page(&client, prefix, &from).await?;
            let encoded = page.encoding_type.as_deref() == Some("url");
            let decoded = |key: &str| if encoded { decoded(key) } else { key.to_owned() };
            for found in page.versions {
                let at = timestamp::parse(&found.last_modified).map(|micros| micros / 1000);
                if at.is_none_or(|at| at >= since) {
                    versions.push(Version {
                        key: decoded(&found.key),
                        version: found.version_id.filter(|id| id != "null"),
                        etag: plain(found.etag),
                        size: found.size,
                    });
                }
            }
            match page.next_key_marker.filter(|_| page.is_truncated) {
                None => return Ok(versions),
                Some(key) => {
                    let next = BTreeMap::from([
                        ("key-marker", decoded(&key)),
                        ("version-id-marker", page.next_version_id_marker.unwrap_or_default()),
                    ]);
                    if next == from {
                        return Err(self.damaged("the listing does not go on"));
                    }
                    from = next;
                }
            }
        }
    }

    async fn page(
        &self,
        client: &HttpClient,
        prefix: &str,
        from: &BTreeMap<&str, String>,
    ) -> Result<Page, LakeError> {
        let mut again = 1;
        loop {
            match self.ask(client, prefix, from).await {
                Err(why) if why.is_transient() && again < TRIES => {
                    tokio::time::sleep(Duration::from_millis(100 << again)).await;
                    again += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn ask(
        &self,
        client: &HttpClient,
        prefix: &str,
        from: &BTreeMap<&str, String>,
    ) -> Result<Page, LakeError> {
        let url = self.page_url(prefix, from)?;
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|why| LakeError::from_store(self.url.clone(), why))?;
        let mut request = http::Request::get(url.as_str())
            .body(HttpRequestBody::empty())
            .map_err(|why| self.busy(why.to_string()))?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|why| LakeError::from_store(self.url.clone(), why))?;
        let answer = client.execute(request).await.map_err(|why| self.busy(why.to_string()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|why| self.busy(why.to_string()))?;
        let said = || {
            let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
            format!("ListObjectVersions answered {status}: {text}")
        };
        match status.as_u16() {
            200 => quick_xml::de::from_reader(body.as_ref()).map_err(|why| {
                self.damaged(&format!("the listing is no ListVersionsResult: {why}"))
            }),
            401 | 403 => Err(LakeError::Denied { url: self.url.clone(), why: said() }),
            404 => Err(LakeError::Missing { url: self.url.clone() }),
            _ => Err(self.busy(said())),
        }
    }

    fn page_url(&self, prefix: &str, from: &BTreeMap<&str, String>) -> Result<Url, LakeError> {
        let wrong =
            |why: url::ParseError| LakeError::Url { url: self.url.clone(), why: why.to_string() };
        let mut url = Url::parse(&self.address).map_err(wrong)?;
        let mut query = url.query_pairs_mut();
        query.append_pair("encoding-type", "url").append_pair("prefix", prefix);
        query.append_pair("versions", "");
        for (name, value) in from {
            query.append_pair(name, value);
        }
        drop(query);
        Ok(url)
    }

    fn busy(&self, why: String) -> LakeError {
        LakeError::Busy { url: self.url.clone(), why }
    }

    fn damaged(&self, why: &str) -> LakeError {
        LakeError::Damaged { url: self.url.clone(), why: why.into() }
    }
}

/// Undoes `encoding-type=url`, which writes a blank as `+`.
fn decoded(text: &str) -> String {
    form_urlencoded::parse(text.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(key, _)| key.into_owned())
        .next()
        .unwrap_or_default()
}

fn plain(etag: Option<String>) -> Option<String> {
    etag.map(|etag| etag.trim_matches('"').to_owned()).filter(|etag| !etag.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const PAGES: [&str; 2] = [
        r#"<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Name>b</Name><Prefix>p/</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <NextKeyMarker>p/a+b%2B%26</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
        <Version><Key>p/a+b%2B%26</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
          <LastModified>2026-01-02T00:00:00.000Z</LastModified><ETag>&quot;e2&quot;</ETag><Size>2</Size></Version>
        <DeleteMarker><Key>p/gone</Key><VersionId>v9</VersionId><LastModified>2026-01-02T00:00:00.000Z</LastModified></DeleteMarker>
        <Version><Key>p/a+b%2B%26</Key><VersionId>v1</VersionId>
          <LastModified>2020-01-02T00:00:00.000Z</LastModified><ETag>"e1"</ETag><Size>1</Size></Version>
        </ListVersionsResult>"#,
        r#"<ListVersionsResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>
        <Version><Key>p/..//%01</Key><VersionId>null</VersionId>
          <LastModified>2026-01-03T00:00:00.000Z</LastModified><ETag>"e3"</ETag><Size>3</Size></Version>
        </ListVersionsResult>"#,
    ];

    /// Answers each connection with the next of `answers`, and gives back what was asked.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let run = move || {
            let answer = |text: String| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                let mut more = [0; 4096];
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    let got = stream.read(&mut more).unwrap();
                    asked.extend_from_slice(&more[..got]);
                }
                stream.write_all(text.as_bytes()).unwrap();
                String::from_utf8(asked).unwrap()
            };
            answers.into_iter().map(answer).collect()
        };
        (address, std::thread::spawn(run))
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn lake(endpoint: &str) -> Lake {
        let vars = [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        Lake::new(&vars.map(|(name, value)| (name.into(), value.into())).into())
    }

    #[tokio::test]
    async fn every_page_of_s3() {
        let (endpoint, asked) = server(vec![
            answer("503 Slow Down", "<Error/>"),
            answer("200 OK", PAGES[0]),
            answer("200 OK", PAGES[1]),
        ]);
        let since = timestamp::parse("2026-01-01T00:00:00Z").unwrap() / 1000;
        let versions = lake(&endpoint).versions("s3://b", "p/", since).await.unwrap();
        let version = |key: &str, version: Option<&str>, etag: &str, size| Version {
            key: key.into(),
            version: version.map(Into::into),
            etag: Some(etag.into()),
            size,
        };
        assert_eq!(
            versions,
            [version("p/a b+&", Some("v2"), "e2", 2), version("p/..//\u{1}", None, "e3", 3)]
        );
        let asked = asked.join().unwrap();
        assert!(
            asked[1].starts_with("GET /b?encoding-type=url&prefix=p%2F&versions= HTTP/1.1"),
            "{}",
            asked[1]
        );
        assert!(asked[2].contains("key-marker=p%2Fa+b%2B%26&version-id-marker=v1"), "{}", asked[2]);
        assert!(asked[2].contains("AWS4-HMAC-SHA256"), "{}", asked[2]);
    }

    #[tokio::test]
    async fn refusals_say_what_to_check() {
        let (endpoint, _asked) = server(vec![answer("403 Forbidden", "<Code>AccessDenied</Code>")]);
        let why = lake(&endpoint).versions("s3://b", "p/", 0).await.unwrap_err();
        assert!(
            matches!(&why, LakeError::Denied { .. }) && why.to_string().contains("AccessDenied"),
            "{why}"
        );
        let (endpoint, _asked) = server(vec![answer("200 OK", "<html>")]);
        let why = lake(&endpoint).versions("s3://b", "p/", 0).await.unwrap_err();
        assert!(matches!(why, LakeError::Damaged { .. }), "{why}");
    }

    /// Runs where `AWS_ENDPOINT_URL` and `LEAT_TEST_BUCKET` name a bucket that keeps versions.
    #[tokio::test]
    async fn a_bucket() {
        let vars: BTreeMap<String, String> = std::env::vars().collect();
        let (true, Some(bucket)) =
            (vars.contains_key("AWS_ENDPOINT_URL"), vars.get("LEAT_TEST_BUCKET"))
        else {
            println!("skipped: AWS_ENDPOINT_URL and LEAT_TEST_BUCKET are not both set");
            return;
        };
        let (lake, url) = (Lake::new(&vars), format!("s3://{bucket}"));
        let key = format!("versions/{}/a b+c&é.json", std::process::id());
        for text in ["1", "22"] {
            lake.write(&format!("{url}/{key}"), text).await.unwrap();
        }
        let found = lake.versions(&url, "versions/", 0).await.unwrap();
        let mut found: Vec<_> = found.into_iter().filter(|found| found.key == key).collect();
        found.sort_by_key(|found| found.size);
        let sizes: Vec<_> = found.iter().map(|found| found.size).collect();
        assert_eq!(sizes, [1, 2]);
        assert!(found.iter().all(|found| found.version.is_some() && found.etag.is_some()));
        assert_eq!(lake.versions(&url, "versions/", i64::MAX).await.unwrap(), []);
    }

    #[tokio::test]
    async fn files_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::new(&BTreeMap::new());
        for url in [format!("file:{}/lake", folder.path().display()), "memory:lake".into()] {
            lake.write(&format!("{url}/p/x/a b.json"), "1").await.unwrap();
            lake.write(&format!("{url}/q/c.json"), "1").await.unwrap();
            let versions = lake.versions(&url, "p/", 0).await.unwrap();
            let keys: Vec<_> = versions.iter().map(|version| version.key.as_str()).collect();
            assert_eq!(keys, ["p/x/a b.json"], "{url}");
            assert!(versions[0].etag.is_some() && versions[0].version.is_none());
            assert_eq!(lake.versions(&url, "p/", i64::MAX).await.unwrap(), []);
        }
    }
}
