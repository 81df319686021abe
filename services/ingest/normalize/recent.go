package normalize

// recent is a map of at least the last max keys that were put or found, and at
// most twice as many, less where a budget that it shares is used up: two generations,
// of which the older is given up when the younger is full. It needs neither a clock nor
// an order of its own.
type recent[K comparable, V any] struct {
	max        int
	budget     *budget
	young, old map[K]V
	// evictions counts the keys given up.
	evictions uint64
}

func newRecent[K comparable, V any](max int, b *budget) recent[K, V] {
	return recent[K, V]{max: max, budget: b}
}

// get finds a value and keeps it among the young.
func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if v, ok = r.young[k]; ok {
		return v, true
	}
	if v, ok = r.old[k]; ok {
		r.put(k, v)
	}
	return v, ok
}

// put stores a value.
func (r *recent[K, V]) put(k K, v V) {
	if r.young == nil {
		r.young = map[K]V{}
	}
	if _, ok := r.young[k]; ok {
		r.young[k] = v
		return
	}
	if _, ok := r.old[k]; ok {
		delete(r.old, k)
		r.budget.used--
	}
	if len(r.young) >= r.max || !r.budget.allows(len(r.young)) {
		r.evictions += uint64(len(r.old))
		r.budget.used -= len(r.old)
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[k] = v
	r.budget.used++
}

// forget gives up everything.
func (r *recent[K, V]) forget() {
	r.budget.used -= len(r.young) + len(r.old)
	r.young, r.old = nil, nil
}
