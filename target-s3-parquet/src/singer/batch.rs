//! BATCH messages: records in files beside the input, which read as if they stood in its place.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use lake::Aws;
use lake::store;
use serde::Deserialize;

use super::batch_place::{self, Found, Refusal};
use crate::error::{Error, Result};
use crate::memory::BLOCK;
use crate::settings::config::Config;

/// A BATCH message: files with the records of a stream.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BatchMessage {
    /// The stream.
    pub(super) stream: String,
    encoding: Encoding,
    /// URLs or paths of the files.
    pub(super) manifest: Vec<String>,
}

/// How the files are written.
#[derive(Debug, Clone, Deserialize)]
struct Encoding {
    format: String,
    compression: Option<String>,
}

/// A file of a batch, read in blocks of messages.
pub(super) struct BatchFile {
    lines: Box<dyn BufRead>,
    url: String,
    head: Vec<u8>,
    /// Number of the next line, from 1.
    next_line: u64,
    longest: usize,
}

impl BatchMessage {
    /// Opens one of the files of the message, which stands in that line.
    pub(super) fn open(
        &self,
        url: &str,
        line: u64,
        config: &Config,
        aws: &Aws,
    ) -> Result<BatchFile> {
        let fault = |reason: String| Error::Batch { file: url.to_owned(), reason };
        if self.encoding.format != "jsonl" {
            return Err(fault(format!(
                "the format `{}` is not known; only jsonl is",
                self.encoding.format
            )));
        }
        let file = self.fetch(url, line, config, aws)?;
        let reader: Box<dyn Read> = match self.encoding.compression.as_deref() {
            None | Some("" | "none") => Box::new(file),
            Some("gzip" | "gz") => Box::new(MultiGzDecoder::new(file)),
            Some(other) => {
                return Err(fault(format!(
                    "the compression `{other}` is not known; gzip and none are"
                )));
            }
        };
        let stream = serde_json::to_string(&self.stream)
            .map_err(|error| Error::broken("a name is JSON", error))?;
        Ok(BatchFile {
            lines: Box::new(BufReader::with_capacity(BLOCK / 8, reader)),
            url: url.to_owned(),
            head: format!(r#"{{"type":"RECORD","stream":{stream},"record":"#).into_bytes(),
            next_line: 1,
            longest: (config.memory_bytes() / 2).max(BLOCK),
        })
    }

    /// A local file or an S3 object as a file, if it is where files may come from.
    fn fetch(&self, url: &str, line: u64, config: &Config, aws: &Aws) -> Result<File> {
        let fault = |reason: String| Error::Batch { file: url.to_owned(), reason };
        let missing = || fault("it does not exist".into());
        match batch_place::find(url, config) {
            Ok(Found::Local(file)) => Ok(file),
            Ok(Found::Object { bucket, key }) => {
                let bucket = store::bucket(aws, bucket, "", "batch")?;
                let object = bucket.head(key)?.ok_or_else(missing)?;
                Ok(bucket.fetch(&object)?)
            }
            Err(Refusal::Missing) => Err(missing()),
            Err(Refusal::NoFile) => Err(fault("it is no file".into())),
            Err(Refusal::Unreadable(source)) => Err(Error::Input { name: url.to_owned(), source }),
            Err(Refusal::Outside(places)) => {
                let stream = &self.stream;
                Err(fault(format!(
                    "the BATCH message of stream `{stream}` in line {line} names it, and only what is below {places} is read; name the folder or the s3:// prefix of the tap's batches in `batch_from`"
                )))
            }
        }
    }
}

impl BatchFile {
    /// The next lines as messages, and the number of the first; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, u64)>> {
        let first_line = self.next_line;
        let mut block = Vec::with_capacity(BLOCK);
        let mut line = Vec::new();
        while block.len() < BLOCK {
            line.clear();
            let limit = self.longest as u64;
            let read = (&mut self.lines).take(limit).read_until(b'\n', &mut line);
            let fault = |reason| Error::Batch { file: self.url.clone(), reason };
            let read = read.map_err(|error| fault(format!("line {}: {error}", self.next_line)))?;
            if read == 0 {
                break;
            }
            let at = self.next_line;
            if read == self.longest {
                return Err(fault(format!("line {at} is longer than half of memory_mb")));
            }
            self.next_line += 1;
            let record = line.trim_ascii();
            if !record.is_empty() {
                block.extend_from_slice(&self.head);
                block.extend_from_slice(record);
                block.push(b'}');
            }
            // Empty lines stay, so that lines keep their numbers.
            block.push(b'\n');
        }
        Ok((!block.is_empty()).then(|| (block.into(), first_line)))
    }
}
