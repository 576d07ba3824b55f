// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	corev1 "k8s.io/api/core/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// untolerated returns the first taint with the effect that no toleration matches.
func untolerated(taints []tmcv1alpha1.Taint, effect corev1.TaintEffect, tolerations []tmcv1alpha1.Toleration) *tmcv1alpha1.Taint {
	for i := range taints {
		if taints[i].Effect == effect && !Tolerated(&taints[i], tolerations) {
			return &taints[i]
		}
	}
	return nil
}

// Tolerated says whether one of some tolerations matches a taint.
func Tolerated(taint *tmcv1alpha1.Taint, tolerations []tmcv1alpha1.Toleration) bool {
	for i := range tolerations {
		t := &tolerations[i]
		if t.Effect != "" && t.Effect != taint.Effect {
			continue
		}
		switch t.Operator {
		case corev1.TolerationOpExists:
			// Who tolerates whatever taints there are has members in mind, and not that anybody may lend one.
			if t.Key == taint.Key || (t.Key == "" && taint.Key != tmcv1alpha1.LenderTaint) {
				return true
			}
		case corev1.TolerationOpEqual, "":
			if t.Key == taint.Key && t.Value == taint.Value {
				return true
			}
		default: // tolerates nothing, as does anything that is not understood
		}
	}
	return false
}
