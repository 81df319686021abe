package named

import (
	"net/netip"
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestPure(t *testing.T) { testkit.Pure(t, ".") }

// TestAddrIsForEver pins addresses: they are in ledgers, so they must not change.
func TestAddrIsForEver(t *testing.T) {
	for _, c := range []struct {
		kind        Kind
		group, name string
		want        string
	}{
		{AWS, "123456789010", "eni-1235b8ca123456789", "fd66:6c6f:7701:c5de:fd0e:ba20:a4d5:76cc"},
		{AWS, "123456789010", "eni-11111111aaaaaaaaa", "fd66:6c6f:7701:c5de:78f2:5792:b912:b6c5"},
		{AWS, "", "", "fd66:6c6f:7701:e999:79c:f5ce:b668:638d"},
		{Zeek, "", "zeek", "fd66:6c6f:7702:e999:98c:ef0b:ab75:7097"},
	} {
		if got := Addr(c.kind, c.group, c.name); got.String() != c.want {
			t.Errorf("%d %s %s: got %s, want %s", c.kind, c.group, c.name, got, c.want)
		}
	}
}

func TestAccountsShareAPrefix(t *testing.T) {
	account := netip.PrefixFrom(Addr(AWS, "123456789010", "eni-1"), 64).Masked()
	if !account.Contains(Addr(AWS, "123456789010", "eni-2")) {
		t.Errorf("two interfaces of one account do not share %s", account)
	}
	if account.Contains(Addr(AWS, "123456789011", "eni-1")) {
		t.Errorf("two accounts share %s", account)
	}
	if Addr(AWS, "1", "eni-1") == Addr(Zeek, "1", "eni-1") {
		t.Error("two kinds share an address")
	}
}
