//! Records to columns: a thousand lines of JSON; and the envelope that they come in.

#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(common::ROWS as u64));
    let (engine, lines) = (common::engine(), common::lines());
    let records = common::records(&lines);
    group.bench_function("json", |bencher| {
        bencher.iter(|| {
            let (mut batch, mut rejects) = (engine.decoder().batch(), Vec::new());
            for record in &records {
                engine.decoder().record(black_box(record), &mut batch, &mut rejects);
            }
            (batch, rejects)
        });
    });
    let envelopes: Vec<String> = lines
        .iter()
        .zip(1..)
        .map(|(line, n)| {
            let data = base64_simd::STANDARD.encode_to_string(line);
            format!(
                r#"{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"c-1","sequenceNumber":"4954{n:052}","data":"{data}","approximateArrivalTimestamp":1767225600.123}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:4954{n:052}","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"ap-east-1","eventSourceARN":"arn:aws:kinesis:ap-east-1:123456789012:stream/card-transactions"}}"#
            )
        })
        .collect();
    let event = format!("{{\"Records\":[{}]}}", envelopes.join(","));
    group.bench_function("envelope", |bencher| {
        let mut arena = Vec::new();
        bencher.iter(|| {
            arena.clear();
            leat::decode::kinesis::open(black_box(&event), &mut arena).is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
