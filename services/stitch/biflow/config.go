package biflow

import (
	"fmt"
	"time"
)

// Config is the `stitch` block of the configuration.
type Config struct {
	// TCPIdle and UDPIdle are the shortest silence after which a conversation
	// is over; a conversation with long segments waits as long as they are.
	TCPIdle time.Duration `yaml:"tcp_idle" doc:"shortest silence that ends a TCP conversation"`
	UDPIdle time.Duration `yaml:"udp_idle" doc:"shortest silence that ends any other conversation"`
	// Linger is how long an ended conversation still takes stragglers in: an
	// exporter may report the last acknowledgement by its inactive timeout.
	Linger time.Duration `yaml:"linger" doc:"how long an ended conversation still takes stragglers in"`
	// UpdateEvery is the shortest time between two versions of a conversation.
	UpdateEvery time.Duration `yaml:"update_every" doc:"shortest time between two versions of a running conversation"`
	// MaxConversations bounds the open conversations per partition; beyond it
	// the longest silent are closed as evicted, and counted.
	MaxConversations int `yaml:"max_conversations" doc:"open conversations per partition"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		TCPIdle:          120 * time.Second,
		UDPIdle:          60 * time.Second,
		Linger:           20 * time.Second,
		UpdateEvery:      time.Minute,
		MaxConversations: 4_000_000,
	}
}

// Validate says what is wrong and how to mend it.
func (c Config) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{
		{"tcp_idle", c.TCPIdle, time.Second},
		{"udp_idle", c.UDPIdle, time.Second},
		{"linger", c.Linger, time.Second},
		{"update_every", c.UpdateEvery, time.Second},
	} {
		if d.value < d.least || d.value > 24*time.Hour {
			return fmt.Errorf("stitch.%s: %s is not between %s and 24h", d.key, d.value, d.least)
		}
	}
	if c.Linger > c.UDPIdle || c.Linger > c.TCPIdle {
		return fmt.Errorf("stitch.linger: %s is longer than an idle timeout (tcp_idle %s, udp_idle %s)", c.Linger, c.TCPIdle, c.UDPIdle)
	}
	if c.MaxConversations < 1000 {
		return fmt.Errorf("stitch.max_conversations: %d is below 1000", c.MaxConversations)
	}
	return nil
}
