// Package demo is `make demo`: the whole system as separate processes on this
// machine, a network's exports sent to it over UDP, and what came of them held
// against the truth.
//
//	simulate ──UDP──▶ ingest ▶ dedup ▶ stitch ▶ detect ▶ sink ──▶ ledger
//	    ╰────────────────────── truth ──────────▶ judge ◀──────────╯
//
// Every process it starts, it stops; what they say goes to files.
package demo
