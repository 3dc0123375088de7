//! Any bytes as a record of a stream that has a column of every type.
#![no_main]

const SCHEMA: &[u8] = br#"{"type":"SCHEMA","stream":"s","key_properties":[],"schema":{"properties":{"i":{"type":"integer"},"s":{"type":"integer","minimum":0,"maximum":9},"n":{"type":"number"},"m":{"type":"number","multipleOf":0.01},"b":{"type":"boolean"},"t":{"type":"string"},"d":{"type":"string","format":"date"},"a":{"type":"string","format":"date-time"},"l":{"type":"array","items":{"type":"integer"}},"o":{"type":"object","properties":{"x":{"type":"string"},"y":{"type":"array","items":{"type":"object","properties":{"z":{"type":"number"}}}}}},"j":{}}}}
"#;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let head = br#"{"type":"RECORD","stream":"s","record":"#;
    target_s3_parquet_fuzz::read(&[SCHEMA, head, data, b"}\n"]);
});
