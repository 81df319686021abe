package netset

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestContains(t *testing.T) {
	list := MustParse("10.1.2.3/8", "192.168.1.7", "fc00::/7", "::ffff:172.16.0.0/108", "::ffff:192.0.2.1")
	set := New(list)
	f := func(addr string, want bool) {
		t.Helper()
		a := netip.MustParseAddr(addr)
		if got := set.Contains(a); got != want {
			t.Errorf("Contains(%s) = %t, want %t", addr, got, want)
		}
		if got := list.Contains(a.Unmap()); got != want {
			t.Errorf("the list holds %s: %t, want %t", addr, got, want)
		}
	}
	f("10.255.0.1", true)
	f("11.0.0.0", false)
	f("::ffff:10.1.1.1", true)
	f("192.0.2.1", true)
	f("192.0.2.2", false)
	f("192.168.1.7", true)
	f("192.168.1.8", false)
	f("fd00::1", true)
	f("2001:db8::1", false)
	f("172.31.255.255", true)
	f("172.32.0.0", false)
}

func TestEmptySetHoldsNothing(t *testing.T) {
	var none *Set
	for _, s := range []*Set{none, New(nil), New(List{{}})} {
		if !s.Empty() || s.Contains(netip.MustParseAddr("10.0.0.1")) || s.Contains(netip.MustParseAddr("::")) {
			t.Error("an empty set must hold nothing")
		}
	}
}

func TestParseSaysWhatToWrite(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var p Prefix
		err := p.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", text, err, want)
		}
	}
	f("office", "write an address")
	f("fe80::1%eth0", "leave out the zone")
	f("10.0.0.0/33", "write an address")
}

func TestTextGoesRound(t *testing.T) {
	for _, text := range []string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32", "0.0.0.0/0"} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := p.MarshalText(); string(got) != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

func TestFromWire(t *testing.T) {
	f := func(addr []byte, length uint32, want string) {
		t.Helper()
		p, err := FromWire(addr, length)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f([]byte{10, 1, 2, 3}, 8, "10.0.0.0/8")
	f(netip.MustParseAddr("::ffff:10.1.2.3").AsSlice(), 104, "10.0.0.0/8")
	f(nil, 8, "invalid Prefix")
	f([]byte{10, 1, 2}, 8, "8 bits of an address of 3 bytes are no network")
	f([]byte{10, 1, 2, 3}, 33, "33 bits of an address of 4 bytes are no network")
}

// TestAgainstScan holds the trie against a walk over the list.
func TestAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few distinct bits, so that addresses meet prefixes.
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 128, 255}), 16, 16).Draw(t, "bytes")
			if rapid.Bool().Draw(t, "v4") {
				return netip.AddrFrom4([4]byte(b[:4]))
			}
			return netip.AddrFrom16([16]byte(b))
		})
		prefix := rapid.Custom(func(t *rapid.T) Prefix {
			a := addr.Draw(t, "addr")
			return of(netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
		})
		list := rapid.SliceOfN(prefix, 0, 8).Draw(t, "list")
		a := addr.Draw(t, "a")
		want := false
		for _, p := range list {
			want = want || p.Prefix.Contains(a.Unmap())
		}
		if got := New(list).Contains(a); got != want {
			t.Fatalf("Contains(%s) in %v = %t, want %t", a, list, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::/0", "1.2.3.4", "fe80::1%a", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if !New(List{p}).Contains(p.Addr()) {
			t.Errorf("%q does not hold its own address", s)
		}
	})
}

func BenchmarkContains(b *testing.B) {
	set := New(MustParse("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"))
	a := netip.MustParseAddr("192.168.1.9")
	b.ReportAllocs()
	for b.Loop() {
		set.Contains(a)
	}
}
