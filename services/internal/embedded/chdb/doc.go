// Package chdb runs the ClickHouse engine inside this process: libchdb, loaded
// at run time by purego, so that the binary stays free of cgo.
//
// One process has one engine. Its connections are independent sessions (own
// settings, own current database) over the same tables; different connections
// may be used at once, one connection only by one goroutine at a time.
package chdb
