-- Only minimum and maximum, see first_seen.

-- +goose Up
CREATE TABLE IF NOT EXISTS passive_dns (
    dns_name String COMMENT 'The name asked for, lower case, without the last dot' CODEC(ZSTD(1)),
    type LowCardinality(String) COMMENT 'Type of the answer: a, aaaa, cname, …, that of the question where there is no answer',
    data String COMMENT 'The answer: an address, a name or text, empty where there is none' CODEC(ZSTD(1)),
    name String COMMENT 'Whose record it is: dns_name, or what it is an alias of' CODEC(ZSTD(1)),
    response_code LowCardinality(String) COMMENT 'noerror, nxdomain, …',
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    time_first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'First time this was answered: read with min()' CODEC(ZSTD(1)),
    time_last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Last time this was answered: read with max()' CODEC(ZSTD(1)),
    time_inserted SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now() COMMENT 'When it was last written, by the wall clock'
)
ENGINE = AggregatingMergeTree
ORDER BY (dns_name, type, data, name, response_code, realm)
TTL time_inserted + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What names were answered with, by name. Read with GROUP BY';

CREATE TABLE IF NOT EXISTS passive_dns_by_addr (
    addr IPv6 COMMENT 'An address that was an answer, IPv4 as ::ffff:a.b.c.d' CODEC(ZSTD(1)),
    dns_name String COMMENT 'The name asked for, or what it is an alias of' CODEC(ZSTD(1)),
    realm UInt32 COMMENT 'Address space (VRF, tenant, site), 0 by default' CODEC(ZSTD(1)),
    time_first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'First time this was answered: read with min()' CODEC(ZSTD(1)),
    time_last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Last time this was answered: read with max()' CODEC(ZSTD(1)),
    time_inserted SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now() COMMENT 'When it was last written, by the wall clock'
)
ENGINE = AggregatingMergeTree
ORDER BY (addr, dns_name, realm)
TTL time_inserted + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What names were answered with, by address. Read with GROUP BY';

-- +goose Down
DROP TABLE IF EXISTS passive_dns_by_addr;
DROP TABLE IF EXISTS passive_dns;
