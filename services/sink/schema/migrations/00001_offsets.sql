-- How far each partition of the log has been written, and what the reader knew
-- of its sources there. Written last of all tables of a cut.

-- +goose Up
CREATE TABLE IF NOT EXISTS offsets (
    topic LowCardinality(String) COMMENT 'Kafka topic, with its prefix',
    partition UInt32 COMMENT 'Partition of the topic',
    next UInt64 COMMENT 'Everything before this offset is in the ledger',
    sources String COMMENT 'What the reader knew of the partition''s sources there (internal)' CODEC(ZSTD(1)),
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock'
)
ENGINE = ReplacingMergeTree(next)
ORDER BY (topic, partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'How far each partition of the log has been written. Ask: SELECT topic, partition, max(next) FROM offsets GROUP BY topic, partition';

-- +goose Down
DROP TABLE IF EXISTS offsets;
