// Package port keeps ports free for programs that have to be told theirs.
package port

import "fmt"

// Keep finds a free TCP port of 127.0.0.1 and keeps it until release is called: nobody
// gets it who asks for any, and who is told of it can listen there, more than once.
// A port that is found and let go may be another's when the program has started.
func Keep() (addr string, release func(), err error) {
	addr, release, err = keep()
	if err != nil {
		return "", nil, fmt.Errorf("cannot find a free port: %w", err)
	}
	return addr, release, nil
}
