-- What a firewall or a probe knows stays under its name also where another
-- exporter is the authority.

-- +goose Up
ALTER TABLE flows
    ADD COLUMN IF NOT EXISTS `reporters.forwarding_status` Array(UInt32) COMMENT 'What each did with the packets (RFC 7270)' CODEC(ZSTD(1)) AFTER `reporters.record_id`,
    ADD COLUMN IF NOT EXISTS `reporters.firewall_event` Array(UInt8) COMMENT 'What each firewall said: 1 created, 2 deleted, 3 denied, 4 alert, 5 update' CODEC(ZSTD(1)) AFTER `reporters.forwarding_status`,
    ADD COLUMN IF NOT EXISTS `reporters.post_src_addr` Array(IPv6) COMMENT 'Source after translation, by each' CODEC(ZSTD(1)) AFTER `reporters.firewall_event`,
    ADD COLUMN IF NOT EXISTS `reporters.post_src_port` Array(UInt16) COMMENT 'Source port after translation, by each' CODEC(ZSTD(1)) AFTER `reporters.post_src_addr`,
    ADD COLUMN IF NOT EXISTS `reporters.post_dst_addr` Array(IPv6) COMMENT 'Destination after translation, by each' CODEC(ZSTD(1)) AFTER `reporters.post_src_port`,
    ADD COLUMN IF NOT EXISTS `reporters.post_dst_port` Array(UInt16) COMMENT 'Destination port after translation, by each' CODEC(ZSTD(1)) AFTER `reporters.post_dst_addr`,
    ADD COLUMN IF NOT EXISTS `reporters.http_host` Array(String) COMMENT 'HTTP host, by each' CODEC(ZSTD(1)) AFTER `reporters.post_dst_port`,
    ADD COLUMN IF NOT EXISTS `reporters.http_url` Array(String) COMMENT 'HTTP path, by each' CODEC(ZSTD(1)) AFTER `reporters.http_host`,
    ADD COLUMN IF NOT EXISTS `reporters.dns_name` Array(String) COMMENT 'Name asked for, by each' CODEC(ZSTD(1)) AFTER `reporters.http_url`;

-- +goose Down
ALTER TABLE flows
    DROP COLUMN IF EXISTS `reporters.forwarding_status`,
    DROP COLUMN IF EXISTS `reporters.firewall_event`,
    DROP COLUMN IF EXISTS `reporters.post_src_addr`,
    DROP COLUMN IF EXISTS `reporters.post_src_port`,
    DROP COLUMN IF EXISTS `reporters.post_dst_addr`,
    DROP COLUMN IF EXISTS `reporters.post_dst_port`,
    DROP COLUMN IF EXISTS `reporters.http_host`,
    DROP COLUMN IF EXISTS `reporters.http_url`,
    DROP COLUMN IF EXISTS `reporters.dns_name`;
