// Package prepare holds dedup and stitch, one after the other, against paths of
// exporters of which the truth is known: the invariants that no path may break,
// and the tables of docs/explain/preparation.md. It has nothing but tests.
//
//	simulate.Path ──reports──▶ merge.Window ──▶ biflow.Table ──▶ ledger ═?═ truth
package prepare
