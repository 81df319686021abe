-- Only minimum and maximum, never sums: a version more or less changes nothing.
-- An entry that is not seen again for 400 days is forgotten.

-- +goose Up
CREATE TABLE IF NOT EXISTS first_seen (
    server_addr IPv6 COMMENT 'Who was addressed' CODEC(ZSTD(1)),
    server_port UInt16 COMMENT 'On which port, 0 where the protocol has none' CODEC(ZSTD(1)),
    proto UInt8 COMMENT 'IP protocol number' CODEC(ZSTD(1)),
    client_addr IPv6 COMMENT 'By whom' CODEC(ZSTD(1)),
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    time_first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'Start of the first conversation: read with min()' CODEC(ZSTD(1)),
    time_last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'End of the last conversation: read with max()' CODEC(ZSTD(1)),
    time_inserted SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now() COMMENT 'When it was last written, by the wall clock'
)
ENGINE = AggregatingMergeTree
ORDER BY (server_addr, server_port, proto, client_addr, realm)
TTL time_inserted + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Who talked to whom for the first and the last time. Read with GROUP BY, or through first_seen_server and first_seen_host';

CREATE VIEW IF NOT EXISTS first_seen_server AS
SELECT server_addr, server_port, proto, realm, min(f.time_first) AS time_first, max(f.time_last) AS time_last, uniqExact(client_addr) AS clients
FROM first_seen AS f
GROUP BY server_addr, server_port, proto, realm
COMMENT 'When each service was used for the first and the last time, and by how many clients';

CREATE VIEW IF NOT EXISTS first_seen_host AS
SELECT host, realm, min(f) AS time_first, max(l) AS time_last
FROM (
    SELECT client_addr AS host, realm, time_first AS f, time_last AS l FROM first_seen
    UNION ALL
    SELECT server_addr AS host, realm, time_first AS f, time_last AS l FROM first_seen
)
GROUP BY host, realm
COMMENT 'When each address was met for the first and the last time, in either role';

-- +goose Down
DROP VIEW IF EXISTS first_seen_host;
DROP VIEW IF EXISTS first_seen_server;
DROP TABLE IF EXISTS first_seen;
