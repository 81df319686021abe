package capture

import (
	"io"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// BenchmarkRead is the cost of getting one datagram of 1,400 bytes out of a
// plain pcap file.
func BenchmarkRead(b *testing.B) {
	payload := export(string(make([]byte, 1384)))
	packets := make([]packet, 10_000)
	for i := range packets {
		packets[i] = packet{at: int64(i), data: frame(0x0800, nil, udp4(b, payload))}
	}
	path := write(b, "a.pcap", pcapBytes(b, layers.LinkTypeEthernet, packets...))
	b.ReportAllocs()
	for n := 0; n < b.N; {
		r, err := Open([]string{path}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for n < b.N {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
		r.Close()
	}
}
