package sessions_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/flowledger/flowledger/services/internal/embedded/sessions"
)

const group = "detect"

// lasting is a session that ends after the test, so that nobody needs to keep it up.
const lasting = 5 * time.Minute

// A member that dies while it waits for its join to be answered is expired. The
// broker finds the connection closed, or the answer sent, at random: hence several.
func TestMemberKilledInTheJoin(t *testing.T) {
	for i := range 12 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			killInTheJoin(t)
		})
	}
}

func killInTheJoin(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	stop, err := sessions.Keep(cluster)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	lives := client(t, cluster, nil)
	first, _ := join(ctx, lives, "", lasting)
	assign(t, ctx, lives, first) // the group is stable, with one member and leader

	// The second one's connection is gone before the first joins again.
	var wire net.Conn
	dies := client(t, cluster, func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		wire, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return wire, err
	})
	gone := make(chan struct{})
	dying, kill := context.WithCancel(ctx)
	go func() {
		defer close(gone)
		_, _ = join(dying, dies, "", time.Second)
	}()
	wait(t, ctx, cluster, func(g *kfake.GroupInfo) bool { return len(g.Members) == 2 })
	_ = wire.Close()
	kill()
	<-gone
	again, err := join(ctx, lives, first.MemberID, lasting)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Members) != 2 {
		t.Fatalf("the leader was told of %d members: the one that died was to be among them", len(again.Members))
	}
	assign(t, ctx, lives, again)
	wait(t, ctx, cluster, func(g *kfake.GroupInfo) bool { return len(g.Members) == 1 })
}

func client(t *testing.T, cluster *kfake.Cluster, dial func(context.Context, string, string) (net.Conn, error)) *kgo.Client {
	t.Helper()
	options := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RequestRetries(0)}
	if dial != nil {
		options = append(options, kgo.Dialer(dial))
	}
	c, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// join joins as kafka-go does: without asking for an id first.
func join(ctx context.Context, c *kgo.Client, member string, session time.Duration) (*kmsg.JoinGroupResponse, error) {
	r := kmsg.NewJoinGroupRequest()
	r.Group, r.MemberID, r.ProtocolType = group, member, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = int32(session.Milliseconds()), int32(lasting.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "sticky", []byte(member)
	r.Protocols = append(r.Protocols, p)
	answer, err := c.Request(ctx, &r)
	if err != nil {
		return nil, err
	}
	joined := answer.(*kmsg.JoinGroupResponse)
	if joined.MemberID != "" && joined.Generation <= 0 { // it was given an id to join with
		return join(ctx, c, joined.MemberID, session)
	}
	return joined, nil
}

// assign is what a leader does.
func assign(t *testing.T, ctx context.Context, c *kgo.Client, joined *kmsg.JoinGroupResponse) {
	t.Helper()
	r := kmsg.NewSyncGroupRequest()
	r.Group, r.MemberID, r.Generation = group, joined.MemberID, joined.Generation
	for _, m := range joined.Members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID = m.MemberID
		r.GroupAssignment = append(r.GroupAssignment, a)
	}
	answer, err := c.Request(ctx, &r)
	if err != nil {
		t.Fatal(err)
	}
	if code := answer.(*kmsg.SyncGroupResponse).ErrorCode; code != 0 {
		t.Fatalf("sync: error %d", code)
	}
}

func wait(t *testing.T, ctx context.Context, cluster *kfake.Cluster, ok func(*kfake.GroupInfo) bool) {
	t.Helper()
	if info, err := cluster.WaitGroupInfo(ctx, group, func(g *kfake.GroupInfo) bool { return g != nil && ok(g) }); err != nil {
		t.Fatalf("%v: %+v", err, info)
	}
}
