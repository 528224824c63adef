package plan

import (
	"errors"
	"strings"
)

// What can be wrong with a pattern.
var (
	errBraceOpen   = errors.New("a { is not closed")
	errBraceClosed = errors.New("a } has no {; write \\} for the character")
	errClassOpen   = errors.New("a [ is not closed; write \\[ for the character")
	errClassEmpty  = errors.New("a [] holds no character")
	errClassRange  = errors.New("a range in [] goes backwards")
	errEscape      = errors.New("it ends in a \\ that escapes nothing")
	errDeep        = errors.New("its braces are nested too deeply")
)

// maxDepth bounds nested braces.
const maxDepth = 16

// globParser reads a pattern from left to right.
type globParser struct {
	rest  string
	depth int // of open braces
}

// sequence reads up to the end, or to the "," or "}" of the open brace, which it
// leaves. atStart says that a segment begins here.
func (p *globParser) sequence(atStart bool) ([]node, error) {
	nodes := []node{}
	for p.rest != "" {
		if p.depth > 0 && (p.rest[0] == ',' || p.rest[0] == '}') {
			return nodes, nil
		}
		n, err := p.node(atStart)
		if err != nil {
			return nil, err
		}
		// Behind "**/" a segment begins, behind an alternative nobody knows.
		atStart = n.isChar() && n.step.char == '/' || n.isAnyFolder()
		nodes = append(nodes, n)
	}
	if p.depth > 0 {
		return nil, errBraceOpen
	}
	return nodes, nil
}

func (p *globParser) node(atStart bool) (node, error) {
	switch p.rest[0] {
	case '*':
		return p.stars(atStart), nil
	case '?':
		p.rest = p.rest[1:]
		return node{step: step{kind: takesSegment}}, nil
	case '[':
		return p.class()
	case '{':
		return p.braces(atStart)
	case '}':
		return node{}, errBraceClosed
	}
	c, err := p.char()
	return node{step: step{char: c}}, err
}

// char reads one character, or an escaped one.
func (p *globParser) char() (rune, error) {
	if p.rest[0] == '\\' {
		if p.rest = p.rest[1:]; p.rest == "" {
			return 0, errEscape
		}
	}
	c, size := decode(p.rest)
	p.rest = p.rest[size:]
	return c, nil
}

func (p *globParser) stars(atStart bool) node {
	after := strings.TrimLeft(p.rest, "*")
	count := len(p.rest) - len(after)
	p.rest = after
	if count == 1 {
		return node{step: step{kind: takesSegment}, repeat: true}
	}
	if atStart && strings.HasPrefix(after, "/") {
		p.rest = after[1:]
		return anyFolder()
	}
	return anyRun()
}

func (p *globParser) braces(atStart bool) (node, error) {
	if p.depth == maxDepth {
		return node{}, errDeep
	}
	p.depth++
	n := node{}
	for {
		p.rest = p.rest[1:] // "{" or ","
		alt, err := p.sequence(atStart)
		if err != nil {
			return node{}, err
		}
		n.alts = append(n.alts, alt)
		if p.rest[0] == '}' {
			break
		}
	}
	p.rest = p.rest[1:]
	p.depth--
	return n, nil
}

func (p *globParser) class() (node, error) {
	p.rest = p.rest[1:]
	t := step{kind: takesClass}
	if p.rest != "" && (p.rest[0] == '!' || p.rest[0] == '^') {
		t.negate, p.rest = true, p.rest[1:]
	}
	for {
		switch {
		case p.rest == "":
			return node{}, errClassOpen
		case p.rest[0] == ']' && len(t.ranges) == 0:
			return node{}, errClassEmpty
		case p.rest[0] == ']':
			p.rest = p.rest[1:]
			return node{step: t}, nil
		}
		r, err := p.classRange()
		if err != nil {
			return node{}, err
		}
		t.ranges = append(t.ranges, r)
	}
}

// classRange reads "a", or "a-z"; a "-" before the closing bracket is itself.
func (p *globParser) classRange() (r charRange, err error) {
	if r.lo, err = p.char(); err != nil {
		return r, err
	}
	r.hi = r.lo
	if len(p.rest) < 2 || p.rest[0] != '-' || p.rest[1] == ']' {
		return r, nil
	}
	p.rest = p.rest[1:]
	if r.hi, err = p.char(); err == nil && r.hi < r.lo {
		err = errClassRange
	}
	return r, err
}
