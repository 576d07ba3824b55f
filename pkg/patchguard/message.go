// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// shownLost is how many losses a message names.
const shownLost = 4

// refuse says which object, what is wrong with the update, and what to type instead.
func (u *update) refuse(problem, remedy string) *Verdict {
	return &Verdict{Outcome: Refused, Message: fmt.Sprintf("this update of %s %q %s. Nothing was changed. %s",
		u.resource, u.name, problem, remedy)}
}

// refuseLoss refuses an update that is damage if it was a strategic merge patch, and meant if it was something else.
func (u *update) refuseLoss(lost []string) *Verdict {
	slices.SortFunc(lost, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	shown := lost[:min(len(lost), shownLost)]
	names := strings.Join(shown, ", ")
	if rest := len(lost) - len(shown); rest > 0 {
		names += fmt.Sprintf(" and at least %d more", rest)
	}
	problem := "would remove " + names + ", and whether that is meant cannot be told: strategic merge patches replace lists here"
	const otherwise = "Use kubectl apply --server-side, kubectl edit or kubectl replace; or say what you mean: " +
		"--field-manager=" + ManagerStrategic + " keeps what the patch does not mention (kubectl patch, --type=strategic), " +
		"--field-manager=" + ManagerExact + " removes it (--type=merge, --type=json, and programs that write whole objects)"
	return u.refuse(problem, otherwise)
}

// rank puts whole items before fields.
func rank(path string) int {
	if strings.HasSuffix(path, "]") {
		return 0
	}
	return 1
}
