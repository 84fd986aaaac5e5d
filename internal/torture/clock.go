package torture

import (
	"math/rand/v2"
	"slices"
)

// clock sets the connector's clock in some histories: between syncs, or in the middle of one. It draws from numbers of its own, as halfOpen
// does.
func (g *generator) clock(r *rand.Rand) {
	from := slices.IndexFunc(g.h, func(s Step) bool { return s.Verb == "source" }) + 1
	if r.IntN(4) > 0 || !g.may("clock") {
		return
	}
	seconds := []string{"-21600", "-3600", "-60", "-2", "0", "60", "3600", "21600"}
	for range 1 + r.IntN(3) {
		at := from + r.IntN(len(g.h)-from)
		g.h = slices.Insert(g.h, at, Step{Verb: "clock", Words: []string{seconds[r.IntN(len(seconds))]}})
	}
}
