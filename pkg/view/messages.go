// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"

// message explains a reason to everybody who may see the member, borrowers included. The owner finds the details on
// the ClusterRegistration.
func message(reason string) string {
	if text := refusal(reason); text != "" {
		return text
	}
	switch reason {
	case tmcv1alpha1.ReasonReady:
		return "The member is reachable and its figures are followed"
	case tmcv1alpha1.ReasonPending:
		return "The member has not been looked at yet"
	case tmcv1alpha1.ReasonReachable:
		return "The member answers"
	case tmcv1alpha1.ReasonNotTried:
		return "The member is not called, since its registration or its credentials are not valid"
	case tmcv1alpha1.ReasonDialFailed, tmcv1alpha1.ReasonTimedOut:
		return "The member does not answer; figures are the last known ones"
	case tmcv1alpha1.ReasonTLSFailed:
		return "The member's certificate cannot be verified; figures are the last known ones"
	case tmcv1alpha1.ReasonInvalidResponse, tmcv1alpha1.ReasonServerError:
		return "The member does not answer properly; figures are the last known ones"
	case tmcv1alpha1.ReasonCapacityKnown:
		return "Nodes and pods are counted and followed"
	case tmcv1alpha1.ReasonCounting:
		return "Nodes and pods are being counted"
	case tmcv1alpha1.ReasonTruncated:
		return "The member has more pods, nodes or kinds of resources than are counted; figures are too low"
	case tmcv1alpha1.ReasonStale:
		return "Nodes and pods cannot be followed; figures are the last known ones"
	default:
		return ""
	}
}

// refusal explains why a registration or its credentials are not valid, without its particulars.
func refusal(reason string) string {
	switch reason {
	case tmcv1alpha1.ReasonInvalidSpec, tmcv1alpha1.ReasonAddressNotAllowed:
		return "The member's registration is not valid; its owner finds the details there"
	case tmcv1alpha1.ReasonDuplicateMember:
		return "The member is registered already"
	case tmcv1alpha1.ReasonSecretNotFound, tmcv1alpha1.ReasonSecretKeyMissing, tmcv1alpha1.ReasonInvalidKubeconfig,
		tmcv1alpha1.ReasonForbiddenField, tmcv1alpha1.ReasonInvalidCredentials, tmcv1alpha1.ReasonCertificateExpired:
		return "The member's credentials are not valid; its owner finds the details on the registration"
	case tmcv1alpha1.ReasonUnauthorized, tmcv1alpha1.ReasonForbidden:
		return "The member refuses the credentials, or denies a right that is needed; its owner finds the details on the registration"
	default:
		return ""
	}
}
