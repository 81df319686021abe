// Package rule judges conversations: it reads every version of every biflow,
// client by client, and says which clients scan or use services they should
// not, as OCSF Detection Findings.
//
//	biflow ─▶ sighting ─┬─▶ address scan ─────┬─▶ window ─crossed─▶ episode ─▶ Alert
//	                    ├─▶ port scan ────────┤   (targets within   (one finding:
//	                    ╰─▶ prohibited service╯    a time)            create, update, close)
//
// All state hangs on a client, so any split of clients over partitions gives
// the same findings. Windows lie in event time (when a flow started) and are
// judged at every record; stream time (ticks) only expires, updates and closes.
//
// What counts as failed is stitch's word: unanswered, rejected, half open,
// denied. Each target is judged by the newest flow to it, in the newest version
// of that flow: a flow first unanswered and later established is taken back.
package rule
