package plan

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// compileGlob compiles a pattern; its errors say what is wrong with it. With
// oneSegment it will only see strings without a slash.
func compileGlob(pattern string, oneSegment bool) (*glob, error) {
	p := globParser{rest: pattern}
	nodes, err := p.sequence(true)
	if err != nil {
		return nil, err
	}
	g := &glob{}
	if oneSegment {
		for i := range nodes {
			if nodes[i].isSegmentRun() {
				nodes[i] = anyRun()
			}
		}
	}
	if g.simplify(nodes) {
		return g, nil
	}
	b := builder{}
	whole, err := b.sequence(nodes)
	if err != nil {
		return nil, err
	}
	g.steps, g.empty = b.steps, whole.empty
	g.first, g.last = b.set(whole.first), b.set(whole.last)
	for _, steps := range b.follow {
		g.follow = append(g.follow, b.set(steps))
	}
	g.ascii = make([]stepSet, utf8.RuneSelf)
	for c := range g.ascii {
		g.ascii[c] = b.set(nil)
		for i := range g.steps {
			if g.steps[i].takes(rune(c)) {
				g.ascii[c].add(uint16(i))
			}
		}
	}
	return g, nil
}

// node is a part of a pattern: a step, repeated or not, or alternatives.
type node struct {
	step   step
	repeat bool
	alts   [][]node // when set, the rest is unused
}

func (n *node) isChar() bool { return n.alts == nil && n.step.kind == takesChar }

// simplify recognizes the shapes that need no automaton, and otherwise keeps the
// literal text that a match begins with.
func (g *glob) simplify(nodes []node) bool {
	start := slices.IndexFunc(nodes, func(n node) bool { return !n.isChar() })
	if start < 0 {
		g.shape, g.text = literal, chars(nodes)
		return true
	}
	g.prefix = chars(nodes[:start])
	rest := nodes[start:]
	if len(rest) == 1 && rest[0].isAnyRun() {
		g.shape, g.text = prefix, g.prefix
		return true
	}
	if start > 0 {
		return false
	}
	// "**tail", and "**/*tail" where no slash in tail could be the one before it.
	tail := rest[1:]
	deep := rest[0].isAnyRun()
	if rest[0].isAnyFolder() && len(rest) > 1 && tail[0].isSegmentRun() {
		deep, tail = true, tail[1:]
		if slices.ContainsFunc(tail, func(n node) bool { return n.step.char == '/' }) {
			return false
		}
	}
	if !deep || slices.ContainsFunc(tail, func(n node) bool { return !n.isChar() }) {
		return false
	}
	g.shape, g.text = suffix, chars(tail)
	return true
}

func (n *node) isAnyRun() bool { return n.alts == nil && n.repeat && n.step.kind == takesAny }

func (n *node) isSegmentRun() bool { return n.alts == nil && n.repeat && n.step.kind == takesSegment }

// isAnyFolder recognizes what the parser makes of "**/".
func (n *node) isAnyFolder() bool {
	return len(n.alts) == 2 && len(n.alts[0]) == 0 && len(n.alts[1]) == 2 && n.alts[1][0].isAnyRun() &&
		n.alts[1][1].isChar() && n.alts[1][1].step.char == '/'
}

// anyFolder is "**/": nothing, or anything up to a slash.
func anyFolder() node {
	return node{alts: [][]node{{}, {anyRun(), {step: step{char: '/'}}}}}
}

func anyRun() node { return node{step: step{kind: takesAny}, repeat: true} }

func chars(nodes []node) string {
	var b []byte
	for i := range nodes {
		b = appendChar(b, nodes[i].step.char)
	}
	return string(b)
}

// builder collects the steps of an automaton.
type builder struct {
	steps  []step
	follow [][]uint16
}

// fragment is a part of an automaton: the steps that may begin and end it.
type fragment struct {
	first, last []uint16
	empty       bool
}

func (b *builder) set(steps []uint16) stepSet {
	s := make(stepSet, (len(b.steps)+63)/64)
	for _, i := range steps {
		s.add(i)
	}
	return s
}

func (b *builder) sequence(nodes []node) (fragment, error) {
	whole := fragment{empty: true}
	for i := range nodes {
		part, err := b.fragment(&nodes[i])
		if err != nil {
			return fragment{}, err
		}
		for _, i := range whole.last {
			b.follow[i] = append(b.follow[i], part.first...)
		}
		if whole.empty {
			whole.first = slices.Concat(whole.first, part.first)
		}
		if part.empty {
			whole.last = slices.Concat(whole.last, part.last)
		} else {
			whole.last = part.last
		}
		whole.empty = whole.empty && part.empty
	}
	return whole, nil
}

func (b *builder) fragment(n *node) (fragment, error) {
	if n.alts == nil {
		return b.step(n)
	}
	var all fragment
	for _, alt := range n.alts {
		part, err := b.sequence(alt)
		if err != nil {
			return fragment{}, err
		}
		all.first, all.last = slices.Concat(all.first, part.first), slices.Concat(all.last, part.last)
		all.empty = all.empty || part.empty
	}
	return all, nil
}

func (b *builder) step(n *node) (fragment, error) {
	if len(b.steps) == maxSteps {
		return fragment{}, fmt.Errorf("it has more than %d characters", maxSteps)
	}
	at := uint16(len(b.steps))
	b.steps, b.follow = append(b.steps, n.step), append(b.follow, nil)
	if n.repeat {
		b.follow[at] = []uint16{at}
	}
	return fragment{first: []uint16{at}, last: []uint16{at}, empty: n.repeat}, nil
}
