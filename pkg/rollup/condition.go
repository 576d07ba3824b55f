// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"strconv"
	"strings"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	statusTrue    = "True"
	statusFalse   = "False"
	statusUnknown = "Unknown"

	availableCondition      = "Available"
	progressingCondition    = "Progressing"
	replicaFailureCondition = "ReplicaFailure"
	completeCondition       = "Complete"
	failedCondition         = "Failed"

	deadlineExceeded   = "ProgressDeadlineExceeded"
	newReplicaSetReady = "NewReplicaSetAvailable"

	unreachable = "the member cannot be reached"

	maxGroups  = 8 // different messages in one message
	maxMembers = 5 // members named together
)

// condition is one condition as a member tells it.
type condition struct {
	kind, status, reason, message string
	fields                        map[string]any
}

// condition finds what a copy says about a type. The type is compared before anything else is read.
func (v *view) condition(kind string) (condition, bool) {
	for _, entry := range conditionsOf(v.status) {
		if fields := mapping(entry); text(fields["type"]) == kind {
			return readCondition(kind, fields)
		}
	}
	return condition{}, false
}

// conditionsOf are the entries that are looked at.
func conditionsOf(status map[string]any) []any {
	entries := list(status["conditions"])
	return entries[:min(len(entries), 4*maxConditions)]
}

func readCondition(kind string, fields map[string]any) (condition, bool) {
	c := condition{kind: kind, status: text(fields["status"]), fields: fields}
	if c.status != statusTrue && c.status != statusFalse && c.status != statusUnknown {
		return condition{}, false
	}
	c.reason, c.message = reason(fields["reason"]), clean(text(fields["message"]))
	return c, true
}

// polarity says which status of a condition is the worse one, and what the silence of a copy means.
type polarity int

const (
	good      polarity = iota // True is what everybody wants; silence is Unknown
	bad                       // True is what nobody wants; silence is False
	advancing                 // Progressing of a Deployment, where reasons count too; silence is consent
)

// weight orders statuses; the heaviest counts.
func (p polarity) weight(c *condition) int {
	switch {
	case c.status == statusUnknown:
		return 2
	case (c.status == statusTrue) == (p == bad):
		if p == advancing && c.reason == deadlineExceeded {
			return 4
		}
		return 3
	case p == advancing && c.reason != newReplicaSetReady:
		return 1
	}
	return 0
}

// hear returns what a copy says about a type, or what its silence means; false if that is nothing.
func (p polarity) hear(v *view, kind string) (condition, bool) {
	if c, ok := v.condition(kind); ok {
		return c, true
	}
	silent := condition{kind: kind, status: statusUnknown}
	switch {
	case p == bad:
		return silent, false
	case v.unheard:
		silent.reason, silent.message = tmcv1alpha1.ReasonMemberUnreachable, unreachable
	case v.missing:
		silent.status, silent.reason, silent.message = statusFalse, tmcv1alpha1.ReasonSyncing, "the object is not there yet"
		if p == advancing {
			silent.status = statusTrue
		}
	case p == advancing:
		return silent, false
	default:
		silent.reason, silent.message = tmcv1alpha1.ReasonPending, "the member has not told yet"
	}
	return silent, true
}

// judge merges what the copies say about a type: the worst counts, and names its members.
func (m *merge) judge(kind string, p polarity) (condition, bool) {
	var worst condition
	var voices voices
	heaviest := -1
	for i := range m.views {
		c, ok := p.hear(&m.views[i], kind)
		if !ok {
			continue
		}
		weight := p.weight(&c)
		if weight > heaviest {
			worst, heaviest = c, weight
			voices.reset()
		}
		if weight == heaviest {
			voices.add(m.views[i].member, c.message)
			if worst.reason == "" {
				worst.reason = c.reason
			}
		}
	}
	if heaviest < 0 {
		return condition{}, false
	}
	worst.message = voices.String()
	if len(m.views) > 1 {
		worst.fields = nil // times of one member are not those of all
	}
	return worst, true
}

// shape says which fields the conditions of a kind have beside the usual ones.
type shape struct {
	updateTime bool // lastUpdateTime
	generation bool // observedGeneration; such conditions also must have a reason and a message
}

