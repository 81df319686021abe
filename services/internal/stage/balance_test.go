package stage

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

func TestDeal(t *testing.T) {
	f := func(units []string, owned, want [][]string) {
		t.Helper()
		if diff := cmp.Diff(want, deal(units, owned)); diff != "" {
			t.Errorf("deal(%v, %v) (-want, +got):\n%s", units, owned, diff)
		}
	}
	u := []string{"0", "1", "2", "3"}
	f(u, nil, [][]string{})
	f(u, [][]string{nil}, [][]string{u})
	f(u, [][]string{nil, nil}, [][]string{{"0", "1"}, {"2", "3"}})
	// A newcomer gets what is fair; the other keeps the rest.
	f(u, [][]string{u, nil}, [][]string{{"0", "1"}, {"2", "3"}})
	f(u, [][]string{{"1", "3"}, nil}, [][]string{{"1", "3"}, {"0", "2"}})
	// Someone left: what was theirs goes where there is less.
	f(u, [][]string{{"2"}, {"0", "3"}}, [][]string{{"2", "1"}, {"0", "3"}})
	// Two claim the same, one claims what is not there.
	f(u, [][]string{{"0", "9"}, {"0", "1"}}, [][]string{{"0", "2"}, {"1", "3"}})
	// More members than partitions.
	f([]string{"0"}, [][]string{nil, {"0"}}, [][]string{nil, {"0"}})
}

func TestDealIsFairAndSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, members := rapid.IntRange(0, 20).Draw(t, "units"), rapid.IntRange(1, 6).Draw(t, "members")
		var units []string
		for i := range n {
			units = append(units, fmt.Sprint(i))
		}
		owned := make([][]string, members)
		for _, u := range units {
			if i := rapid.IntRange(-1, members-1).Draw(t, "owner"); i >= 0 {
				owned[i] = append(owned[i], u)
			}
		}
		var all []string
		for i, got := range deal(units, owned) {
			all = append(all, got...)
			if len(got) < n/members || len(got) > (n+members-1)/members {
				t.Fatalf("member %d has %d of %d units among %d", i, len(got), n, members)
			}
			kept := 0
			for _, u := range got {
				if slices.Contains(owned[i], u) {
					kept++
				}
			}
			if kept < min(len(owned[i]), n/members) {
				t.Fatalf("member %d owned %v and was given %v", i, owned[i], got)
			}
		}
		slices.SortFunc(all, compareUnits)
		if !slices.Equal(all, units) {
			t.Fatalf("dealt %v of %v", all, units)
		}
	})
}

// The partitions with one number of all inputs go to one member together.
func TestPartitionsWithOneNumberStayTogether(t *testing.T) {
	b := &balancer{together: true}
	b.own([]string{"1"})
	mine, err := b.UserData()
	if err != nil {
		t.Fatal(err)
	}
	var parts []kafka.Partition
	for _, topic := range []string{"biflows", "activity"} {
		for p := range 3 {
			parts = append(parts, kafka.Partition{Topic: topic, ID: p})
		}
	}
	topics := []string{"activity", "biflows"}
	got := b.AssignGroups([]kafka.GroupMember{
		{ID: "b", Topics: topics, UserData: mine},
		{ID: "a", Topics: topics, UserData: []byte("not ours")},
	}, parts)
	want := kafka.GroupMemberAssignments{
		"a": {"biflows": {0}, "activity": {0}},
		"b": {"biflows": {1, 2}, "activity": {1, 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want, +got):\n%s", diff)
	}
	var d memberData
	if err := json.Unmarshal(mine, &d); err != nil || !slices.Equal(d.Owned, []string{"1"}) {
		t.Errorf("a member says %s", mine)
	}
}
