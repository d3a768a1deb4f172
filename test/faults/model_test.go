package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The model of a company's places. Sessions are known by their labels, which
// the clients choose, so that one whose answer was cut off is known, too.

const (
	perCompany = 5
	perPerson  = 1
)

type kind int

const (
	create kind = iota
	activate
	end
	list
)

type input struct {
	kind    kind
	company int
	person  string // create: whose place
	label   string
}

type result int

const (
	done    result = iota
	refused        // create: no place; activate: it is over
	unknown        // the answer was cut off: it may have happened, or not
)

type output struct {
	result result
	live   string // list: what write gives
}

// places are the live sessions of a company, by label.
type places map[string]place

type place struct {
	person string
	active bool
}

// write is a canonical text of places; read is its inverse.
func (p places) write() string {
	var b strings.Builder
	for _, l := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s %s %t\n", l, p[l].person, p[l].active)
	}
	return b.String()
}

func read(s string) places {
	p := places{}
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		p[f[0]] = place{f[1], f[2] == "true"}
	}
	return p
}

// full reports whether no session of person fits.
func (p places) full(person string) bool {
	n := 0
	for _, x := range p {
		if x.person == person {
			n++
		}
	}
	return len(p) >= perCompany || n >= perPerson
}

// step returns the states that may follow: none where the answer cannot be.
func step(state string, in input, out output) []string {
	p := read(state)
	changed := func(f func(places)) string { q := maps.Clone(p); f(q); return q.write() }
	switch in.kind {
	case create:
		made := func() string { return changed(func(q places) { q[in.label] = place{person: in.person} }) }
		switch {
		case out.result == refused && p.full(in.person), out.result == unknown && p.full(in.person):
			return []string{state}
		case out.result == unknown:
			return []string{state, made()}
		case out.result == done && !p.full(in.person):
			return []string{made()}
		}
	case activate:
		x, live := p[in.label]
		made := func() string {
			return changed(func(q places) { q[in.label] = place{x.person, true} })
		}
		switch {
		case !live && out.result != done:
			return []string{state}
		case live && out.result == unknown:
			return []string{state, made()}
		case live && out.result == done:
			return []string{made()}
		}
	case end:
		gone := changed(func(q places) { delete(q, in.label) })
		if out.result == unknown && gone != state {
			return []string{state, gone}
		}
		return []string{gone}
	case list:
		if out.live == state {
			return []string{state}
		}
	}
	return nil
}

func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: func(h []porcupine.Operation) [][]porcupine.Operation {
			parts := map[int][]porcupine.Operation{}
			for _, o := range h {
				c := o.Input.(input).company
				parts[c] = append(parts[c], o)
			}
			return slices.Collect(maps.Values(parts))
		},
		Init: func() []any { return []any{""} },
		Step: func(s, in, out any) []any {
			var next []any
			for _, n := range step(s.(string), in.(input), out.(output)) {
				next = append(next, n)
			}
			return next
		},
		Equal: func(a, b any) bool { return a == b },
	}
	return m.ToModel()
}

// check says whether a history can be explained by the model.
func check(h []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model(), h, 2*time.Minute)
}

// What a broken server would answer is found.
func TestTheCheckerBites(t *testing.T) {
	now := int64(0)
	one := func(in input, out output) porcupine.Operation {
		now += 2
		return porcupine.Operation{Input: in, Call: now, Output: out, Return: now + 1}
	}
	made := func(l, who string) porcupine.Operation {
		return one(input{kind: create, label: l, person: who}, output{})
	}
	ended := func(l string) porcupine.Operation { return one(input{kind: end, label: l}, output{}) }
	listed := func(p places) porcupine.Operation { return one(input{kind: list}, output{live: p.write()}) }
	cut := func(o porcupine.Operation) porcupine.Operation {
		o.Output = output{result: unknown}
		return o
	}
	five := func() (h []porcupine.Operation) {
		for i := range perCompany {
			h = append(h, made(fmt.Sprint("s", i), fmt.Sprint("p", i)))
		}
		return h
	}
	a := places{"a": {person: "p"}}
	for name, c := range map[string]struct {
		h    []porcupine.Operation
		good bool
	}{
		"one place is taken and given back":   {[]porcupine.Operation{made("a", "p"), listed(a), ended("a"), made("b", "p")}, true},
		"a person has two":                    {[]porcupine.Operation{made("a", "p"), made("b", "p")}, false},
		"a company has five":                  {five(), true},
		"a company has six":                   {append(five(), made("x", "p9")), false},
		"a refusal without a reason":          {[]porcupine.Operation{one(input{kind: create, label: "a", person: "p"}, output{result: refused})}, false},
		"a refusal with one":                  {append(five(), one(input{kind: create, label: "x", person: "p9"}, output{result: refused})), true},
		"a session that was answered is lost": {[]porcupine.Operation{made("a", "p"), listed(places{})}, false},
		"an end that was answered is lost":    {[]porcupine.Operation{made("a", "p"), ended("a"), listed(a)}, false},
		"an activation is lost":               {[]porcupine.Operation{made("a", "p"), one(input{kind: activate, label: "a"}, output{}), listed(a)}, false},
		"what was cut off happened":           {[]porcupine.Operation{cut(made("a", "p")), listed(a)}, true},
		"what was cut off did not":            {[]porcupine.Operation{cut(made("a", "p")), made("b", "p")}, true},
		"what was cut off did both":           {[]porcupine.Operation{cut(made("a", "p")), listed(places{}), listed(a)}, false},
	} {
		if got := check(c.h) == porcupine.Ok; got != c.good {
			t.Errorf("%s: %v", name, got)
		}
	}
}