// render makes a condition an entry of the list, with the times of the previous one as long as it holds. An entry that
// does not change at all is the previous one itself: most never change, and making them is most of the work.
func (m *merge) render(c *condition, s shape) map[string]any {
	before := view{status: m.previous}
	previous, _ := before.condition(c.kind)
	sameStatus := previous.status == c.status
	e := entry{
		{"type", c.kind},
		{"status", c.status},
		{"lastTransitionTime", m.since(sameStatus, previous.fields, c.fields, "lastTransitionTime")},
		{"reason", c.reason},
		{"message", c.message},
		{"lastUpdateTime", ""},
	}
	if s.updateTime {
		unchanged := sameStatus && previous.reason == c.reason && previous.message == c.message
		e[5].value = m.since(unchanged, previous.fields, c.fields, "lastUpdateTime")
	}
	if !s.generation && e.equals(previous.fields) {
		return previous.fields
	}
	out := make(map[string]any, len(e)+1)
	for _, f := range e {
		if f.value != "" {
			out[f.field] = f.value
		}
	}
	if s.generation {
		out["message"], out["observedGeneration"] = c.message, m.observed
		if c.reason == "" {
			out["reason"] = statusUnknown
		}
	}
	return out
}

// entry is a condition that is to be rendered; fields without value are left out.
type entry [6]struct{ field, value string }

// equals says whether the entry, rendered, is what there is already.
func (e *entry) equals(fields map[string]any) bool {
	size := 0
	for _, f := range e {
		if text(fields[f.field]) != f.value {
			return false
		}
		if f.value != "" {
			size++
		}
	}
	return size == len(fields)
}

// since returns since when something holds: as before if it still does, else as the only member says, else now.
func (m *merge) since(unchanged bool, previous, told map[string]any, field string) string {
	if unchanged {
		if t := date(previous[field]); t != "" {
			return t
		}
	}
	if t := date(told[field]); t != "" {
		return t
	}
	return m.stamp()
}

// conditions merges every type that a copy mentions, in the order in which they are first mentioned.
func (m *merge) conditions(s shape) []any {
	var kinds []string
	seen := map[string]bool{}
	include := func(status map[string]any) {
		for _, entry := range conditionsOf(status) {
			kind := word(mapping(entry)["type"])
			if kind == "" || seen[kind] || len(kinds) == maxConditions {
				continue
			}
			seen[kind] = true
			kinds = append(kinds, kind)
		}
	}
	for i := range m.views {
		include(m.views[i].status)
	}
	told := len(kinds)
	if m.unheard > 0 { // what a member told of, which cannot be reached now, is Unknown rather than gone
		include(m.previous)
	}
	out := make([]any, 0, len(kinds))
	for i, kind := range kinds {
		if i >= told {
			c := m.unheardOf(kind)
			out = append(out, m.render(&c, s))
		} else if c, ok := m.judge(kind, polarityOf(kind)); ok {
			out = append(out, m.render(&c, s))
		}
	}
	return out
}

// unheardOf is a condition of which only members may tell that cannot be reached.
func (m *merge) unheardOf(kind string) condition {
	var silent voices
	for i := range m.views {
		if m.views[i].unheard {
			silent.add(m.views[i].member, unreachable)
		}
	}
	return condition{kind: kind, status: statusUnknown, reason: tmcv1alpha1.ReasonMemberUnreachable, message: silent.String()}
}

// polarityOf guesses from the name of a type. Wrong guesses are harmless where all members agree.
func polarityOf(kind string) polarity {
	switch kind {
	case "Suspended", "ScalingLimited", "Stalled", "Reconciling", "Resizing", "ModifyingVolume", "DisruptionTarget", "FailureTarget":
		return bad
	}
	for _, ending := range [...]string{"Error", "Errors", "Failure", "Failed", "Pressure", "Exceeded", "Degraded", "Pending", "Unavailable"} {
		if strings.HasSuffix(kind, ending) {
			return bad
		}
	}
	return good
}

// voices gathers messages, and who says them.
type voices struct {
	groups [maxGroups]voice
	used   int
	others int // members whose messages found no room
}

type voice struct {
	message string
	members [maxMembers]string
	n       int
}

func (v *voices) reset() { v.used, v.others = 0, 0 }

func (v *voices) add(member, message string) {
	for i := range v.used {
		if g := &v.groups[i]; g.message == message {
			if g.n < maxMembers {
				g.members[g.n] = member
			}
			g.n++
			return
		}
	}
	if v.used == maxGroups {
		v.others++
		return
	}
	v.groups[v.used] = voice{message: message, members: [maxMembers]string{member}, n: 1}
	v.used++
}

// String is, for instance, "east, west: the member cannot be reached; edge: no room".
func (v *voices) String() string {
	var b strings.Builder
	b.Grow(128)
	for i := range v.used {
		g := &v.groups[i]
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(strings.Join(g.members[:min(g.n, maxMembers)], ", "))
		if g.n > maxMembers {
			b.WriteString(" and " + strconv.Itoa(g.n-maxMembers) + " more")
		}
		if g.message != "" {
			b.WriteString(": " + g.message)
		}
	}
	if v.others > 0 {
		b.WriteString("; and " + strconv.Itoa(v.others) + " more")
	}
	const dots = "..."
	if b.Len() > maxText {
		return cut(b.String(), maxText-len(dots)) + dots
	}
	return b.String()
}
