// Package embedded runs the two servers that Flowledger talks to inside the
// calling process, for `flowctl dev`, the demonstration and tests: a Kafka
// broker and a ClickHouse engine.
//
//	kafka-go ──Kafka protocol──▶ StartBroker   (kfake; memory or a folder)
//
//	clickhouse-go, curl ──HTTP──▶ StartLedger ─┬─▶ the server of CLICKHOUSE_ADDR
//	                                           ├─▶ `clickhouse server` from PATH
//	                                           └─▶ libchdb, loaded into this process
//
// Neither is for production: the broker never syncs more than asked, and the
// engine runs in the caller's memory. What they promise is that a client cannot
// tell them from the real servers in what Flowledger uses of those.
package embedded
