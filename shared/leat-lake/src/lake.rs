//! From a URL to a folder of objects.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::versions::Requests;
use crate::{Folder, LakeError, Put};

/// Opens folders and keeps one client for each bucket. A clone shares the clients and the `memory:` stores.
#[derive(Clone, Debug)]
pub struct Lake {
    vars: Arc<BTreeMap<String, String>>,
    stores: Arc<Mutex<HashMap<String, Arc<dyn ObjectStore>>>>,
}

impl Lake {
    /// A lake whose S3 clients take region, credentials and endpoint from `vars`, the environment's variables
    /// (`AWS_REGION`, `AWS_ENDPOINT_URL`, the credentials of Lambda, ECS or EC2).
    pub fn new(vars: &BTreeMap<String, String>) -> Self {
        let aws = vars.iter().filter(|(name, _)| name.starts_with("AWS_"));
        Lake {
            vars: Arc::new(aws.map(|(k, v)| (k.clone(), v.clone())).collect()),
            stores: Arc::default(),
        }
    }

    /// The folder at `url`. It need not exist; a closing `/` makes no difference. Nothing is asked of the store.
    pub fn folder(&self, url: &str) -> Result<Folder, LakeError> {
        let wrong = |why: &str| LakeError::Url { url: url.into(), why: why.into() };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("it has no scheme"))?;
        let (store, prefix) = match scheme {
            "s3" => {
                let rest =
                    rest.strip_prefix("//").ok_or_else(|| wrong("a bucket follows `s3://`"))?;
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(wrong("the bucket is missing"));
                }
                (self.store(&format!("s3:{bucket}"), || self.s3(bucket))?, prefix.to_owned())
            }
            "file" => {
                let path = std::path::absolute(rest.strip_prefix("//").unwrap_or(rest))
                    .map_err(|why| wrong(&why.to_string()))?;
                let path = without_dots(&path);
                let path = path.to_str().ok_or_else(|| wrong("the path is not UTF-8"))?.to_owned();
                (self.store("file", || Ok(Arc::new(LocalFileSystem::new())))?, path)
            }
            "memory" => {
                let rest = rest.trim_start_matches('/');
                let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let store =
                    self.store(&format!("memory:{name}"), || Ok(Arc::new(InMemory::new())))?;
                (store, prefix.to_owned())
            }
            other => return Err(wrong(&format!("`{other}:` is no scheme of a lake"))),
        };
        let prefix =
            Path::parse(prefix.trim_end_matches('/')).map_err(|why| wrong(&why.to_string()))?;
        Ok(Folder::new(store, prefix, url))
    }

    /// The object at `url`.
    pub async fn read(&self, url: &str) -> Result<Bytes, LakeError> {
        let (folder, name) = self.object(url)?;
        folder.get(name).await?.ok_or_else(|| LakeError::Missing { url: url.into() })
    }

    /// The text of the object at `url`.
    pub async fn read_text(&self, url: &str) -> Result<String, LakeError> {
        String::from_utf8(self.read(url).await?.to_vec())
            .map_err(|_| LakeError::Damaged { url: url.into(), why: "it is not UTF-8".into() })
    }

    /// Writes the object at `url`, over what was there.
    pub async fn write(&self, url: &str, bytes: impl Into<Bytes>) -> Result<(), LakeError> {
        let (folder, name) = self.object(url)?;
        folder.put(name, bytes).await
    }

    /// Writes the object at `url` if nothing is there.
    pub async fn write_new(&self, url: &str, bytes: impl Into<Bytes>) -> Result<Put, LakeError> {
        let (folder, name) = self.object(url)?;
        folder.put_new(name, bytes).await
    }

    fn object<'a>(&self, url: &'a str) -> Result<(Folder, &'a str), LakeError> {
        let wrong = || LakeError::Url { url: url.into(), why: "it names no object".into() };
        let at = url.rfind(['/', ':']).ok_or_else(wrong)? + 1;
        let (folder, name) = url.split_at(at);
        if name.is_empty() || folder == "s3://" {
            return Err(wrong());
        }
        // `file:name` lies in the working directory.
        let folder = if folder == "file:" { "file:." } else { folder };
        Ok((self.folder(folder)?, name))
    }

    fn store(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Arc<dyn ObjectStore>, LakeError>,
    ) -> Result<Arc<dyn ObjectStore>, LakeError> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(name) {
            return Ok(store.clone());
        }
        let store = make()?;
        stores.insert(name.into(), store.clone());
        Ok(store)
    }

    fn s3(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, LakeError> {
        Ok(Arc::new(self.requests(bucket)?.store))
    }

    pub(crate) fn requests(&self, bucket: &str) -> Result<Requests, LakeError> {
        static RING: Once = Once::new();
        RING.call_once(|| {
            // The client is built without a default provider; one that was installed before us serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let endpoint =
            ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().find_map(|n| self.vars.get(*n));
        let plain = endpoint.is_some_and(|e| e.starts_with("http://"));
        let client = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(Duration::from_secs(3))
            .with_timeout(Duration::from_secs(60));
        let retry = RetryConfig {
            max_retries: 3,
            retry_timeout: Duration::from_secs(30),
            ..RetryConfig::default()
        };
        // Every variable that the client knows, as the SDKs name them; the others are not ours.
        let known = self
            .vars
            .iter()
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)));
        let builder =
            known.fold(AmazonS3Builder::new(), |b, (key, value)| b.with_config(key, value));
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
        let region = region.unwrap_or_else(|| "us-east-1".into());
        let address = match endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        };
        let builder = match endpoint {
            Some(endpoint) => {
                builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false)
            }
            // A bucket with a dot does not match the certificate of *.s3.<region>.amazonaws.com.
            None => builder.with_virtual_hosted_style_request(!bucket.contains('.')),
        };
        let store = builder
            .with_bucket_name(bucket)
            .with_client_options(client.clone())
            .with_retry(retry)
            .build()
            .map_err(|why| LakeError::from_store(format!("s3://{bucket}"), why))?;
        Ok(Requests { store, client, region, address, url: format!("s3://{bucket}") })
    }
}

/// The path with each `..` taken at its word: a key has none.
fn without_dots(path: &std::path::Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake() -> Lake {
        Lake::new(&BTreeMap::new())
    }

    #[test]
    fn places() {
        let vars = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
        let lake = Lake::new(&vars.map(|(k, v)| (k.into(), v.into())).into());
        for good in ["s3://b/p/", "s3://b", "file:x/../y", "file:///x", "memory:", "memory:a/b/"] {
            assert!(lake.folder(good).is_ok(), "{good}");
        }
        for bad in ["", "b/p", "s3:b", "s3:///p", "gs://b", "s3://b/a//b", "s3://b/../c"] {
            let error = lake.folder(bad).unwrap_err().to_string();
            assert!(error.contains("is no place"), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn objects_by_url() {
        let lake = lake();
        lake.write("memory:a/b/c.json", "1").await.unwrap();
        assert_eq!(lake.read("memory:a/b/c.json").await.unwrap(), "1");
        assert_eq!(lake.write_new("memory:a/b/c.json", "2").await, Ok(Put::Exists));
        assert_eq!(lake.read_text("memory:a/b/c.json").await.unwrap(), "1");
        assert_eq!(
            lake.read("memory:a/b/d.json").await.unwrap_err().to_string(),
            "memory:a/b/d.json does not exist"
        );
        assert!(lake.read("s3://bucket").await.is_err());
        assert!(lake.read("memory:a/").await.is_err());
    }
}
