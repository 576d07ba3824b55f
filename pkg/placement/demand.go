// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

// demand is what a placement asks of a member of one class.
type demand struct {
	need   vector
	shapes []shape // of which each must fit into a slot
	asks   bool    // whether anything is asked for but places for pods
}

// shares are how many replicas the members of each class are taken to get, of each group.
type shares [][]int64

// whole gives every member all replicas, as far as its bounds let it have them: the most that any choice can lead to.
func (p *Plan) whole() shares {
	s := p.noShares()
	for c, class := range p.weights.classes {
		for g := range p.groups {
			s[c][g] = p.groups[g].replicas
			if p.weights.divided && !p.groups[g].perNode {
				s[c][g] = min(s[c][g], class.bound())
			}
		}
	}
	return s
}

func (p *Plan) noShares() shares {
	s := make(shares, len(p.weights.classes))
	all := make([]int64, len(s)*len(p.groups))
	for c := range s {
		s[c], all = all[:len(p.groups)], all[len(p.groups):]
	}
	return s
}

// raise makes shares as large as they are when so many members of each class are chosen, and says whether they were not.
// Rounding and ties may give a member one replica more than another of its class: the larger number is taken.
func (p *Plan) raise(s shares, counts []int64) bool {
	raised := false
	for g := range p.groups {
		portions, _ := apportion(p.groups[g].replicas, p.weights.classes, counts)
		for c := range s {
			share := p.groups[g].replicas
			if !p.groups[g].perNode {
				share = portions[c].ceiling()
			}
			// A class that nothing is chosen of need not have what it would get.
			if share > s[c][g] && (counts[c] > 0 || p.groups[g].perNode) {
				s[c][g] = share
				raised = true
			}
		}
	}
	return raised
}

// demands turns shares into what has to fit.
func (p *Plan) demands(s shares) []demand {
	all := make([]demand, len(s))
	for c := range s {
		d := &all[c]
		for g := range p.groups {
			d.need.add(&p.groups[g].requests, s[c][g])
		}
		d.asks = !d.need.empty()
		if d.asks {
			d.shapes = p.shapes
		}
	}
	return all
}
