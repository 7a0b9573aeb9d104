//! The zones of the lake that jobs are about: where objects land, where manifests lie, and where it stands what became of
//! them.

use leat_aws::Failure;
use leat_lake::manifest::{Manifest, ManifestObject};
use leat_lake::units::{Decision, Unit};
use leat_lake::{Folder, Lake, LakeError};

use crate::dataset::{Dataset, Prefix};
use crate::object::object;

/// How far back the hourly listing looks, in milliseconds.
const RECENT: i64 = 7 * 24 * 3600 * 1000;

/// The zones of all data sets.
#[derive(Debug)]
pub struct Zones {
    lake: Lake,
    manifests: Folder,
}

impl Zones {
    /// The zones of which `manifests` is the URL of the folder of manifests.
    pub fn open(lake: Lake, manifests: &str) -> Result<Self, Failure> {
        let manifests = lake.folder(manifests).map_err(failure)?;
        Ok(Zones { lake, manifests })
    }

    /// Writes a manifest and answers its URL. One that is there already is the same: its name says what is in it.
    pub async fn write(&self, manifest: &Manifest) -> Result<String, Failure> {
        manifest.write(&self.manifests).await.map_err(failure)?;
        Ok(self.manifests.url(&Manifest::key(&manifest.dataset, &manifest.id)))
    }

    /// The manifest `id` of `set`.
    pub async fn manifest(&self, set: &Dataset, id: &str) -> Result<Manifest, Failure> {
        let manifest = Manifest::read(&self.manifests, &set.name, id).await.map_err(failure)?;
        manifest.ok_or_else(|| {
            let url = self.manifests.url(&Manifest::key(&set.name, id));
            Failure::Config(format!("{url} is gone; manifests must be kept while they are open"))
        })
    }

    /// What became of a manifest; none while that is open.
    pub async fn decision(&self, set: &Dataset, id: &str) -> Result<Option<Decision>, Failure> {
        let unit = Unit::read(&self.unit_folder(set)?, id).await.map_err(failure)?;
        Ok(unit.map(|unit| unit.decision))
    }

    /// Decides what became of a manifest, unless that is decided: answers what stands.
    pub async fn decide(
        &self,
        set: &Dataset,
        id: &str,
        decision: Decision,
    ) -> Result<Decision, Failure> {
        let unit = Unit::without_data(id, decision);
        unit.publish(&self.unit_folder(set)?).await.map_err(failure)?;
        Ok(self.decision(set, id).await?.unwrap_or(decision))
    }

    /// The objects of a data set that were written below `prefix` in the last 7 days.
    pub async fn recent(
        &self,
        set: &Dataset,
        prefix: &Prefix,
        now: i64,
    ) -> Result<Vec<ManifestObject>, Failure> {
        let since = now.saturating_sub(RECENT);
        let versions = self.lake.versions(&set.bucket_url(), &prefix.prefix, since).await;
        let mut objects = Vec::new();
        for found in versions.map_err(failure)? {
            // Prefixes can lie within each other: the longest one says whether an object is trusted.
            let Ok(trusted) = set.takes(&found.key, found.size) else { continue };
            let named =
                object(&set.bucket, &found.key, found.version.as_deref(), found.etag.as_deref());
            objects.extend(named.map(|object| ManifestObject {
                size: found.size,
                trusted,
                ..object
            }));
        }
        Ok(objects)
    }

    fn unit_folder(&self, set: &Dataset) -> Result<Folder, Failure> {
        self.lake.folder(set.cleansed()).map_err(failure)
    }
}

fn failure(why: LakeError) -> Failure {
    if why.is_transient() {
        Failure::Busy(why.to_string())
    } else {
        Failure::Config(why.to_string())
    }
}
