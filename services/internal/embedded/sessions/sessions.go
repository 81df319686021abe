// Package sessions lets every member of an embedded broker's consumer groups die.
//
// Kafka starts a member's session when it answers the join, whether or not anyone
// is there to read the answer. kfake starts it only if the answer could be written:
// a process killed while it waited for that answer is never missed again once the
// leader has synchronised, and holds its partitions for ever. So each member of
// each generation gets one heartbeat from here, which starts its session: whoever
// lives goes on by its own heartbeats, and whoever does not is expired.
package sessions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// every is how often groups are looked at: well within the shortest session that
// Kafka allows (group.min.session.timeout.ms, 6 s).
const every = 250 * time.Millisecond

// keeper knows the groups of a cluster, and the generation whose sessions it has
// started last.
type keeper struct {
	cluster *kfake.Cluster
	client  *kgo.Client

	mu      sync.Mutex
	started map[string]int32
}

// Keep starts the sessions of all members of all groups until stop, which is to be
// called before the cluster is closed.
func Keep(cluster *kfake.Cluster) (stop func(), err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		return nil, fmt.Errorf("cannot watch over consumer groups: %w", err)
	}
	k := &keeper{cluster: cluster, client: client, started: map[string]int32{}}
	cluster.ControlKey(int16(kmsg.SyncGroup), k.note)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.run(ctx)
	}()
	return func() {
		cancel()
		<-done
		client.Close()
	}, nil
}

// note learns the name of a group, and lets the broker answer.
func (k *keeper) note(r kmsg.Request) (kmsg.Response, error, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	group := r.(*kmsg.SyncGroupRequest).Group
	if _, known := k.started[group]; !known {
		k.started[group] = -1
	}
	return nil, nil, false
}

func (k *keeper) run(ctx context.Context) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		for group, generation := range k.groups() {
			info := k.cluster.GroupInfo(group)
			if info == nil || info.State != "Stable" || info.Epoch == generation {
				continue
			}
			if k.start(ctx, info) {
				k.mu.Lock()
				k.started[group] = info.Epoch
				k.mu.Unlock()
			}
		}
	}
}

// groups is a copy, since note must not wait for requests.
func (k *keeper) groups() map[string]int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	groups := make(map[string]int32, len(k.started))
	for group, generation := range k.started {
		groups[group] = generation
	}
	return groups
}

// start sends one heartbeat for each member, and tells whether all were answered.
// An answer that refuses it is as good: the generation or the member is gone.
func (k *keeper) start(ctx context.Context, info *kfake.GroupInfo) bool {
	for _, m := range info.Members {
		r := kmsg.NewHeartbeatRequest()
		r.Group, r.Generation, r.MemberID, r.InstanceID = info.Group, info.Epoch, m.MemberID, m.InstanceID
		if _, err := k.client.Request(ctx, &r); err != nil {
			return false
		}
	}
	return true
}
