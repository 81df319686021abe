// Package embedded runs the two servers that Flowledger talks to, for `flowctl
// dev`, the demonstration and tests: a Kafka broker inside the calling process, and
// a ClickHouse beside it.
//
//	kafka-go ──Kafka protocol──▶ StartBroker   (kfake; memory or a folder)
//
//	clickhouse-go, curl ──HTTP──▶ StartLedger ─┬─▶ the server of CLICKHOUSE_ADDR
//	                                           ├─▶ `clickhouse server` from PATH, a child
//	                                           └─▶ flowledger-engine, a child: libchdb
//
// Neither is for production: the broker never syncs more than asked, and the
// engine knows no users. What they promise is that a client cannot tell them from
// the real servers in what Flowledger uses of those.
package embedded
