// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Credentials judges whether a member honours our credentials. Each right that is needed is tried by somebody, who
// reports each verdict of the member; all rights together make the condition.
type Credentials struct {
	thresholds Thresholds
	condition  metav1.Condition
	rights     []right
}

type right struct {
	name    string
	granted bool
	denial  Outcome // the latest, if the latest verdict was one
	repeats int     // how often in a row it was denied
}

// NewCredentials returns the judge of credentials that must have all the named rights.
func NewCredentials(thresholds Thresholds, now time.Time, rights ...string) *Credentials {
	c := &Credentials{
		thresholds: thresholds.WithDefaults(),
		condition:  newCondition(tmcv1alpha1.ConditionCredentialsValid, "the member has not judged the credentials yet", now),
		rights:     make([]right, len(rights)),
	}
	for i, name := range rights {
		c.rights[i].name = name
	}
	return c
}

// Observe takes in the member's verdict on one right and returns whether the condition changed. Names that were not
// given to NewCredentials are ignored.
func (c *Credentials) Observe(now time.Time, name string, verdict Outcome) bool {
	for i := range c.rights {
		if c.rights[i].name != name {
			continue
		}
		if verdict.OK() {
			c.rights[i] = right{name: name, granted: true}
		} else {
			c.rights[i] = right{name: name, denial: verdict, repeats: c.rights[i].repeats + 1}
		}
	}
	return c.judge(now)
}

// Forget makes all verdicts void, for the credentials were replaced. The condition stays until there are new ones.
func (c *Credentials) Forget() {
	for i := range c.rights {
		c.rights[i] = right{name: c.rights[i].name}
	}
}

// Condition returns the condition CredentialsValid.
func (c *Credentials) Condition() metav1.Condition { return c.condition }

func (c *Credentials) judge(now time.Time) bool {
	needed := 1
	if c.condition.Status == metav1.ConditionTrue {
		needed = c.thresholds.Confirmations // a member that starts up denies for a moment what it grants later
	}
	granted := true
	for _, r := range c.rights {
		if r.repeats >= needed {
			return set(&c.condition, metav1.ConditionFalse, r.denial.Reason, r.denial.Message, now)
		}
		granted = granted && r.granted
	}
	if !granted {
		return false
	}
	return set(&c.condition, metav1.ConditionTrue, tmcv1alpha1.ReasonCredentialsValid, "the member honours the credentials", now)
}
