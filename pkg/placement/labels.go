// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"fmt"
	"slices"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// text is an interned string: equal ones are found equal without looking at them, and unused ones are collected.
type text = unique.Handle[string]

// labelSet is interned labels, which are faster to look through than a map is to ask.
type labelSet []labelPair

type labelPair struct{ key, value text }

// requirement is one term of a label selector.
type requirement struct {
	key     text
	values  []text // nil when only the presence counts
	negated bool
	text    string
}

// newLabelSet compiles labels. Their order does not matter, since keys are unique.
func newLabelSet(given map[string]string) labelSet {
	set := make(labelSet, 0, len(given))
	for key, value := range given {
		set = append(set, labelPair{key: unique.Make(key), value: unique.Make(value)})
	}
	return set
}

// newRequirements compiles a selector that is valid. Unset admits everything.
func newRequirements(selector labels.Selector) []requirement {
	terms, _ := selector.Requirements()
	compiled := make([]requirement, 0, len(terms))
	for i := range terms {
		term := &terms[i]
		r := requirement{key: unique.Make(term.Key()), text: term.String()}
		switch term.Operator() {
		case selection.DoesNotExist:
			r.negated = true
		case selection.NotIn, selection.NotEquals:
			r.negated = true
			r.values = intern(term.ValuesUnsorted())
		case selection.In, selection.Equals, selection.DoubleEquals:
			r.values = intern(term.ValuesUnsorted())
		default: // Exists; a LabelSelector has no others
		}
		compiled = append(compiled, r)
	}
	return compiled
}

func intern(values []string) []text {
	interned := make([]text, len(values))
	for i, value := range values {
		interned[i] = unique.Make(value)
	}
	return interned
}

func (r *requirement) matches(l labelSet) bool {
	for i := range l {
		if l[i].key == r.key {
			return (r.values == nil || slices.Contains(r.values, l[i].value)) != r.negated
		}
	}
	return r.negated
}

// selectorOf parses a label selector; unset is everything.
func selectorOf(given *metav1.LabelSelector, at *field.Path) (labels.Selector, error) {
	if given == nil {
		return labels.Everything(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(given)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", at, err)
	}
	return selector, nil
}
