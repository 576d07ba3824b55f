// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package event makes the events that workspaces get of their objects.
package event

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/tmc/pkg/transform"
)

const (
	// source is the component that events name.
	source = "tmc-apiserver"
	// longestMessage is in bytes; the API takes 1,024.
	longestMessage = 1000
)

// Warning returns an event of the given name that warns about an object. It belongs into the object's namespace, or into
// "default" if the object has none. The message is made printable, and cut to 1,000 bytes.
func Warning(about corev1.ObjectReference, name, reason, message string, at time.Time) *corev1.Event {
	now := metav1.NewTime(at)
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: cmp.Or(about.Namespace, metav1.NamespaceDefault), Name: name},
		InvolvedObject: about,
		Reason:         reason, Message: transform.PrintableMessage(message, longestMessage), Type: corev1.EventTypeWarning,
		Source: corev1.EventSource{Component: source}, ReportingController: "tmc.kcp.io/" + source,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
}
