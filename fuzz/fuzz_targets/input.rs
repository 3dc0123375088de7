//! Any bytes as the whole input.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| target_s3_parquet_fuzz::read(&[data]));
