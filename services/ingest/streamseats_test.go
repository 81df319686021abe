package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSeats: who comes when all seats are taken, and who goes for it.
func TestSeats(t *testing.T) {
	const others = "a1 a2 a3 b1 b2 c1"
	for _, c := range []struct {
		name   string
		taken  string // in the order of coming, a second apart: source, number
		heard  string // a message of each of these came after that
		busy   string
		silent time.Duration // from then on
		comes  string
		want   string // who goes; - is who comes
	}{
		{name: "a source without any", taken: others, comes: "d", want: "a1"},
		{name: "the one that is silent longest", taken: others, heard: "a1 a2", comes: "d", want: "a3"},
		{name: "of equals the one that is silent longest", taken: "b1 a1 a2 b2 c1 d1", heard: "b1", comes: "e", want: "a1"},
		{name: "what we keep waiting is not silent", taken: others, busy: "a1", comes: "d", want: "a2"},
		{name: "a source that has fewer", taken: others, comes: "c", want: "a1"},
		{name: "a source that would have more then", taken: others, comes: "b", want: "-"},
		{name: "a source that would have more then, of others that are silent", taken: others, silent: time.Minute, comes: "b", want: "a1"},
		{name: "the source with most", taken: others, silent: time.Hour, comes: "a", want: "-"},
		{name: "all have one", taken: "a1 b1 c1 d1 e1 f1", silent: time.Minute - 6*time.Second, comes: "g", want: "-"},
		{name: "all have one, and one is silent", taken: "a1 b1 c1 d1 e1 f1", silent: time.Minute, heard: "a1", comes: "g", want: "b1"},
		{name: "all have one, and all are busy", taken: "a1 b1 c1 d1 e1 f1", busy: "a1 b1 c1 d1 e1 f1", silent: time.Hour, comes: "g", want: "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := uint64(time.Hour)
			s := newSeats(6, 6, func() uint64 { return now })
			asked := "-"
			byName := map[string]*seat{}
			sit := func(name string) bool {
				from := netip.AddrFrom4([4]byte{192, 0, 2, name[0]})
				byName[name] = s.take(from, func() { asked = name })
				return byName[name] != nil
			}
			for name := range strings.FieldsSeq(c.taken) {
				now += uint64(time.Second)
				if !sit(name) {
					t.Fatalf("%s has no seat", name)
				}
			}
			for name := range strings.FieldsSeq(c.heard) {
				byName[name].silentNs.Store(now)
			}
			for name := range strings.FieldsSeq(c.busy) {
				byName[name].silentNs.Store(busy)
			}
			now += uint64(c.silent)
			sits := sit(c.comes)
			if asked != c.want || sits != (c.want != "-") {
				t.Errorf("%s went, want %s; the newcomer sits: %v", asked, c.want, sits)
			}
		})
	}
}

// TestSeatsAreBounded: of those who are asked to go, only few have not gone yet; when all
// have gone, nothing is kept of them.
func TestSeatsAreBounded(t *testing.T) {
	s := newSeats(100, 100, func() uint64 { return 1 })
	var all []*seat
	sit := func(last byte) bool {
		one := s.take(netip.AddrFrom4([4]byte{192, 0, 2, last}), func() {})
		if one != nil {
			all = append(all, one)
		}
		return one != nil
	}
	for range 100 {
		sit(0)
	}
	for i := range byte(maxLeaving) {
		if !sit(i + 1) {
			t.Fatalf("%d found no room", i)
		}
	}
	if sit(200) {
		t.Error("somebody came in beyond the bound")
	}
	for _, one := range all[:100] {
		if one.asked {
			s.leave(one)
		}
	}
	if !sit(200) {
		t.Error("nobody came in once those had gone")
	}
	for _, one := range all {
		if _, sits := s.taken[one]; sits {
			s.leave(one)
		}
	}
	if len(s.taken)+len(s.by)+s.leaving != 0 {
		t.Errorf("%d seats of %d sources are left, %d leaving", len(s.taken), len(s.by), s.leaving)
	}
}
