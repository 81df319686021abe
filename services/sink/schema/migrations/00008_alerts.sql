-- +goose Up
CREATE TABLE IF NOT EXISTS alerts (
    uid String COMMENT 'The finding: one per rule, subject and episode (OCSF finding_info.uid)' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'Rises with every update of the finding, the highest replaces the others: read with FINAL' CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') COMMENT 'Stream time of this update' CODEC(ZSTD(1)),
    time_first DateTime64(9, 'UTC') COMMENT 'First thing that belongs to the finding' CODEC(ZSTD(1)),
    time_last DateTime64(9, 'UTC') COMMENT 'Last thing that belongs to it so far' CODEC(ZSTD(1)),
    activity Enum8('unknown' = 0, 'create' = 1, 'update' = 2, 'close' = 3, 'other' = 99) COMMENT 'OCSF activity_id',
    status LowCardinality(String) COMMENT 'OCSF status: new, in progress, suppressed, resolved',
    host IPv6 COMMENT 'The accused, :: if it is no address' CODEC(ZSTD(1)),
    rule LowCardinality(String) COMMENT 'The rule (OCSF finding_info.analytic.uid)',
    title String COMMENT 'What it is, in short' CODEC(ZSTD(1)),
    message String COMMENT 'What happened, in a sentence' CODEC(ZSTD(1)),
    severity_id UInt8 COMMENT 'OCSF: 1 informational, 2 low, 3 medium, 4 high, 5 critical, 6 fatal' CODEC(ZSTD(1)),
    confidence_score UInt8 COMMENT 'How sure, 0 to 100' CODEC(ZSTD(1)),
    techniques Array(LowCardinality(String)) COMMENT 'ATT&CK techniques: T1046, …' CODEC(ZSTD(1)),
    related_events_count UInt32 COMMENT 'Number of conversations that belong to it' CODEC(ZSTD(1)),
    finding String COMMENT 'The whole OCSF Detection Finding, as JSON' CODEC(ZSTD(3)),
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock',
    INDEX by_host host TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_time time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY uid
TTL time_inserted + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Findings of the detectors, each in its last version if read with FINAL';

-- +goose Down
DROP TABLE IF EXISTS alerts;
