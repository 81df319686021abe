// Package front is an HTTP interface before the embedded ClickHouse engine. It
// speaks ClickHouse's own HTTP interface, as far as clickhouse-go and curl use
// it, so that neither can tell it from a server:
//
//	request ─▶ request.go  what is asked: statement, settings, parameters, data
//	        ─▶ pool.go     a session of the engine, with these settings
//	        ─▶ answer.go   run it; Native is re-framed (native.go), compressed if asked
//	        ─▶ failure.go  ClickHouse's error code, HTTP status and headers
//
// What it does not do: users and passwords (any are taken), sessions that last
// longer than a request (session_id is ignored), external tables, and answers
// larger than memory.
package front
