-- Questions as views with parameters. Times are texts that a person would write
-- (2026-09-18T10:00:00Z), addresses likewise.

-- +goose Up
CREATE VIEW IF NOT EXISTS hunt_contacts AS
SELECT
    peer, role, proto, server_port,
    count() AS conversations, countIf(conn_state = 'established') AS established,
    sum(bytes_sent) AS sent, sum(bytes_received) AS received,
    min(h.time_flow_start) AS time_first, max(h.time_flow_end) AS time_last
FROM host_biflows AS h FINAL
WHERE host = toIPv6({addr:String})
  AND time_opened >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
  AND time_opened < parseDateTime64BestEffort({until:String}, 9, 'UTC')
GROUP BY peer, role, proto, server_port
ORDER BY time_first, peer, server_port, proto, role
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Who was in touch with an address, on what and how much: hunt_contacts(addr, since, until). The role is the address''s own';

CREATE VIEW IF NOT EXISTS hunt_host AS
SELECT
    h.time_flow_start AS time_flow_start, h.time_flow_end AS time_flow_end, h.role AS role, h.peer AS peer, n.names AS names,
    h.proto AS proto, h.server_port AS server_port, h.bytes_sent AS bytes_sent, h.bytes_received AS bytes_received,
    h.conn_state AS conn_state, s.first AS peer_first_seen, h.flow_id AS flow_id
FROM (
    SELECT *
    FROM host_biflows FINAL
    WHERE host = toIPv6({host:String})
      AND time_opened >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
      AND time_opened < parseDateTime64BestEffort({until:String}, 9, 'UTC')
) AS h
LEFT JOIN (SELECT host AS met, min(time_first) AS first FROM first_seen_host GROUP BY met) AS s ON s.met = h.peer
LEFT JOIN (SELECT addr, arraySort(groupUniqArray(3)(dns_name)) AS names FROM passive_dns_by_addr GROUP BY addr) AS n ON n.addr = h.peer
ORDER BY time_flow_start, flow_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'All a host did, in order: hunt_host(host, since, until)';

CREATE VIEW IF NOT EXISTS hunt_after AS
WITH
    contacts AS (
        SELECT peer AS contact, min(time_flow_start) AS time_contact
        FROM host_biflows FINAL
        WHERE role = 'server'
          AND (host IN (SELECT addr FROM passive_dns_by_addr WHERE dns_name = lower({ioc:String}))
               OR host = toIPv6OrDefault({ioc:String}, toIPv6('::')))
          AND time_opened >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
          AND time_opened < parseDateTime64BestEffort({until:String}, 9, 'UTC')
        GROUP BY contact
    )
SELECT
    h.host AS host, c.time_contact AS time_contact, h.time_flow_start AS time_flow_start, h.time_flow_end AS time_flow_end,
    h.peer AS peer, h.peer_global AS peer_global, s.first AS peer_first_seen, h.proto AS proto, h.server_port AS server_port,
    h.bytes_sent AS bytes_sent, h.bytes_received AS bytes_received, h.conn_state AS conn_state, h.flow_id AS flow_id
FROM (
    SELECT *, peer_global
    FROM host_biflows FINAL
    WHERE role = 'client' AND host IN (SELECT contact FROM contacts)
      AND time_opened >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
) AS h
INNER JOIN contacts AS c ON c.contact = h.host
LEFT JOIN (SELECT host AS met, min(time_first) AS first FROM first_seen_host GROUP BY met) AS s ON s.met = h.peer
WHERE h.time_flow_start > c.time_contact
  AND h.time_flow_start <= c.time_contact + toIntervalSecond({seconds:UInt32})
  AND (NOT h.peer_global OR s.first >= c.time_contact)
ORDER BY host, time_flow_start, flow_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Who contacted a bad address or name, and what each did within so many seconds after, with insiders and with outsiders never met before: hunt_after(ioc, since, until, seconds)';

CREATE VIEW IF NOT EXISTS hunt_volume AS
SELECT
    host, sum(bytes_sent) AS sent, sum(bytes_received) AS received, sumIf(bytes_sent, peer_global) AS sent_outside,
    count() AS conversations, uniqExact(peer) AS peers,
    argMax(peer, bytes_sent) AS biggest_receiver, max(bytes_sent) AS biggest_sent
FROM host_biflows FINAL
WHERE time_opened >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
  AND time_opened < parseDateTime64BestEffort({until:String}, 9, 'UTC')
GROUP BY host
ORDER BY sent + received DESC, host
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Who sent and received most: hunt_volume(since, until). Counts are as metered, not scaled by sampling';

-- +goose Down
DROP VIEW IF EXISTS hunt_volume;
DROP VIEW IF EXISTS hunt_after;
DROP VIEW IF EXISTS hunt_host;
DROP VIEW IF EXISTS hunt_contacts;
