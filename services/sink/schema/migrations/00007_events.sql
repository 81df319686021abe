-- +goose Up
CREATE TABLE IF NOT EXISTS events (
    time_received DateTime64(9, 'UTC') COMMENT 'When the record was received' CODEC(Delta(8), ZSTD(1)),
    time_event DateTime64(9, 'UTC') COMMENT 'When it happened, by the exporter' CODEC(Delta(8), ZSTD(1)),
    record_id UInt64 COMMENT 'Identity of the raw record' CODEC(ZSTD(1)),
    kind Enum8('unspecified' = 0, 'firewall' = 1, 'nat' = 2, 'counter' = 3, 'drop' = 4, 'aggregate' = 5, 'application' = 6, 'layer2' = 7, 'status' = 8, 'other' = 9) COMMENT 'What it tells of',
    type Enum8('unspecified' = 0, 'sflow_5' = 1, 'netflow_v5' = 2, 'netflow_v9' = 3, 'ipfix' = 4, 'aws_vpc' = 20) COMMENT 'Export protocol',
    sampler_address IPv6 COMMENT 'Exporter''s address' CODEC(ZSTD(1)),
    observation_domain_id UInt32 COMMENT 'Exporter''s observation domain' CODEC(ZSTD(1)),
    sequence_num UInt32 COMMENT 'Sequence number of the datagram' CODEC(Delta(4), ZSTD(1)),
    template_id UInt16 COMMENT 'Template of the record' CODEC(ZSTD(1)),
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    proto UInt8 COMMENT 'IP protocol number' CODEC(ZSTD(1)),
    src_addr IPv6 COMMENT 'Source, :: if none' CODEC(ZSTD(1)),
    src_port UInt16 COMMENT 'Source port' CODEC(ZSTD(1)),
    dst_addr IPv6 COMMENT 'Destination, :: if none' CODEC(ZSTD(1)),
    dst_port UInt16 COMMENT 'Destination port' CODEC(ZSTD(1)),
    post_src_addr IPv6 COMMENT 'Source after translation, :: if none' CODEC(ZSTD(1)),
    post_src_port UInt16 COMMENT 'Source port after translation' CODEC(ZSTD(1)),
    post_dst_addr IPv6 COMMENT 'Destination after translation, :: if none' CODEC(ZSTD(1)),
    post_dst_port UInt16 COMMENT 'Destination port after translation' CODEC(ZSTD(1)),
    bytes UInt64 COMMENT 'Octets it tells of: no part of any flow''s count' CODEC(T64, ZSTD(1)),
    packets UInt64 COMMENT 'Packets it tells of' CODEC(T64, ZSTD(1)),
    in_if UInt32 COMMENT 'ifIndex it came in by' CODEC(ZSTD(1)),
    out_if UInt32 COMMENT 'ifIndex it went out by' CODEC(ZSTD(1)),
    icmp_type UInt8 COMMENT 'ICMP type' CODEC(ZSTD(1)),
    icmp_code UInt8 COMMENT 'ICMP code' CODEC(ZSTD(1)),
    user LowCardinality(String) COMMENT 'User by the exporter''s word',
    firewall_event UInt8 COMMENT 'IANA element 233: 1 created, 2 deleted, 3 denied, 4 alert, 5 update' CODEC(ZSTD(1)),
    firewall_ext_event UInt16 COMMENT 'Cisco element 33002: the reason for a denial' CODEC(ZSTD(1)),
    firewall_rule LowCardinality(String) COMMENT 'The firewall''s rule',
    nat_event UInt8 COMMENT 'IANA element 230 (RFC 8158)' CODEC(ZSTD(1)),
    connection_id UInt64 COMMENT 'The exporter''s id of the connection' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Everything else the record says, by the element''s name' CODEC(ZSTD(1)),
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock' CODEC(Delta(4), ZSTD(1)),
    INDEX by_src src_addr TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_dst dst_addr TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_time time_event TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(time_received)
ORDER BY (kind, sampler_address, time_received)
TTL time_inserted + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
COMMENT 'Records that are no flow: firewall and NAT events, counters, drops';

-- +goose Down
DROP TABLE IF EXISTS events;
