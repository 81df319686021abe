package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/flowledger/flowledger/services/internal/embedded/sessions"
)

// BrokerConfig says where the broker listens and stores.
type BrokerConfig struct {
	// Port is the port of 127.0.0.1 to listen on; 0 is a free one.
	Port int
	// Dir keeps topics, records and group offsets across restarts; "" keeps them
	// in memory. A folder belongs to one broker at a time.
	Dir string
	// Sync writes each batch through to the disk before it is acknowledged. What
	// is acknowledged survives the death of the process without it, but not the
	// machine's.
	Sync bool
}

// Broker is a Kafka broker inside this process: a single node without
// authentication. Topics are not created by mentioning them. Other than a real
// one it has no time of its own: whatever message.timestamp.type says, records
// keep the producer's, and answers tell none. (kfake can stamp batches, but keeps
// the checksum they came with, so that clients refuse to read them.)
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	forget  func() // the sessions of groups
	unlock  func() // of the data folder
}

// minSession allows group sessions far shorter than Kafka's 6 s, so that a test
// need not wait for a dead member.
const minSession = 100 * time.Millisecond

// StartBroker starts a broker, which answers when this returns.
func StartBroker(ctx context.Context, cfg BrokerConfig) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options := []kfake.Opt{
		kfake.Ports(cfg.Port),
		kfake.ClusterID("flowledger-dev"),
		kfake.DefaultNumPartitions(1),
		kfake.GroupMinSessionTimeout(minSession),
		kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}),
	}
	unlock := func() {}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the broker's data folder: %w", err)
		}
		var err error
		if unlock, err = lockDir(cfg.Dir); err != nil {
			return nil, err
		}
		options = append(options, kfake.DataDir(cfg.Dir))
	}
	if cfg.Sync {
		options = append(options, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		unlock()
		return nil, startError(cfg, err)
	}
	forget, err := sessions.Keep(cluster)
	if err != nil {
		cluster.Close()
		unlock()
		return nil, err
	}
	return &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0], forget: forget, unlock: unlock}, nil
}

func startError(cfg BrokerConfig, err error) error {
	if opError, ok := err.(*net.OpError); ok {
		return fmt.Errorf("cannot listen for Kafka clients (is another broker running? choose another port): %w", opError)
	}
	if cfg.Dir != "" {
		return fmt.Errorf("cannot start the broker on %s (if its files are damaged, delete the folder): %w", cfg.Dir, err)
	}
	return fmt.Errorf("cannot start the broker: %w", err)
}

// Addr is the host:port for clients.
func (b *Broker) Addr() string { return b.addr }

// Close ends all connections and puts what is kept on the disk.
func (b *Broker) Close() error {
	b.forget()
	b.cluster.Close()
	b.unlock()
	return nil
}
