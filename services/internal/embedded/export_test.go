package embedded

// Kill kills what StartLedger started.
func (l *Ledger) Kill() { _ = l.child.cmd.Process.Kill(); <-l.child.done }

// PID is the process of what StartLedger started, 0 for another's.
func (l *Ledger) PID() int {
	if l.child == nil {
		return 0
	}
	return l.child.cmd.Process.Pid
}
