package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// profiles writes profiles of the process, for developers.
type profiles struct{ cpu, mem string }

func (p *profiles) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.cpu, "cpuprofile", "", "write a CPU profile to this file")
	c.Flags().StringVar(&p.mem, "memprofile", "", "write a heap profile to this file at the end")
	_ = c.Flags().MarkHidden("cpuprofile")
	_ = c.Flags().MarkHidden("memprofile")
}

// around runs work and writes the profiles that were asked for.
func (p *profiles) around(work func() error) error {
	if p.cpu != "" {
		f, err := os.Create(p.cpu)
		if err != nil {
			return fmt.Errorf("cannot write the CPU profile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("cannot take a CPU profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	err := work()
	if p.mem != "" {
		err = errors.Join(err, p.heap())
	}
	return err
}

func (p *profiles) heap() error {
	f, err := os.Create(p.mem)
	if err != nil {
		return fmt.Errorf("cannot write the heap profile: %w", err)
	}
	defer f.Close()
	runtime.GC()
	return pprof.WriteHeapProfile(f)
}

// cpuTime is what this process has used of the CPUs, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
