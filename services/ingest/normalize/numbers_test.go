package normalize

import "testing"

// TestEndpointsAreTakenTogether: of a record of fixed length the two addresses are
// copied in one go. Where there is but one, or no fixed length, they are steps.
func TestEndpointsAreTakenTogether(t *testing.T) {
	src, dst := field{element: ieSrcIPv4, length: 4}, field{element: ieDstIPv4, length: 4}
	proto, name := field{element: ieProtocol, length: 1}, field{element: ieApplicationName, length: variable}
	for _, c := range []struct {
		what   string
		fields []field
		ends   endpoints
		steps  int
	}{
		{"both", []field{proto, dst, src}, endpoints{src: 5, dst: 1, length: 4}, 0},
		{"the source alone", []field{proto, src}, endpoints{}, 1},
		{"no fixed length", []field{src, dst, name}, endpoints{}, 3},
		{"IPv6", []field{{element: ieSrcIPv6, length: 16}, {element: ieDstIPv6, length: 16}}, endpoints{src: 0, dst: 16, length: 16}, 0},
	} {
		p := compile(&template{fields: c.fields}, nil)
		if p.ends != c.ends || len(p.steps) != c.steps {
			t.Errorf("%s: addresses at %+v, %d steps; want %+v, %d", c.what, p.ends, len(p.steps), c.ends, c.steps)
		}
	}
}
