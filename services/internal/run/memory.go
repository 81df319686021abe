package run

import (
	"errors"
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that the process may have the collector works
// with: what it does not know of (stacks of the kernel, pages of files) needs some too.
const memoryShare = 0.9

// mindMemory has the collector work harder where the limit of the process's cgroup (its
// container's) comes near, instead of being killed there. GOMEMLIMIT, where it is set, is
// somebody's choice.
func mindMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	switch {
	case errors.Is(err, memlimit.ErrCgroupsNotSupported), errors.Is(err, memlimit.ErrNoCgroup):
	case err != nil:
		log.Warn("cannot find out how much memory there may be used; set GOMEMLIMIT where it is limited", "error", err)
	case limit != math.MaxInt64:
		log.Info("memory is limited", "bytes", limit)
	}
}
