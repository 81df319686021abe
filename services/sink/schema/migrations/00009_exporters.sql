-- +goose Up
CREATE TABLE IF NOT EXISTS exporters (
    sampler_address IPv6 COMMENT 'Exporter''s address',
    observation_domain_id UInt32 COMMENT 'Exporter''s observation domain',
    kind Enum8('unspecified' = 0, 'template' = 1, 'sampler' = 2, 'interface' = 3, 'vrf' = 4, 'application' = 5, 'timeouts' = 6, 'statistics' = 7, 'element' = 8, 'other' = 9) COMMENT 'What the fact is about',
    type Enum8('unspecified' = 0, 'sflow_5' = 1, 'netflow_v5' = 2, 'netflow_v9' = 3, 'ipfix' = 4, 'aws_vpc' = 20) COMMENT 'Export protocol',
    template_id UInt16 COMMENT 'The template, or the options template of the record',
    id UInt64 COMMENT 'What is numbered: sampler, ifIndex, VRF, application',
    name String COMMENT 'Its name, where it has one',
    time_received DateTime64(9, 'UTC') COMMENT 'When it was last said, the last one replaces the others: read with FINAL',
    sampling_rate UInt64 COMMENT 'Of a sampler: one in so many packets',
    active_timeout_ms UInt32 COMMENT 'Active timeout, 0 is unknown',
    inactive_timeout_ms UInt32 COMMENT 'Inactive timeout, 0 is unknown',
    template String COMMENT 'The template record as it came' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Everything the options record says, by the element''s name' CODEC(ZSTD(1)),
    record_id UInt64 COMMENT 'Identity of the raw record',
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock'
)
ENGINE = ReplacingMergeTree(time_received)
ORDER BY (sampler_address, observation_domain_id, kind, type, template_id, id)
TTL time_inserted + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What exporters say of themselves: templates, samplers, names of interfaces and VRFs. Read with FINAL';

-- +goose Down
DROP TABLE IF EXISTS exporters;
