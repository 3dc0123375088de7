//! Objects into files. A body that breaks off is gone on with where it broke.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use backon::BackoffBuilder as _;

use super::bucket::{Bucket, is_absent, is_conflict, same};
use super::objects::pauses;
use crate::error::{Error, Result};
use crate::store::contract::Object;

impl Bucket {
    /// The object in a file that is gone when it is closed.
    pub(super) async fn fetch(&self, object: &Object) -> Result<File> {
        let mut file = tempfile::tempfile_in(&self.temp_dir).map_err(spilled("create"))?;
        self.download(object, &mut file).await?;
        file.rewind().map_err(spilled("read"))?;
        Ok(file)
    }

    async fn download(&self, object: &Object, file: &mut File) -> Result<()> {
        let mut written = 0;
        let mut pauses = pauses().build();
        loop {
            let Some(body) = self.body(object, written).await? else {
                return Err(self.conflict(&object.key));
            };
            let Some(fault) = self.copy(body, object, file, &mut written).await? else {
                return Ok(());
            };
            let Some(pause) = pauses.next() else {
                return Err(Error::store("read", self.locate(&object.key), fault));
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The bytes of an object from `from` on, or nothing when it is another version or gone.
    async fn body(&self, object: &Object, from: u64) -> Result<Option<ByteStream>> {
        let request = self
            .client()
            .get_object()
            .bucket(&self.name)
            .key(self.full(&object.key))
            .set_if_match(self.settings.conditional_writes.then(|| object.version.clone()))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .set_expected_bucket_owner(self.owner());
        match request.send().await {
            // Not every server that speaks the protocol of S3 looks at If-Match.
            Ok(got) if got.e_tag().is_some_and(|etag| !same(etag, &object.version)) => Ok(None),
            Ok(got) => Ok(Some(got.body)),
            Err(error) if is_conflict(&error) || is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("read", &object.key, &error)),
        }
    }

    /// Copies a body into the file, as far as it comes. What broke it off, if something did.
    async fn copy(
        &self,
        mut body: ByteStream,
        object: &Object,
        file: &mut File,
        written: &mut u64,
    ) -> Result<Option<String>> {
        let patience = Duration::from_secs(self.settings.request_timeout_seconds);
        loop {
            match tokio::time::timeout(patience, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    file.write_all(&bytes).map_err(spilled("write"))?;
                    *written += bytes.len() as u64;
                }
                Ok(None) if *written >= object.size => return Ok(None),
                // The answer was whole, and only its end is missing.
                Ok(Some(Err(_))) | Err(_) if *written >= object.size && object.size > 0 => {
                    return Ok(None);
                }
                Ok(None) => return Ok(Some("the body ended early".to_owned())),
                Ok(Some(Err(error))) => return Ok(Some(error.to_string())),
                Err(_) => return Ok(Some("the body stalled".to_owned())),
            }
        }
    }
}

fn spilled(action: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Spill { action, path: "of a download".into(), source }
}
