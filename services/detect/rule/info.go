package rule

// Info is what a rule says of itself, for people: docs/reference/rules.md is
// made of it.
type Info struct {
	Name, Title, Version string
	// What it looks for, Why that matters, what it does Not say.
	What, Why, Not string
	// State is what it remembers; Subject is whom it accuses, and what makes
	// two findings one.
	State, Subject string
	Attacks        []Attack
}
