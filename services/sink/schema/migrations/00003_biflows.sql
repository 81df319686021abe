-- A later version may exchange client and server or move the start, so the sort
-- key holds only what never changes: the hour it was opened, the two addresses
-- in order whichever is the client, and the id.

-- +goose Up
CREATE TABLE IF NOT EXISTS biflows (
    time_opened DateTime64(9, 'UTC') COMMENT 'Start as known at version 1, never changes' CODEC(Delta(8), ZSTD(1)),
    time_flow_start DateTime64(9, 'UTC') COMMENT 'First packet of either side' CODEC(Delta(8), ZSTD(1)),
    time_flow_end DateTime64(9, 'UTC') COMMENT 'Last packet of either side so far' CODEC(Delta(8), ZSTD(1)),
    time_updated DateTime64(9, 'UTC') COMMENT 'Stream time at which this version was issued' CODEC(Delta(8), ZSTD(1)),
    time_quality Enum8('unspecified' = 0, 'absolute' = 1, 'uptime' = 2, 'inferred' = 3, 'export_only' = 4, 'received_only' = 5) COMMENT 'How far the times can be trusted, the worst of its flows',
    flow_id UInt64 COMMENT 'Identity of the conversation' CODEC(NONE),
    version UInt32 COMMENT 'Rises with every update, the highest replaces the others: read with FINAL' CODEC(T64, ZSTD(1)),
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    proto UInt8 COMMENT 'IP protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6' CODEC(ZSTD(1)),
    client_addr IPv6 COMMENT 'Who opened the conversation, IPv4 as ::ffff:a.b.c.d' CODEC(ZSTD(1)),
    client_port UInt16 COMMENT 'Its port, 0 where the protocol has none' CODEC(ZSTD(1)),
    server_addr IPv6 COMMENT 'Who was addressed' CODEC(ZSTD(1)),
    server_port UInt16 COMMENT 'Its port, 0 where the protocol has none' CODEC(ZSTD(1)),
    client_bytes UInt64 COMMENT 'Octets the client sent so far, multiply by sampling_rate to estimate' CODEC(T64, ZSTD(1)),
    client_packets UInt64 COMMENT 'Packets the client sent so far' CODEC(T64, ZSTD(1)),
    client_tcp_flags UInt16 COMMENT 'TCP flags the client sent, or-ed' CODEC(ZSTD(1)),
    server_bytes UInt64 COMMENT 'Octets the server sent so far' CODEC(T64, ZSTD(1)),
    server_packets UInt64 COMMENT 'Packets the server sent so far' CODEC(T64, ZSTD(1)),
    server_tcp_flags UInt16 COMMENT 'TCP flags the server sent, or-ed' CODEC(ZSTD(1)),
    new_client_bytes UInt64 COMMENT 'What this version added to client_bytes' CODEC(T64, ZSTD(1)),
    new_client_packets UInt64 COMMENT 'What this version added to client_packets' CODEC(T64, ZSTD(1)),
    new_server_bytes UInt64 COMMENT 'What this version added to server_bytes' CODEC(T64, ZSTD(1)),
    new_server_packets UInt64 COMMENT 'What this version added to server_packets' CODEC(T64, ZSTD(1)),
    initiator_evidence Enum8('unspecified' = 0, 'none' = 1, 'exporter' = 2, 'tcp_flags' = 3, 'icmp_type' = 4, 'first_seen' = 5, 'known_port' = 6, 'first_seen_elsewhere' = 7, 'lower_port' = 8, 'multicast' = 9) COMMENT 'The strongest reason for calling one side the client',
    initiator_confidence Float32 COMMENT 'How sure: 0.5 is a guess, 0.99 the most' CODEC(ZSTD(1)),
    direction_revised Bool COMMENT 'Client and server were exchanged after an earlier version',
    direction_conflict Bool COMMENT 'Reports contradict each other on who is the client',
    conn_state Enum8('unspecified' = 0, 'established' = 1, 'rejected' = 2, 'half_open' = 3, 'unanswered' = 4, 'reverse_unobserved' = 5, 'one_way' = 6, 'denied' = 7) COMMENT 'What is known of its fate',
    close_reason Enum8('unspecified' = 0, 'fin' = 1, 'rst' = 2, 'end_detected' = 3, 'idle' = 4, 'port_reuse' = 5, 'evicted' = 6, 'end_of_input' = 7) COMMENT 'Why no more is expected, unspecified while it is open',
    icmp_type UInt8 COMMENT 'ICMP type' CODEC(ZSTD(1)),
    icmp_code UInt8 COMMENT 'ICMP code' CODEC(ZSTD(1)),
    segments UInt32 COMMENT 'Number of flows that were added up, both sides' CODEC(T64, ZSTD(1)),
    sampling_rate UInt64 COMMENT 'The largest of its counted flows, 0 is unknown' CODEC(ZSTD(1)),
    sampling_kind Enum8('unspecified' = 0, 'none' = 1, 'packet' = 2, 'flow' = 3) COMMENT 'What sampling_rate means',
    packets_unknown Bool COMMENT 'Some volume comes from a reporter that counts no packets',
    application LowCardinality(String) COMMENT 'Application by the exporter''s word',
    user LowCardinality(String) COMMENT 'User by the exporter''s word',
    http_host String COMMENT 'HTTP host' CODEC(ZSTD(1)),
    http_url String COMMENT 'HTTP path' CODEC(ZSTD(1)),
    dns_name String COMMENT 'Name asked for, where the exporter looks into DNS' CODEC(ZSTD(1)),
    post_client_addr IPv6 COMMENT 'The client after translation, :: if none' CODEC(ZSTD(1)),
    post_client_port UInt16 COMMENT 'Its port after translation' CODEC(ZSTD(1)),
    post_server_addr IPv6 COMMENT 'The server after translation, :: if none' CODEC(ZSTD(1)),
    post_server_port UInt16 COMMENT 'Its port after translation' CODEC(ZSTD(1)),
    prev_flow_id UInt64 COMMENT 'The conversation this one continues, 0 is none' CODEC(ZSTD(1)),
    firewall_rule LowCardinality(String) COMMENT 'The firewall''s rule',
    reporters Nested (
        sampler_address IPv6,
        observation_domain_id UInt32,
        direction Enum8('unspecified' = 0, 'ingress' = 1, 'egress' = 2),
        type Enum8('unspecified' = 0, 'sflow_5' = 1, 'netflow_v5' = 2, 'netflow_v9' = 3, 'ipfix' = 4, 'aws_vpc' = 20),
        in_if UInt32,
        out_if UInt32
    ) COMMENT 'Every observation point that reported, once: arrays of equal length' CODEC(ZSTD(1)),
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock' CODEC(Delta(4), ZSTD(1)),
    INDEX by_client client_addr TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_server server_addr TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_id flow_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_start time_flow_start TYPE minmax GRANULARITY 1,
    INDEX by_end time_flow_end TYPE minmax GRANULARITY 1,
    INDEX by_update time_updated TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(time_opened)
ORDER BY (toStartOfHour(time_opened), least(client_addr, server_addr), greatest(client_addr, server_addr), flow_id)
TTL time_inserted + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
COMMENT 'Conversations: both directions, client to server, counted once. Read with FINAL to see each in its last version';

-- +goose Down
DROP TABLE IF EXISTS biflows;
