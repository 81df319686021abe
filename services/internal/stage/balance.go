package stage

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/segmentio/kafka-go"
)

// balancer deals partitions out to the members of a group: evenly, and to whoever
// had them before, so that state stays where it is. A unit is what goes to one
// member together: the partitions with one number of all topics of a stage, or a
// single partition of a drain.
type balancer struct {
	together bool

	mu    sync.Mutex
	owned []string // units of the last generation
}

// ProtocolName tells members that understand each other.
func (b *balancer) ProtocolName() string { return "flowledger-sticky-1" }

// memberData is what a member tells the leader.
type memberData struct {
	Owned []string `json:"owned"`
}

// UserData says what this member had.
func (b *balancer) UserData() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return json.Marshal(memberData{Owned: b.owned})
}

// own remembers what this member was given.
func (b *balancer) own(units []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owned = slices.Clone(units)
}

// unit names what a partition belongs to.
func (b *balancer) unit(topic string, partition int) string {
	if b.together {
		return strconv.Itoa(partition)
	}
	return topic + "/" + strconv.Itoa(partition)
}

// AssignGroups is run by the leader of the group.
func (b *balancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	members = slices.Clone(members)
	slices.SortFunc(members, func(x, y kafka.GroupMember) int { return cmp.Compare(x.ID, y.ID) })
	parts := map[string][]kafka.Partition{}
	var units []string
	for _, p := range partitions {
		u := b.unit(p.Topic, p.ID)
		if parts[u] == nil {
			units = append(units, u)
		}
		parts[u] = append(parts[u], p)
	}
	slices.SortFunc(units, compareUnits)
	owned := make([][]string, len(members))
	for i, m := range members {
		var d memberData
		if json.Unmarshal(m.UserData, &d) == nil { // a member that cannot be read had nothing
			owned[i] = d.Owned
		}
	}
	assignments := kafka.GroupMemberAssignments{}
	for i, mine := range deal(units, owned) {
		topics := map[string][]int{}
		for _, u := range mine {
			for _, p := range parts[u] {
				if slices.Contains(members[i].Topics, p.Topic) {
					topics[p.Topic] = append(topics[p.Topic], p.ID)
				}
			}
		}
		assignments[members[i].ID] = topics
	}
	return assignments
}

// compareUnits orders units by length first, so that 10 comes after 9.
func compareUnits(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// deal shares units among members: nobody has two more than another, and whoever
// owned a unit keeps it if that is fair.
func deal(units []string, owned [][]string) [][]string {
	n := len(owned)
	dealt := make([][]string, n)
	if n == 0 {
		return dealt
	}
	free := make(map[string]bool, len(units))
	for _, u := range units {
		free[u] = true
	}
	for i, claims := range owned {
		for _, u := range claims {
			if free[u] {
				free[u] = false
				dealt[i] = append(dealt[i], u)
			}
		}
	}
	// Who has most may have the one more that does not divide.
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(dealt[b]), len(dealt[a])) })
	limit := make([]int, n)
	for rank, i := range order {
		limit[i] = len(units) / n
		if rank < len(units)%n {
			limit[i]++
		}
		for len(dealt[i]) > limit[i] {
			last := len(dealt[i]) - 1
			free[dealt[i][last]] = true
			dealt[i] = dealt[i][:last]
		}
	}
	next := 0
	for _, u := range units {
		if !free[u] {
			continue
		}
		for len(dealt[next]) >= limit[next] {
			next++
		}
		dealt[next] = append(dealt[next], u)
	}
	return dealt
}
