package main

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/netset"
)

// everybody tells whether a list lets some address family send from anywhere.
func everybody(allow netset.List) bool {
	return slices.ContainsFunc(allow, func(p netset.Prefix) bool { return p.Bits() == 0 })
}
