package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// peakRSS is the peak of the resident memory of a process so far, in bytes, 0 if
// it is gone.
func peakRSS(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return vmHWM(status)
}

// vmHWM reads the peak out of a /proc/PID/status.
func vmHWM(status []byte) int64 {
	_, rest, ok := bytes.Cut(status, []byte("VmHWM:"))
	if !ok {
		return 0 // a process that has given its memory back has no such line
	}
	var kB int64
	if _, err := fmt.Sscan(string(rest[:min(len(rest), 64)]), &kB); err != nil {
		return 0
	}
	return kB << 10
}

// clockTick is the unit of CPU time in /proc, by Linux' promise to user space (proc(5)).
const clockTick = 10 * time.Millisecond

// spent is the CPU time of a process so far, all its threads together, and its peak memory.
func spent(pid int) (cost, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return cost{}, fmt.Errorf("cannot see what a process has cost so far: %w", err)
	}
	user, system, err := cpuTimes(stat)
	return cost{user: user, system: system, rss: peakRSS(pid)}, err
}

// cpuTimes reads fields 14 and 15 of a /proc/PID/stat, counted behind the name, which
// may hold anything.
func cpuTimes(stat []byte) (user, system time.Duration, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("cannot read %q: too few fields", stat)
	}
	u, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	s, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(u) * clockTick, time.Duration(s) * clockTick, errors.Join(err1, err2)
}

// socket is what the kernel says of a bound UDP socket.
type socket struct {
	queued uint64 // bytes of buffer in use by datagrams that wait
	drops  uint64 // datagrams lost because the buffer was full
}

// udpSocket finds the socket bound to a port of this machine.
func udpSocket(port uint16) (s socket, ok bool, err error) {
	sockets, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return s, false, fmt.Errorf("cannot watch the receiver's socket (this needs Linux): %w", err)
	}
	s, ok = findSocket(sockets, port)
	return s, ok, nil
}

// findSocket looks a port up in a /proc/net/udp.
func findSocket(sockets []byte, port uint16) (s socket, ok bool) {
	want := fmt.Appendf(nil, ":%04X", port)
	for line := range bytes.Lines(sockets) {
		// sl local_address rem_address st tx_queue:rx_queue … drops
		f := bytes.Fields(line)
		if len(f) < 6 || !bytes.HasSuffix(f[1], want) {
			continue
		}
		_, rx, _ := bytes.Cut(f[4], []byte(":"))
		queued, err1 := strconv.ParseUint(string(rx), 16, 64)
		drops, err2 := strconv.ParseUint(string(f[len(f)-1]), 10, 64)
		return socket{queued, drops}, err1 == nil && err2 == nil
	}
	return s, false
}
