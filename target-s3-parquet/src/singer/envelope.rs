//! Singer's RECORD messages.
//!
//! The SDKs write `type`, `stream`, `record`, `time_extracted` in this order, so that a record can be
//! read in passing. Any other order is read too: then the record waits for the name of its stream.

use std::sync::Arc;

use lake::schema::time;

use crate::decode::dialect::Dialect;
use crate::decode::facts::RowFacts;
use crate::decode::fault::LineFault;
use crate::decode::number;
use crate::decode::plan::Plan;
use crate::decode::reader::{RecordReader, characters};
use crate::decode::scan::{Cursor, Members, Text};
use crate::error::Error;

/// The dialect of Singer.
#[derive(Debug)]
pub(crate) struct Singer;

/// The parts of a RECORD message beside the record itself.
#[derive(Debug, Default)]
struct Envelope<'a> {
    /// The record, once its key has come.
    record: Option<Cursor<'a>>,
    extracted_at: Option<&'a [u8]>,
    version: Option<i64>,
}

impl Dialect for Singer {
    fn read<'a>(
        &self,
        reader: &mut RecordReader<'a, '_, '_>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut envelope = Envelope::default();
        let mut plans = None;
        let mut is_read = false;
        let mut members = Members::open(&mut cursor)?;
        while let Some(key) = members.next(&mut cursor)? {
            match key.raw {
                b"stream" => plans = Some(stream(reader, cursor.text()?, number)?),
                b"record" => match plans {
                    // The common order of keys: the record can be read in passing.
                    Some(plans) if envelope.record.is_none() => {
                        envelope.record = Some(cursor.clone());
                        records(reader, plans, &mut cursor, number)?;
                        is_read = true;
                    }
                    Some(_) | None => {
                        let at = cursor.clone();
                        cursor.skip()?;
                        if envelope.record.replace(at).is_some() {
                            return Err(LineFault::text("it has two `record` keys"));
                        }
                    }
                },
                b"time_extracted" if cursor.peek() == b'"' => {
                    envelope.extracted_at = Some(cursor.text()?.raw);
                }
                b"version" if cursor.peek() != b'"' => {
                    let at = cursor.clone();
                    cursor.skip()?;
                    envelope.version = number::integer(at.clone().word().unwrap_or_default());
                }
                _ => cursor.skip()?,
            }
        }
        cursor.end()?;
        let Some(plans) = plans else { return Err(LineFault::text("it has no `stream`")) };
        let Some(record) = &envelope.record else {
            return Err(LineFault::text("it has no `record`"));
        };
        if !is_read {
            // The record stood before its stream's name.
            records(reader, plans, &mut record.clone(), number)?;
        }
        for plan in plans {
            let stream = reader.stream(plan.id)?;
            // Only a column holds the time.
            let extracted_at = envelope.extracted_at.filter(|_| stream.plan().extra_from.is_some());
            stream.keep(RowFacts {
                line: number,
                extracted_at: extracted_at.and_then(time::instant),
                version: envelope.version,
            })?;
        }
        Ok(())
    }
}

/// The plans of the stream of that name, which must have had its SCHEMA.
#[inline]
fn stream<'a, 'r>(
    reader: &mut RecordReader<'a, 'r, '_>,
    name: Text<'a>,
    line: u64,
) -> Result<&'r [Arc<Plan>], LineFault> {
    match reader.plans(name)? {
        Some(plans) => Ok(plans),
        None => {
            let stream = String::from_utf8_lossy(&characters(name)?).into_owned();
            Err(Error::RecordBeforeSchema { line, stream }.into())
        }
    }
}

/// Reads a record for each plan of its stream.
fn records(
    reader: &mut RecordReader<'_, '_, '_>,
    plans: &[Arc<Plan>],
    cursor: &mut Cursor<'_>,
    number: u64,
) -> Result<(), LineFault> {
    if cursor.peek() != b'{' {
        return Err(LineFault::text("its `record` is no object"));
    }
    let Some((last, others)) = plans.split_last() else { return Ok(cursor.skip()?) };
    for plan in others {
        reader.record(plan.id, &mut cursor.clone(), number)?;
    }
    reader.record(last.id, cursor, number)
}
