// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"testing"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/health"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	type verdict struct {
		right  string
		denial string // reason, empty if granted; "forget" if the credentials were replaced
		want   string
	}
	const (
		pending   = "Unknown/Pending"
		valid     = "True/CredentialsValid"
		forbidden = "False/Forbidden"
	)
	granted := []verdict{{right: "a", want: pending}, {right: "b", want: valid}}
	tests := map[string][]verdict{
		"valid once every right is granted":  granted,
		"first denial counts at once":        {{right: "a", denial: "Unauthorized", want: "False/Unauthorized"}},
		"a moment's denial does not":         append(granted[:2:2], verdict{"b", "Forbidden", valid}, verdict{"b", "", valid}, verdict{"b", "Forbidden", valid}),
		"a second denial does":               append(granted[:2:2], verdict{"b", "Forbidden", valid}, verdict{"b", "Forbidden", forbidden}),
		"denials of two rights do not add":   append(granted[:2:2], verdict{"a", "Forbidden", valid}, verdict{"b", "Forbidden", valid}),
		"valid again at once":                {{"a", "Forbidden", forbidden}, {"b", "", forbidden}, {"a", "", valid}},
		"the other denial is then reported":  {{"a", "Forbidden", forbidden}, {"b", "Unauthorized", forbidden}, {"a", "", "False/Unauthorized"}},
		"replaced ones are judged anew":      {{"a", "Forbidden", forbidden}, {"", "forget", forbidden}, {"a", "", forbidden}, {"b", "", valid}},
		"good ones stay valid when replaced": append(granted[:2:2], verdict{"", "forget", valid}, verdict{"a", "", valid}, verdict{"b", "", valid}),
		"an unknown right is ignored":        {{"c", "Forbidden", pending}},
	}
	for name, verdicts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := health.NewCredentials(health.Thresholds{}, start, "a", "b")
			for i, v := range verdicts {
				now := start.Add(time.Duration(i) * time.Second)
				before := c.Condition()
				outcome, changed := health.Outcome{}, false
				switch v.denial {
				case "":
					changed = c.Observe(now, v.right, outcome)
				case "forget":
					c.Forget()
				default:
					changed = c.Observe(now, v.right, failed(v.denial))
				}
				got := c.Condition()
				if text := string(got.Status) + "/" + got.Reason; text != v.want {
					t.Fatalf("verdict %d: %s, want %s", i, text, v.want)
				}
				if changed != (before != got) {
					t.Errorf("verdict %d: changed = %t, but %v became %v", i, changed, before, got)
				}
			}
			if c.Condition().Type != tmcv1alpha1.ConditionCredentialsValid {
				t.Errorf("type = %s", c.Condition().Type)
			}
		})
	}
}
