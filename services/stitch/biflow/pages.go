package biflow

// perPage is how many values are allocated at once.
const perPage = 256

// pages lends values of one type until all are taken back at once. They never move,
// and are as their last user left them.
type pages[T any] struct {
	all []*[perPage]T
	n   int
}

func (p *pages[T]) next() *T {
	if p.n == len(p.all)*perPage {
		p.all = append(p.all, new([perPage]T))
	}
	p.n++
	return p.at(uint32(p.n - 1))
}

func (p *pages[T]) at(i uint32) *T { return &p.all[i/perPage][i%perPage] }
