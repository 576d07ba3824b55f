// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"reflect"
	"slices"
	"strings"
)

const (
	// ManagerExact is the field manager, or the start of its name, with which an update is taken as it is.
	ManagerExact = "tmc-exact"
	// ManagerStrategic is the field manager, or the start of its name, that declares a strategic merge patch.
	ManagerStrategic = "tmc-strategic"
)

// strategicManagers always send strategic merge patches for kinds that client-go knows. kubectl patch is not among
// them, as it sends three kinds of patches under one name; neither are label and annotate, which touch no lists.
func strategicManagers() []string {
	return []string{"kubectl-set", "kubectl-edit", "kubectl-rollout", "kubectl-client-side-apply", "helm", "helm-controller"}
}

// isExact tells writes whose lists are meant as they are.
func (u *update) isExact() bool {
	return u.manager == "kubectl-replace" || isNamed(u.manager, ManagerExact) || u.isFullWrite() || u.isServerSideApply()
}

func (u *update) sendsStrategicPatches() bool {
	return slices.Contains(strategicManagers(), u.manager) || isNamed(u.manager, ManagerStrategic)
}

func isNamed(manager, name string) bool {
	return manager == name || strings.HasPrefix(manager, name+"-")
}

// isFullWrite tells an object that was written by somebody who had not read it: every patch keeps the UID.
func (u *update) isFullWrite() bool {
	return u.new.GetUID() == "" && u.old.GetUID() != ""
}

// isServerSideApply follows from the bookkeeping that kcp has done by now: an apply changes the entry of the manager's
// applies, and leaves that of its updates alone.
func (u *update) isServerSideApply() bool {
	if u.manager == "" {
		return false // apply demands a manager
	}
	return u.entryChanged("Apply") && !u.entryChanged("Update")
}

// entryChanged compares the manager's entries for this operation. Entries of subresources are not concerned.
func (u *update) entryChanged(operation string) bool {
	now := entries(u.new.Object, u.manager, operation)
	return len(now) > 0 && !reflect.DeepEqual(now, entries(u.old.Object, u.manager, operation))
}

func entries(object map[string]any, manager, operation string) []any {
	metadata, _ := object["metadata"].(map[string]any)
	all, _ := metadata["managedFields"].([]any)
	var found []any
	for _, entry := range all {
		fields, _ := entry.(map[string]any)
		if stringAt(fields, "manager") == manager && stringAt(fields, "operation") == operation && stringAt(fields, "subresource") == "" {
			found = append(found, entry)
		}
	}
	return found
}

// writer is the name that kcp's bookkeeping uses for the author of the update.
func (u *update) writer() string {
	if u.manager != "" {
		return u.manager
	}
	metadata, _ := u.new.Object["metadata"].(map[string]any)
	all, _ := metadata["managedFields"].([]any)
	for _, entry := range all {
		fields, _ := entry.(map[string]any)
		name := stringAt(fields, "manager")
		if stringAt(fields, "operation") == "Update" && stringAt(fields, "subresource") == "" &&
			!reflect.DeepEqual(entries(u.old.Object, name, "Update"), entries(u.new.Object, name, "Update")) {
			return name
		}
	}
	return "unknown"
}
