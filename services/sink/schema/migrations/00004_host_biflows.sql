-- Two rows for each conversation, one for either end. The role is a value and
-- not in the key, so a version that exchanges client and server replaces both.

-- +goose Up
CREATE TABLE IF NOT EXISTS host_biflows (
    host IPv6 COMMENT 'Whose row this is, IPv4 as ::ffff:a.b.c.d' CODEC(ZSTD(1)),
    time_opened DateTime64(9, 'UTC') COMMENT 'Start as known at version 1, never changes' CODEC(Delta(8), ZSTD(1)),
    flow_id UInt64 COMMENT 'Identity of the conversation, the same in biflows' CODEC(NONE),
    version UInt32 COMMENT 'Rises with every update, the highest replaces the others: read with FINAL' CODEC(T64, ZSTD(1)),
    role Enum8('client' = 1, 'server' = 2) COMMENT 'What the host was in it',
    peer IPv6 COMMENT 'The other end' CODEC(ZSTD(1)),
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    proto UInt8 COMMENT 'IP protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6' CODEC(ZSTD(1)),
    client_port UInt16 COMMENT 'Port of the client, whichever end that is' CODEC(ZSTD(1)),
    server_port UInt16 COMMENT 'Port of the server, whichever end that is' CODEC(ZSTD(1)),
    bytes_sent UInt64 COMMENT 'Octets the host sent so far' CODEC(T64, ZSTD(1)),
    bytes_received UInt64 COMMENT 'Octets the host received so far' CODEC(T64, ZSTD(1)),
    packets_sent UInt64 COMMENT 'Packets the host sent so far' CODEC(T64, ZSTD(1)),
    packets_received UInt64 COMMENT 'Packets the host received so far' CODEC(T64, ZSTD(1)),
    time_flow_start DateTime64(9, 'UTC') COMMENT 'First packet of either side' CODEC(Delta(8), ZSTD(1)),
    time_flow_end DateTime64(9, 'UTC') COMMENT 'Last packet of either side so far' CODEC(Delta(8), ZSTD(1)),
    conn_state Enum8('unspecified' = 0, 'established' = 1, 'rejected' = 2, 'half_open' = 3, 'unanswered' = 4, 'reverse_unobserved' = 5, 'one_way' = 6, 'denied' = 7) COMMENT 'What is known of its fate',
    close_reason Enum8('unspecified' = 0, 'fin' = 1, 'rst' = 2, 'end_detected' = 3, 'idle' = 4, 'port_reuse' = 5, 'evicted' = 6, 'end_of_input' = 7) COMMENT 'Why no more is expected, unspecified while it is open',
    initiator_confidence Float32 COMMENT 'How sure the roles are: 0.5 is a guess, 0.99 the most' CODEC(ZSTD(1)),
    icmp_type UInt8 COMMENT 'ICMP type' CODEC(ZSTD(1)),
    icmp_code UInt8 COMMENT 'ICMP code' CODEC(ZSTD(1)),
    sampling_rate UInt64 COMMENT 'The largest of its counted flows, 0 is unknown' CODEC(ZSTD(1)),
    application LowCardinality(String) COMMENT 'Application by the exporter''s word',
    http_host String COMMENT 'HTTP host' CODEC(ZSTD(1)),
    dns_name String COMMENT 'Name asked for, where the exporter looks into DNS' CODEC(ZSTD(1)),
    peer_global Bool ALIAS NOT (
        peer BETWEEN toIPv6('10.0.0.0') AND toIPv6('10.255.255.255')
        OR peer BETWEEN toIPv6('172.16.0.0') AND toIPv6('172.31.255.255')
        OR peer BETWEEN toIPv6('192.168.0.0') AND toIPv6('192.168.255.255')
        OR peer BETWEEN toIPv6('100.64.0.0') AND toIPv6('100.127.255.255')
        OR peer BETWEEN toIPv6('169.254.0.0') AND toIPv6('169.254.255.255')
        OR peer BETWEEN toIPv6('127.0.0.0') AND toIPv6('127.255.255.255')
        OR peer BETWEEN toIPv6('0.0.0.0') AND toIPv6('0.255.255.255')
        OR peer BETWEEN toIPv6('224.0.0.0') AND toIPv6('255.255.255.255')
        OR peer BETWEEN toIPv6('::') AND toIPv6('::1')
        OR peer >= toIPv6('fc00::')) COMMENT 'The peer is a global unicast address: not private, local, multicast or broadcast',
    time_inserted DateTime('UTC') DEFAULT now() COMMENT 'When this row was written, by the wall clock' CODEC(Delta(4), ZSTD(1)),
    INDEX by_peer peer TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_start time_flow_start TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(time_opened)
ORDER BY (host, time_opened, flow_id)
TTL time_inserted + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
COMMENT 'Conversations from the view of either end, ordered by host and time: what a host did next is a range scan. Read with FINAL';

-- +goose Down
DROP TABLE IF EXISTS host_biflows;
